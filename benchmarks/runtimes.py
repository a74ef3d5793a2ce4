"""Every runtime beside eager fp32 torch: ratios of the time of one batch.

    python benchmarks/runtimes.py [--model amf_small] [--batches 1 8 32] [--rounds 9] [--threads 2]

All runtimes get the same preprocessed arrays and take turns within each round, so that the
ratios hold on a machine whose speed drifts. Prints JSON: per runtime and batch size the
median, least and greatest ratio (eager time / its time; above 1 is faster), its median
milliseconds, and how far its probabilities are from eager fp32 torch on random pictures.
Runtimes that are not installed are named with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time

import torch

from amfzoo import ConfigError, Predictor, WeightsError, create_model, create_predictor
from amfzoo.inference.batch import Batch
from amfzoo.runtimes.parity import picture_batch

EAGER = "torch"
VARIANTS = {
    EAGER: {"runtime": "torch"},
    "torch channels_last": {"runtime": "torch", "channels_last": True},
    "torch channels_last bf16": {"runtime": "torch", "channels_last": True, "precision": "bf16"},
    "onnx": {"runtime": "onnx"},
    "openvino": {"runtime": "openvino"},
    "openvino bf16": {"runtime": "openvino", "precision": "bf16"},
    "auto": {"runtime": "auto"},
}
COMPILED = {"torch compile": {"runtime": "torch", "channels_last": True, "compile": True}}
WARM_UPS = 3  # OpenVINO compiles a batch size the second time it sees it


def seconds(predictor: Predictor, batch: Batch) -> float:
    start = time.perf_counter()
    predictor.logits(batch)
    return time.perf_counter() - start


def measure(predictors: dict[str, Predictor], size: int, rounds: int) -> dict[str, dict[str, float]]:
    """{variant: figures} for one batch size."""
    batch = picture_batch(predictors[EAGER], size)
    for predictor in predictors.values():
        for _ in range(WARM_UPS):
            predictor.logits(batch)
    times = [{name: seconds(predictor, batch) for name, predictor in predictors.items()} for _ in range(rounds)]
    figures = {}
    for name in predictors:
        ratios = [row[EAGER] / row[name] for row in times]
        figures[name] = {
            "ratio": round(statistics.median(ratios), 2),
            "ratio_least": round(min(ratios), 2),
            "ratio_greatest": round(max(ratios), 2),
            "ms": round(1e3 * statistics.median(row[name] for row in times), 2),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="amf_small", help="as for create_model; without weights random ones serve")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, help="default: as torch has it")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well; takes a minute")
    parser.add_argument("--random", action="store_true", help="no weights: for models that have none")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    network = create_model(args.model, pretrained=not args.random).eval()
    predictors, left_out = {}, {}
    for name, options in {**VARIANTS, **(COMPILED if args.compile else {})}.items():
        try:
            predictors[name] = create_predictor(network, **options)
        except (ConfigError, WeightsError) as error:
            left_out[name] = str(error)
    results = {str(size): measure(predictors, size, args.rounds) for size in args.batches}
    print(json.dumps({
        "model": args.model,
        "weights": not args.random,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "auto": predictors["auto"].runtime.name,
        "largest_difference_of_a_probability": {name: p.difference for name, p in predictors.items()},
        "batches": results,
        "left_out": left_out,
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
