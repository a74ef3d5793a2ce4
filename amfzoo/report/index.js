// Sorting and filtering of the index. Nothing is loaded, nothing is written as HTML.
"use strict";
(() => {
  const table = document.querySelector("table.index");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filters = document.querySelector(".filters");
  const [text, label, state] = ["text", "label", "state"].map((name) => document.getElementById(`filter-${name}`));
  const shown = document.getElementById("shown");

  function filter() {
    const wanted = text.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits =
        words.get(row).includes(wanted) &&
        (!label.value || row.dataset.label === label.value) &&
        (!state.value || row.dataset.state.split(" ").includes(state.value));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  }

  function sort(column, head) {
    const numbers = rows.some((row) => row.cells[column].dataset.value);
    const before = head.getAttribute("aria-sort");
    // what is large comes first, and names in their order
    const direction = before ? (before === "ascending" ? "descending" : "ascending") : numbers ? "descending" : "ascending";
    const sign = direction === "ascending" ? 1 : -1;
    const key = (row) => (numbers ? row.cells[column].dataset.value : row.cells[column].textContent.trim());
    rows.sort((a, b) => {
      const [first, second] = [key(a), key(b)];
      if (!first || !second) return Boolean(second) - Boolean(first); // empty ones last, either way
      return sign * (numbers ? first - second : first.localeCompare(second, undefined, { numeric: true }));
    });
    body.append(...rows);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
  }

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column, head));
    head.replaceChildren(button);
  });
  for (const control of [text, label, state]) control.addEventListener("input", filter);
  filters.hidden = false;
  filter();
})();
