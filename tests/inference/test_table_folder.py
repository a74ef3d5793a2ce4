"""The folder of shards: how it is named, its manifest, and the shards' last column."""

from __future__ import annotations

import csv
import json
import os
import sys

import pytest

from amfzoo.inference import table_folder
from amfzoo.inference.table_shards import predict_shards


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are UTF-8")
def test_a_table_whose_name_is_not_utf_8(model, folder, source, asked):
    odd, out = folder / os.fsdecode(b"p\xff.csv"), folder / "out"
    odd.write_bytes(source.read_bytes())
    assert predict_shards(model, odd, out).finished
    assert json.loads((out / "_manifest.json").read_text(encoding="utf-8"))["input"]["name"] == r"p\udcff.csv"
    asked.clear()
    assert predict_shards(model, odd, out).earlier == 11 and not asked


def test_the_last_column_of_a_shard_is_the_error(model, folder, source):
    predict_shards(model, source, folder / "out")
    with open(folder / "out" / "part-00000.csv", newline="") as file:
        assert next(csv.reader(file))[-1] == "error"
    assert table_folder.names_folder(f"{folder}/new/") and table_folder.names_folder(folder)
    assert not table_folder.names_folder(folder / "new.csv")
