"""What a model folder says of itself, as a record like those of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checks import figures
from ..manifest import CONFIG_FILE, WEIGHTS_FILE, FileRecord, Metric, Source, WeightsRecord
from ..text_tables import UNKNOWN


def folder_record(name: str) -> tuple[WeightsRecord, dict[str, dict[str, float]]]:
    """The record and the operating points of a folder, given as "local-dir:FOLDER"; its weights are verified, but not loaded.

    Anybody may have written it: texts are of one line of characters that can be shown, and figures that are none are left out.

    Raises:
        ConfigError, WeightsError: it is no model folder, or its weights are not those that it records.
    """
    import torch

    from ..folder_check import check_folder, sha256_of
    from ..hub import resolve
    from ..models.config import NetworkConfig
    from ..models.network import PairNetwork
    from ..models.parts import parameters

    folder = resolve(name).folder
    config = check_folder(folder)
    known = NetworkConfig.from_dict(config)
    with torch.device("meta"):  # shapes without numbers
        network = PairNetwork(known)
    info = config.get("info") or {}
    record = WeightsRecord(
        name=_line(info.get("name") or folder.name),
        architecture=_line(known.architecture),
        tag="",
        source=Source("folder", folder=str(folder)),
        files={
            CONFIG_FILE: FileRecord(sha256_of(folder / CONFIG_FILE), (folder / CONFIG_FILE).stat().st_size),
            WEIGHTS_FILE: FileRecord(config["weights"]["sha256"], config["weights"]["bytes"]),
        },
        parameters=parameters(network),
        **{key: _line(info.get(key) or UNKNOWN) for key in ("license", "attribution", "training_data")},
        tasks={_line(task): tuple(map(_line, classes)) for task, classes in known.tasks.items()},
        metrics=tuple(_metric(row) for row in figures(info.get("metrics")) if row.get("value") is not None),
        not_validated_for=_line(info.get("not_validated_for") or "anything: nothing is recorded"),
    )
    points = known.operating_points.items()
    return record, {_line(task): {_line(label): p for label, p in row.items()} for task, row in points}


def _metric(row: Mapping[str, Any]) -> Metric:
    cases = row.get("cases")
    return Metric(
        *(_line(row.get(key) or UNKNOWN) for key in ("task", "name")),
        value=row["value"],
        data=_line(row.get("data") or UNKNOWN),
        low=None if row.get("high") is None else row.get("low"),
        high=row.get("high"),
        cases=cases if isinstance(cases, int) else None,
        uncertain=row.get("uncertain") is True,
    )


def _line(value: object) -> str:
    return "".join(letter for letter in " ".join(str(value).split()) if letter.isprintable())
