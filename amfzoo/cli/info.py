"""`amfzoo info`: what is known of one model, or of one set of weights."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..checks import UNCERTAIN, UNCERTAIN_NOTE
from ..errors import UnknownModelError
from ..hub import LOCAL_PREFIX, how_written
from ..text_tables import columns, listed
from . import exit_codes
from .options import add_json, print_json

if TYPE_CHECKING:
    from ..manifest import WeightsRecord

Points = Mapping[str, Mapping[str, float]]  # task -> class -> probability from which on it is called


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="what is known of a model or of weights",
        description="Show a model (what it is for, settings, size, weights) or weights (tasks and classes, "
        "training data, licence, metrics, what they are not validated for), also those in a folder of yours.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a model (amf_small), weights (amf_small.milk10k; see `amfzoo list`) or a folder (local-dir:FOLDER)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..manifest import load_manifest
    from ..registry import model_entry

    if args.name.startswith(LOCAL_PREFIX):
        from .folder_facts import folder_record

        return _show(*folder_record(args.name), args.json)
    if ":" in args.name:
        raise UnknownModelError(
            f"`amfzoo info` knows folders, and the models and weights that `amfzoo list` lists, not {args.name!r}; what is known of "
            f"a Hub repository stands in its README.md, which `amfzoo download {args.name}` shows the place of"
        )
    if "/" in args.name or os.sep in args.name:
        raise UnknownModelError(f"there is no model named {args.name!r}; {how_written(args.name)}")
    model_entry(args.name.partition(".")[0])  # a wrong model name gets its own message
    if "." in args.name:
        record = load_manifest().entry(args.name)
        return _show(record, _operating_points(record), args.json)
    model = _model(args.name)
    if args.json:
        print_json(model)
    else:
        print("\n".join(_model_text(model)))
    return exit_codes.OK


def _show(record: WeightsRecord, points: Points, as_json: bool) -> int:
    if as_json:
        print_json(asdict(record) | {"operating_points": points})
    else:
        print("\n".join(_weights_text(record, points)))
    return exit_codes.OK


def _model(name: str) -> dict[str, Any]:
    import torch

    from ..manifest import load_manifest
    from ..models.zoo import ZOO
    from ..registry import model_entry

    manifest, entry = load_manifest(), model_entry(name)
    with torch.device("meta"):  # shapes without numbers
        network = entry.build()
    default = manifest.default_tags.get(name)
    return {
        "name": name,
        "role": entry.role,
        "settings": dict(ZOO[name].settings) if name in ZOO else {},
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": sorted(
            (f"{name}.{tag}" for tag in manifest.tags(name)), key=lambda full: (full != f"{name}.{default}", full)
        ),
    }


def _model_text(model: dict[str, Any]) -> list[str]:
    facts = [
        ("for", model["role"]),
        ("parameters", f"{model['parameters'] / 1e6:.2f} million, with heads for the default tasks"),
        *((key.replace("_", " "), str(value)) for key, value in model["settings"].items()),
        ("weights", ", ".join(model["weights"]) or "none yet"),
    ]
    lines = [model["name"], *(f"  {line}" for line in columns(facts))]
    if model["weights"]:
        lines.append(f"More on the weights: amfzoo info {model['weights'][0]}")
    return lines


def _weights_text(record: WeightsRecord, points: Points) -> list[str]:
    source = record.source
    place = source.type if source.repo is None else f"Hub repository {source.repo} at commit {source.revision}"
    place += f" {source.folder}" if source.type == "folder" else ""
    facts = [
        ("model", record.architecture),
        ("source", f"{place}, {sum(file.bytes for file in record.files.values()) / 1e6:.1f} MB"),
        ("parameters", f"{record.parameters / 1e6:.2f} million"),
        ("licence", record.license),
        ("attribution", record.attribution),
        ("training data", record.training_data),
    ]
    lines = [record.name, *(f"  {line}" for line in columns(facts)), "  tasks and classes"]
    for task, classes in record.tasks.items():
        called = "".join(f" ({label} from a probability of {p:.3f} on)" for label, p in points.get(task, {}).items())
        lines.append(f"    {task}: {listed(classes)}{called}")
    with_intervals = not record.metrics or any(metric.low is not None for metric in record.metrics)
    lines.append("  metrics, with 95 % intervals" if with_intervals else "  metrics")
    lines += _metrics(record) or ["    none measured"]
    if any(metric.uncertain for metric in record.metrics):
        lines.append(f"    {UNCERTAIN_NOTE}")
    return [*lines, f"  not validated for: {record.not_validated_for}"]


def _operating_points(record: WeightsRecord) -> Points:
    """Of weights that are on this machine, as their config.json has them; the manifest has none."""
    from ..manifest import CONFIG_FILE, load_manifest

    folder = load_manifest().folder_of(record)
    try:
        return json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["operating_points"] if folder else {}
    except (OSError, ValueError, KeyError):  # of `amfzoo verify`, not of this command
        return {}


def _metrics(record: WeightsRecord) -> list[str]:
    """A heading for each set of lesions, and the figures on it."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for metric in record.metrics:
        interval = (
            ""
            if metric.low is None
            else f"[{metric.low:.3f}, {metric.high:.3f}]{UNCERTAIN if metric.uncertain else ''}"
        )
        cases = "" if metric.cases is None else f"{metric.cases} cases"
        row = (metric.task, metric.name, f"{metric.value:.3f}", interval, cases)
        found.setdefault(metric.data, []).append(row)
    return [
        line
        for data, rows in found.items()
        for line in (f"    on {data}", *(f"      {text}" for text in columns(rows)))
    ]
