"""Average the weights of networks that were trained from one another, and calibrate the result.

    python examples/average_weights.py --run small --with amf_small.milk10k --data open_joint.csv --out averaged

A network that went on learning and the one it started from often lie in one basin: the mean of their weights then keeps
what both know (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). Tensors that all have in the
same shape are averaged, normalisation statistics too; the others, such as new heads, are those of the run. `--shares`
gives each network its share, the run's first; without it all have the same.
Temperatures, prediction sets and operating points are fitted on the lesions that the run held out. `--out` gets ``model/`` and
``split.csv`` as a run does, so that examples/release_weights.py takes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from changed_run import save_changed

from amfzoo import PairNetwork, create_model
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.models.averaging import averaged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder that `amfzoo train` wrote")
    parser.add_argument("--with", dest="others", nargs="+", required=True, metavar="NAME", help="networks, by name")
    parser.add_argument("--shares", type=float, nargs="+", metavar="SHARE", help="one per network, the run's first")
    parser.add_argument("--data", required=True, help="the source that the run was trained on")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    count = 1 + len(args.others)
    shares = args.shares or [1 / count] * count
    if len(shares) != count or abs(sum(shares) - 1) > 1e-6:
        parser.error(f"--shares must be {count} numbers that sum to 1, got {shares}")
    # a bare name means its default weights
    others = [create_model(name, pretrained=None if "." in name or ":" in name else True) for name in args.others]
    model = averaged([PairNetwork.from_pretrained(args.run / "model"), *others], shares)
    valid = read_split(load_source(args.data), args.run / "split.csv").split("valid")
    save_changed(model, valid, args.run, args.out)


if __name__ == "__main__":
    main()
