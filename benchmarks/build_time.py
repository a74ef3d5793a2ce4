"""How long `create_model` takes beside timm building the two bare backbones.

    python benchmarks/build_time.py [--model amf_small] [--rounds 15]

Both are timed in turn in one process, after a warm-up, so that the ratio holds on a
machine whose speed drifts. Prints medians with their spread and the median ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import timm

from amfzoo import create_model, model_info
from amfzoo.models.zoo import BACKBONES


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="amf_small", help="a model with weights")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    settings = model_info(args.model.partition(".")[0])["settings"]

    def bare() -> None:
        for branch in ("clinical", "dermoscopy"):
            name = settings[branch]
            timm.create_model(name, pretrained=False, num_classes=0, **BACKBONES.get(name, {}).get("args", {}))

    def ours() -> None:
        create_model(args.model, pretrained=True)

    bare(), ours()
    rounds = [(seconds(ours), seconds(bare)) for _ in range(args.rounds)]
    mine, theirs = zip(*rounds)
    print(json.dumps({
        "model": args.model,
        "create_model_ms": [round(1e3 * f(mine), 1) for f in (min, statistics.median, max)],
        "timm_backbones_ms": [round(1e3 * f(theirs), 1) for f in (min, statistics.median, max)],
        "ratio_median": round(statistics.median(a / b for a, b in rounds), 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
