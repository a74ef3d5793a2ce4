"""The notebooks run from top to bottom, and are stored as they ran, small and without traces of a machine."""

import re
import runpy
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
LARGEST = 400_000  # bytes
# folders of a machine and keys; what follows a letter or "/" is part of a relative path, of a tag or of an address
TRACES = re.compile(
    r"(?<![\w./<:~-])(?:/(?:home|root|tmp|var|usr|opt|mnt|media|srv|data|work|workspace|content|private|Users|Volumes)/"
    r"|[A-Za-z]:\\\w|~/)|file://|\bhf_\w{20,}|\bgh[pousr]_\w{20,}|site-packages|dist-packages"
)

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="needs a checkout: a wheel has no examples")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LONG = ("compare_models_and_read_the_report", "fine_tune_on_a_private_csv")


def read(path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [dev]")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in LONG)) for path in NOTEBOOKS]
)
def test_every_cell_runs(path, tmp_path, monkeypatch):
    """In this process, where torch is loaded already: a kernel for each notebook costs as much as all of their cells."""
    for package in ("IPython", "accelerate", "sklearn", "matplotlib"):
        pytest.importorskip(package, reason="needs the extra [dev]")
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir(), temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    scope: dict = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(read(path)), 1):
        exec(compile(cell.source, f"{path.name}, code cell {number}", "exec"), scope)
    left = [file for file in tmp_path.rglob("*") if file.is_file()]  # torch makes an empty folder of its own
    assert not left, "a notebook leaves files behind"


@each
def test_it_is_stored_as_it_ran(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)], "run examples/run_notebooks.py"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    text = "\n".join(_texts(notebook))
    assert "not a medical device" in notebook.cells[0].source
    assert not (found := TRACES.search(text)), text[max(0, found.start() - 60) : found.end() + 60]
    assert path.stat().st_size < LARGEST
    assert not any(cell.metadata for cell in notebook.cells), "times of a run, or settings of an editor"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"} and notebook.metadata.kernelspec.name == "python3"


def _texts(notebook):
    """All that people read: sources and outputs, but for the bytes of pictures."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield str(output.get("text", ""))
            yield from (str(data) for kind, data in output.get("data", {}).items() if not kind.startswith("image/"))


@pytest.mark.parametrize(
    ("text", "is_trace"),
    [
        ("saved to /tmp/x/y.csv", True), ("'/home/me/run'", True), (r"C:\Users\me", True), ("~/run/model", True),
        ("hf_" + "a" * 30, True), ("/usr/lib/python3/site-packages/x.py:1", True),
        ("run/model and local-dir:run/model", False), ("</table>", False), ("https://arxiv.org/data/x", False),
        ("true / false, clinical/dermoscopy", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_trace(text, is_trace):
    assert bool(TRACES.search(text)) == is_trace


@each
def test_the_readme_and_other_notebooks_link_to_files_that_exist(path):
    assert f"(examples/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
                assert (path.parent / target).is_file(), target


@pytest.mark.slow
@each
def test_a_kernel_of_its_own_runs_it(path):
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason="needs the extra [dev]")
    stored = read(path)
    done = runpy.run_path(str(path.parent / "run_notebooks.py"))["execute"](stored)
    kinds = [[output.output_type for output in cell.outputs] for cell in code_cells(done)]
    assert kinds == [[output.output_type for output in cell.outputs] for cell in code_cells(stored)]
