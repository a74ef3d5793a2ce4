"""The README's tables of models and weights, from the registry and the manifest."""

from __future__ import annotations

from ..checks import UNCERTAIN
from ..manifest import Metric, WeightsRecord, load_manifest
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
    cells = [_value(metrics[name]) if name in metrics else "" for name in _SHOWN]
    cases = next((str(m.cases) for m in metrics.values() if m.cases is not None), "")
    size = sum(file.bytes for file in record.files.values()) / 1e6
    return [f"`{record.name}`", f"{len(classes)} ({task})", *cells, cases, f"{size:.1f} MB", record.license]


def _value(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]{UNCERTAIN if metric.uncertain else ''}"
