"""Labels of drawn cases: from a table row by row, or from counts that keep its frequencies and ties."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from amfzoo.data.synthetic.label_statistics import (
    bundled_counts,
    count_labels,
    draw_from_counts,
    draw_from_table,
    read_label_table,
)
from amfzoo.data.synthetic.raster import stream
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST, DERM7PT, DIAGNOSIS

PLAIN = {DIAGNOSIS: "clark nevus", **dict.fromkeys(CHECKLIST, "absent")}


def drawn(count: int = 4000) -> list[dict[str, str]]:
    counts = bundled_counts()
    return [draw_from_counts(counts, stream(seed, "labels")) for seed in range(count)]


def test_bundled_counts_draw_every_class_as_often_as_the_data_set_has_it():
    cases = drawn()
    counts = bundled_counts()
    for name, task in DERM7PT.tasks.items():
        found = Counter(task.group(case[name]) for case in cases)
        assert set(found) == set(task.classes)
        leaves = [counts["diagnosis"]] if name == DIAGNOSIS else [
            leaf for families in counts["findings"][name].values() for leaf in families.values()
        ]  # fmt: skip
        wanted = Counter()
        for leaf in leaves:
            for label, n in leaf.items():
                wanted[task.group(label)] += n
        assert sum(wanted.values()) == counts["cases"] == 1011
        for label, n in wanted.items():
            assert found[label] / len(cases) == pytest.approx(n / 1011, abs=0.03)


def test_findings_go_together_as_they_do_in_the_data_set():
    """Melanomas have an atypical network far more often than others have."""
    cases = drawn()
    share = {
        melanoma: [
            case["pigment_network"] == "atypical" for case in cases if ("melanoma" in case[DIAGNOSIS]) is melanoma
        ]
        for melanoma in (True, False)
    }
    assert sum(share[True]) / len(share[True]) > 2.5 * sum(share[False]) / len(share[False])


def test_a_tables_rows_are_drawn_as_they_are(table):
    rows = [PLAIN, {**PLAIN, "streaks": "irregular", DIAGNOSIS: "Melanoma (in situ)"}]
    read = read_label_table(table("meta.csv", [{**row, "sex": "male"} for row in rows]))
    assert read == [PLAIN, {**PLAIN, "streaks": "irregular", DIAGNOSIS: "melanoma (in situ)"}]
    found = [draw_from_table(read, stream(seed, "labels")) for seed in range(20)]
    assert all(one in read for one in found) and {one["streaks"] for one in found} == {"absent", "irregular"}


def test_wrong_tables_are_named(table):
    with pytest.raises(ConfigError, match="line 2.*streaks.*atypical"):
        read_label_table(table("a.csv", [{**PLAIN, "streaks": "atypical"}]))
    with pytest.raises(ConfigError, match="no column 'diagnosis'"):
        read_label_table(table("b.csv", [{name: "absent" for name in CHECKLIST}]))
    with pytest.raises(ConfigError, match="no rows"):
        read_label_table(table("c.csv", [], list(PLAIN)))


def test_order_of_the_rows_changes_nothing():
    rows = drawn(60)
    assert json.dumps(count_labels(rows)) == json.dumps(count_labels(rows[::-1]))


def test_bundled_counts_are_those_of_the_real_table(shared):
    counts = count_labels(read_label_table(shared("derm7pt_labels") / "meta.csv"))
    bundled = bundled_counts()
    assert "MIT" in bundled.pop("source")
    assert bundled == counts
