"""How large what the attention adds to the dermoscopy maps is, beside the maps themselves.

    python -m benchmarks.attention_update --data milk10k:MILK10k --splits study/split.csv --lesions 96 \\
        study/runs/base/asymmetric/seed-0/model study/runs/base/slow-attention/seed-0/model

Per stride, the median over validation lesions with both images of |pooled update| / |pooled map|, Euclidean norms over
the channels. Far above 1, the pooled features are the attention's and no longer the backbone's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from amfzoo import create_model
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.errors import ConfigError
from amfzoo.models.network import PairNetwork


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="FOLDER", help="model folders of asymmetric networks")
    parser.add_argument("--data", required=True, metavar="SOURCE", help="as for `amfzoo train`")
    parser.add_argument("--splits", type=Path, metavar="FILE", help="default: the data's own")
    parser.add_argument("--lesions", type=int, default=96, metavar="N", help="the first of them (default: 96)")
    args = parser.parse_args(argv)
    lesions = load_source(args.data)
    valid = (read_split(lesions, args.splits) if args.splits else lesions).split("valid")
    print("| model | stride | size of the update beside the map |\n| --- | --- | --- |")
    for folder in args.models:
        network = create_model(f"local-dir:{folder}").eval()
        for stride, ratio in zip(network.config.dermoscopy_strides, update_sizes(network, valid, args.lesions)):
            print(f"| {folder} | {stride} | {ratio:.2f} |")


@torch.inference_mode()
def update_sizes(network: PairNetwork, lesions: LesionSet, count: int) -> list[float]:
    """One ratio per stride of the dermoscopy branch; of the first `count` lesions with both images.

    Raises:
        ConfigError: the network is not asymmetric, or no lesion has both images.
    """
    if network.config.fusion != "asymmetric":
        raise ConfigError(
            f"the attention must go from clinical to dermoscopy, this network has {network.config.fusion!r}"
        )
    pairs = [lesion for lesion in lesions if len(lesion.images) == 2][:count]
    if not pairs:
        raise ConfigError(f"{lesions.name}: no lesion has both images")
    ratios = []
    for lesion in pairs:
        clinical, dermoscopy = (
            network.branches[name](torch.from_numpy(network.preprocess[name](lesion.images[name]))[None])
            for name in ("clinical", "dermoscopy")
        )
        _, enhanced = network.fusion(clinical, dermoscopy, torch.ones(1, 2, dtype=torch.bool))
        ratios.append(
            torch.stack([_size(new - old) / _size(old) for new, old in zip(enhanced, dermoscopy, strict=True)])
        )
    return torch.stack(ratios).median(0).values.tolist()


def _size(feature_map: torch.Tensor) -> torch.Tensor:
    return feature_map.mean((2, 3)).norm()


if __name__ == "__main__":
    main()
