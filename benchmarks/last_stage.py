"""Should `amf_base` end its dermoscopy branch at stride 16, train ResNet-50's last stage from nothing, or take another ResNet-50?

    python -m benchmarks.last_stage --data milk10k:FOLDER --splits split.csv --weights resnetv2_50_cut16.safetensors --out FOLDER
    python -m benchmarks.last_stage ... --whole resnet50.safetensors --rows cut whole

All networks read dermoscopy only. "cut" and "fresh" are ResNet-50 v2, of which there are ImageNet values up to stride 16
alone, and start from them; "fresh" has the last stage besides (14.9 M parameters more), with random values. "whole" is the first
ResNet-50, with ImageNet values of all of it (`examples/keras_resnet50.py`). Everything else is the recipe of the
asymmetry study (benchmarks/asymmetry/study.yaml). Prints the scores on the validation lesions and the paired
differences from "cut": mean over the seeds, 95 % percentile bootstrap over lesions and, of several, the standard deviation over the
seeds. Given again, the command goes on where it was; figures of finished runs are printed from what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from amfzoo import create_model, finetune
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.evaluation import Cases
from amfzoo.models.network import PairNetwork
from amfzoo.text_tables import table
from amfzoo.training.config import load_config
from amfzoo.training.run import CASES_FILE

from .asymmetry.figures import SCORES, Figure, score_rows
from .asymmetry.plan import DEFAULT_FILE, read_plan

_LONGER = {"dermoscopy_args": {}, "dermoscopy_strides": (32,)}
VARIANTS = {"cut": {}, "fresh": _LONGER, "whole": {"dermoscopy": "resnet50", **_LONGER}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="SOURCE")
    parser.add_argument("--splits", type=Path, required=True, metavar="FILE")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="the branch up to stride 16")
    parser.add_argument("--whole", type=Path, metavar="FILE", help="timm's resnet50, all stages")
    parser.add_argument("--rows", nargs="+", choices=tuple(VARIANTS), default=["cut", "fresh"], metavar="ROW")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="N")
    args = parser.parse_args()
    if "whole" in args.rows and args.whole is None:
        parser.error("the row whole needs --whole FILE")
    files = {"cut": args.weights, "fresh": args.weights, "whole": args.whole}
    names = list(dict.fromkeys(args.rows))
    lesions = read_split(load_source(args.data), args.splits)
    recipe = {**read_plan(DEFAULT_FILE)["recipe"], "cache_dir": str(args.out / "cache")}
    found: dict[str, dict[int, Cases]] = {name: {} for name in names}
    parameters = {}
    for seed in args.seeds:
        for name in names:
            network = start(name, lesions.tasks, files[name], seed)
            parameters[name] = sum(p.numel() for p in network.parameters()) / 1e6
            folder = args.out / f"{name}-{seed}"
            if not (folder / CASES_FILE).is_file():
                finetune(network, lesions, out=folder, config=load_config(**{**recipe, "seed": seed}))
            found[name][seed] = Cases.read(folder / CASES_FILE)
    scores = score_rows(found, "diagnosis")
    rows = [
        (name, f"{parameters[name]:.1f}", *(_shown(scores[name].figure(score)) for score in SCORES)) for name in names
    ]
    for name in names if "cut" in names else ():
        if name != "cut":
            apart = (scores[name].minus(scores["cut"], score) for score in SCORES)
            rows.append((f"{name} - cut", "", *(_shown(figure, "+") for figure in apart)))
    print(f"{len(lesions.split('valid'))} validation lesions, seeds {', '.join(map(str, args.seeds))}\n")
    print(table(("last stage", "M parameters", *SCORES), rows))


def start(name: str, tasks: dict[str, tuple[str, ...]], weights: Path, seed: int) -> PairNetwork:
    """The dermoscopy branch alone, with the values that there are."""
    torch.manual_seed(seed)
    network = create_model("amf_base", pretrained=False, tasks=tasks, clinical=None, fusion="none", **VARIANTS[name])
    body = network.branches["dermoscopy"].body
    # the normalisation behind the last stage there is belongs to the cut: of another size, or of other features
    values = {
        key: value.float()
        for key, value in load_file(weights).items()
        if name != "fresh" or not key.startswith("norm.")
    }
    missing, surplus = body.load_state_dict(values, strict=False)
    random = ("stages.3.", "norm.") if name == "fresh" else ()
    other = [key for key in missing if not key.startswith(random)]
    if surplus or other:
        raise SystemExit(f"{weights}: not the values of this branch; {[*surplus, *other][0]} does not fit")
    return network


def _shown(figure: Figure, sign: str = "") -> str:
    text = f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"
    return text if figure.seeds == 1 else f"{text} sd {figure.sd:.3f}"


if __name__ == "__main__":
    main()
