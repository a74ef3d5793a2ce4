"""From JPEG files to answers, beside the bare network and beside an ordinary torch script."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch

from ..inference import predict_stream
from ..inference.batch import BRANCHES, Batch
from ..models.network import PairNetwork
from ..runtimes import Predictor
from .cost import noise_batch
from .ordinary import ScriptProcess
from .pictures import Files, cycled
from .result import Cell, Section
from .speed import WARM_UPS, shown_name, side_of
from .timing import interleaved, left_beside, rate, times_as_fast

SCRIPT = "ordinary torch script"
DECODING = "decoding alone"


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

    On a CPU also the share that decoding leaves, which no way of answering from files on the same cores can exceed.

    Args:
        pairs: predicted in each round; the files are taken again and again.
    """
    batches = -(-pairs // batch_size)
    pairs = batches * batch_size
    batch = noise_batch(network, batch_size, side_of(network))
    with ScriptProcess(list(cycled(files, pairs)), network, batch_size=batch_size, device=device) as script:
        calls: dict[tuple[str, str], Callable[[], object]] = {("", SCRIPT): script}
        if device == "cpu":
            calls["", DECODING] = partial(_decode, network, files, pairs)
        for name, predictor in predictors.items():
            calls[name, "files"] = partial(_from_files, predictor, files, pairs, batch_size)
            calls[name, "bare"] = partial(_bare, predictor, batch, batches)
        times = interleaved(calls, rounds, warm_ups=WARM_UPS if pairs <= 4 * batch_size else 1, device=device)
    theirs, decoding = times["", SCRIPT], times.get(("", DECODING))
    rows: list[dict[str, Cell]] = []
    for name, predictor in predictors.items():
        row: dict[str, Cell] = {
            "from JPEG files with": shown_name(name, predictor),
            "pairs/s": rate(times[name, "files"], pairs),
            "bare network (pairs/s)": rate(times[name, "bare"], pairs),
            "of the bare network": times_as_fast(times[name, "files"], times[name, "bare"]),
        }
        if decoding is not None:
            row["that decoding leaves"] = left_beside(decoding, times[name, "bare"])
        rows.append({**row, "times the script": times_as_fast(times[name, "files"], theirs)})
    alone = {SCRIPT: theirs} if decoding is None else {DECODING: decoding, SCRIPT: theirs}
    for name, seconds in alone.items():
        rows.append({**dict.fromkeys(rows[0]), "from JPEG files with": name, "pairs/s": rate(seconds, pairs)})
    notes = [
        f"{pairs} pairs a round from {len(files)} pairs of files, batch {batch_size}.",
        "Bare network: the same runtime with arrays in memory, all threads on one batch. From files, on a CPU, each thread computes "
        "the pairs that it has decoded.",
        "Script: the same network in eager fp32 torch, torchvision, and a DataLoader with "
        + f"{script.workers} workers that are running already; in a process of its own.",
    ]
    if decoding is not None:
        notes.append(
            "Decoding alone: the files to pictures, on as many threads as the network has, nothing else. What it leaves of the bare "
            "network's rate, on the same cores, is the most that answering from files can keep."
        )
    return Section("bulk", f"Bulk prediction with {label}", rows, notes)


def _from_files(predictor: Predictor, files: Files, pairs: int, batch_size: int) -> None:
    deque(predict_stream(predictor, cycled(files, pairs), batch_size=batch_size), maxlen=0)


def _decode(network: PairNetwork, files: Files, pairs: int) -> None:
    threads = torch.get_num_threads()

    def share(first: int) -> None:  # a loop for each thread: handing out pair by pair costs a third of the rate
        for pair in itertools.islice(cycled(files, pairs), first, None, threads):
            for branch, file in zip(BRANCHES, pair):
                if branch in network.preprocess:
                    network.preprocess[branch].read(file)

    with ThreadPoolExecutor(threads) as pool:
        deque(pool.map(share, range(threads)), maxlen=0)


def _bare(predictor: Predictor, batch: Batch, batches: int) -> None:
    for _ in range(batches):
        predictor.logits(batch)
