"""`amfzoo list`: which models and weights there are."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..text_tables import columns
from . import exit_codes
from .options import add_json, print_json


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "list",
        help="the models and their weights",
        description="List the models, what each is for, and the weights there are for it.",
    )
    parser.add_argument(
        "filter",
        nargs="?",
        default="",
        metavar="FILTER",
        help="part of a model's or weights' name, or a pattern in quotes: 'amf_*'",
    )
    form = parser.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--markdown", action="store_true", help="print the tables of the README, all models and weights")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.markdown:
        from .markdown import markdown

        print(markdown())
        return exit_codes.OK
    models = _models(args.filter)
    if args.json:
        print_json(models)
    elif models:
        print("\n".join(_table(models)))
    else:
        print(f"amfzoo: no model or weights match {args.filter!r}; `amfzoo list` shows all", file=sys.stderr)
    return exit_codes.OK


def _models(filter: str) -> list[dict[str, Any]]:
    """Models that match by their own name (with all weights), or by those of some weights (with these)."""
    from ..manifest import load_manifest
    from ..registry import list_models, list_pretrained, model_entry

    manifest = load_manifest()
    by_name, by_weights = set(list_models(filter)), set(list_pretrained(filter))
    models = []
    for name in list_models():
        weights = [
            {
                "name": record.name,
                "tag": record.tag,
                "default": manifest.default_tags.get(name) == record.tag,
                "source": record.source.type if record.source.repo is None else f"hub {record.source.repo}",
                "license": record.license,
                "bytes": sum(file.bytes for file in record.files.values()),
            }
            for record in manifest.weights.values()
            if record.architecture == name and (name in by_name or record.name in by_weights)
        ]
        if name in by_name or weights:
            models.append({"name": name, "role": model_entry(name).role, "weights": weights})
    return models


def _table(models: list[dict[str, Any]]) -> list[str]:
    heads = columns([("MODEL", "FOR"), *((model["name"], model["role"]) for model in models)])
    rows = columns(
        [
            (
                entry["name"],
                entry["source"],
                entry["license"],
                f"{entry['bytes'] / 1e6:.1f} MB",
                "default" if entry["default"] else "",
            )
            for model in models
            for entry in model["weights"]
        ]
    )
    lines, next_row = heads[:1], iter(rows)
    for head, model in zip(heads[1:], models):
        lines.append(head)
        lines += [f"  weights  {next(next_row)}" for _ in model["weights"]] or ["  no weights yet"]
    return lines
