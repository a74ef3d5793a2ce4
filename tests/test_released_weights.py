"""What the listed weights say of themselves: by their own name, in a card that their config gives, with the manifest's figures."""

from __future__ import annotations

import dataclasses

import pytest

from amfzoo.card import render_card
from amfzoo.folder_check import check_folder
from amfzoo.manifest import load_manifest

MANIFEST = load_manifest()


@pytest.mark.parametrize("name", MANIFEST.names())
def test_weights_are_called_by_their_name_and_described_as_they_are(name):
    record = MANIFEST.entry(name)
    folder = MANIFEST.folder_of(record)
    if folder is None or not folder.is_dir():
        pytest.skip(f"{name} is not on this machine: it is in a clone of the repository, or on the Hub")
    config = check_folder(folder, expect=record.files)
    info = config["info"]
    assert (info["name"], info["load_as"]) == (name, name) and "refitted_from" not in info
    plots = sorted(path.name for path in (folder / "example").glob("calibration*"))
    assert plots == [info["calibration_plot"]]
    assert (folder / "README.md").read_text(encoding="utf-8") == render_card(
        config, {"parameters": record.parameters, **info}
    )
    rows = [dict(row) for row in info["metrics"]]
    assert [dataclasses.asdict(metric) for metric in record.metrics] == [
        {"low": None, "high": None, "cases": None, "uncertain": False, **row} for row in rows
    ]
    assert all(info[key] == getattr(record, key) for key in ("license", "attribution", "not_validated_for"))
