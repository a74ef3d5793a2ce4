"""The README's tables of models and weights, from the registry and the manifest."""

from __future__ import annotations

from ..checks import UNCERTAIN
from ..manifest import WeightsRecord, load_manifest
from ..registry import list_models, model_entry
from ..text_tables import table

_SHOWN = ("macro_f1", "balanced_accuracy", "auroc")


def markdown() -> str:
    """Two tables: every public model as its defaults build it, and all weights with their first metrics."""
    records = load_manifest().weights.values()
    models = table(
        ("model", "clinical", "dermoscopy", "fusion", "parameters", "what it is for"), map(_model, list_models())
    )
    weights = table(
        ("weights", "classes", "macro-F1", "balanced accuracy", "AUROC", "cases", "size", "licence"),
        map(_weights, records),
    )
    return f"{models}\n\n{weights}" if records else models


def _model(name: str) -> list[str]:
    import torch

    with torch.device("meta"):  # counts need no values
        model = model_entry(name).build()
    config = model.config
    count = sum(p.numel() for p in model.parameters())
    return [
        f"`{name}`",
        str(config.clinical),
        str(config.dermoscopy),
        config.fusion,
        f"{count / 1e6:.1f} M",
        model_entry(name).role,
    ]


def _weights(record: WeightsRecord) -> list[str]:
    task, classes = next(iter(record.tasks.items()))
    metrics = {m.name: m for m in reversed(record.metrics) if m.task == task}  # the first of each name wins
    cells = [
        f"{m.value:.3f} [{m.low:.3f}, {m.high:.3f}]{UNCERTAIN if m.uncertain else ''}" if (m := metrics.get(n)) else ""
        for n in _SHOWN
    ]
    cases = next(iter(metrics.values())).cases if metrics else ""
    size = sum(file.bytes for file in record.files.values()) / 1e6
    return [f"`{record.name}`", f"{len(classes)} ({task})", *cells, str(cases), f"{size:.1f} MB", record.license]
