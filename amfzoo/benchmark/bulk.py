"""From JPEG files to answers, beside the bare network and beside an ordinary torch script."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from ..inference import predict_stream
from ..inference.batch import Batch
from ..models.network import PairNetwork
from ..runtimes import Predictor
from .cost import noise_batch
from .ordinary import ScriptProcess
from .pictures import Files, cycled
from .result import Cell, Section
from .speed import WARM_UPS, shown_name, side_of
from .timing import interleaved, rate, times_as_fast

SCRIPT = "ordinary torch script"


def bulk(
    label: str,
    network: PairNetwork,
    predictors: Mapping[str, Predictor],
    files: Files,
    *,
    pairs: int,
    batch_size: int,
    rounds: int,
    device: str,
) -> Section:
    """Throughput from files for each runtime: as a share of the bare network's, and as a multiple of the script's.

    Args:
        pairs: predicted in each round; the files are taken again and again.
    """
    batches = -(-pairs // batch_size)
    pairs = batches * batch_size
    batch = noise_batch(network, batch_size, side_of(network))
    with ScriptProcess(list(cycled(files, pairs)), network, batch_size=batch_size, device=device) as script:
        calls: dict[tuple[str, str], Callable[[], object]] = {("", SCRIPT): script}
        for name, predictor in predictors.items():
            calls[name, "files"] = partial(_from_files, predictor, files, pairs, batch_size)
            calls[name, "bare"] = partial(_bare, predictor, batch, batches)
        times = interleaved(calls, rounds, warm_ups=WARM_UPS if pairs <= 4 * batch_size else 1, device=device)
    theirs = times["", SCRIPT]
    rows: list[dict[str, Cell]] = []
    for name, predictor in predictors.items():
        rows.append(
            {
                "from JPEG files with": shown_name(name, predictor),
                "pairs/s": rate(times[name, "files"], pairs),
                "bare network (pairs/s)": rate(times[name, "bare"], pairs),
                "of the bare network": times_as_fast(times[name, "files"], times[name, "bare"]),
                "times the script": times_as_fast(times[name, "files"], theirs),
            }
        )
    rows.append({**dict.fromkeys(rows[0]), "from JPEG files with": SCRIPT, "pairs/s": rate(theirs, pairs)})
    notes = [
        f"{pairs} pairs a round from {len(files)} pairs of files, batch {batch_size}.",
        "Bare network: the same runtime with arrays in memory, all threads on one batch. From files, on a CPU, each thread computes "
        "the pairs that it has decoded.",
        "Script: the same network in eager fp32 torch, torchvision, and a DataLoader with "
        + f"{script.workers} workers that are running already; in a process of its own.",
    ]
    return Section("bulk", f"Bulk prediction with {label}", rows, notes)


def _from_files(predictor: Predictor, files: Files, pairs: int, batch_size: int) -> None:
    deque(predict_stream(predictor, cycled(files, pairs), batch_size=batch_size), maxlen=0)


def _bare(predictor: Predictor, batch: Batch, batches: int) -> None:
    for _ in range(batches):
        predictor.logits(batch)
