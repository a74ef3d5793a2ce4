"""One pair, as one waits for it: from two files, and from arrays already decoded and resized."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ..images import read_image
from ..inference import predict
from ..inference.batch import BRANCHES, stack
from ..runtimes import Predictor
from .pictures import Files
from .result import Cell, Section
from .speed import WARM_UPS, shown_name
from .timing import interleaved, percentile


def one_pair(label: str, predictors: Mapping[str, Predictor], files: Files, *, repeats: int, device: str) -> Section:
    """Median and 95th percentile of the milliseconds of one pair, for each runtime."""
    clinical, dermoscopy = files[0]
    pictures = dict(zip(BRANCHES, map(read_image, files[0])))
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    for name, predictor in predictors.items():
        inputs = {branch: prepared(pictures[branch]) for branch, prepared in predictor.preprocess.items()}
        calls[name, "files"] = partial(predict, predictor, clinical, dermoscopy)
        calls[name, "network"] = partial(predictor.logits, stack([inputs], predictor.preprocess))
    times = interleaved(calls, repeats, warm_ups=WARM_UPS, device=device)
    rows: list[dict[str, Cell]] = []
    for name, predictor in predictors.items():
        row: dict[str, Cell] = {"runtime": shown_name(name, predictor)}
        for source, title in (("files", "files to answer"), ("network", "network alone")):
            for percent in (50, 95):
                row[f"{title}, p{percent} (ms)"] = 1e3 * percentile(times[name, source], percent)
        rows.append(row)
    size = " and ".join(f"{picture.width} x {picture.height}" for picture in pictures.values())
    notes = [f"Warm, {repeats} repeats each, images of {size} pixels; 'network alone' starts from prepared arrays."]
    return Section("pair", f"One pair through {label}", rows, notes)
