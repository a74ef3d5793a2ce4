"""The named models: a table of plain numbers. Imports no torch.

Backbone names, strides and the asymmetric idea follow the paper's description
(light clinical, heavy dermoscopy); which backbones, widths and heads are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

# How a backbone must be built and fed for its usual ImageNet values to hold;
# applied wherever the backbone is named, unless the caller says otherwise.
BACKBONES: dict[str, dict[str, Any]] = {
    "mobilenetv2_035": {"args": {"pad_type": "same", "bn_eps": 1e-3}, "preprocess": HALF},
    **{f"tf_efficientnet_lite{size}": {"args": {}, "preprocess": HALF} for size in range(5)},
}


@dataclass(frozen=True)
class Row:
    """One named model: its settings (fields of `NetworkConfig`) and what it is for."""

    role: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False


_WIDE_ATTENTION = {"attention_dim": 256, "attention_heads": 8}
# ResNet-50 v2 that ends at stride 16: its last stage has 14.4 of 23.5 M parameters.
_CUT_RESNET = {"layers": [3, 4, 6], "channels": [256, 512, 1024]}

ZOO: dict[str, Row] = {
    "amf_small": Row(
        "small enough to be bundled",
        {"clinical": "mobilenetv2_035", "dermoscopy": "mobilenetv2_100"},
    ),
    "amf_base": Row(
        "the method at the size the literature uses",
        {
            "clinical": "mobilenetv2_100",
            "clinical_strides": (32,),
            "dermoscopy": "resnetv2_50",
            "dermoscopy_args": _CUT_RESNET,
            "dermoscopy_strides": (16,),
        },
    ),
    "symmetric_baseline": Row(
        "the control of amf_base, its attention twice as wide",
        {
            "clinical": "resnetv2_50",
            "clinical_args": _CUT_RESNET,
            "clinical_strides": (16,),
            "dermoscopy": "resnetv2_50",
            "dermoscopy_args": _CUT_RESNET,
            "dermoscopy_strides": (16,),
            "fusion": "mutual",
            **_WIDE_ATTENTION,
        },
    ),
    "symmetric_small": Row(
        "the control of amf_small",
        {"clinical": "mobilenetv2_100", "dermoscopy": "mobilenetv2_100", "fusion": "mutual"},
    ),
    "amf_convnext": Row(
        "modern convolutional dermoscopy branch",
        {"clinical": "mobilenetv3_large_100", "dermoscopy": "convnext_tiny", **_WIDE_ATTENTION},
    ),
    "amf_swin": Row(
        "Transformer dermoscopy branch",
        {"clinical": "mobilenetv3_large_100", "dermoscopy": "swin_tiny_patch4_window7_224", **_WIDE_ATTENTION},
    ),
    "amf_test": Row(
        "tests only",
        {"clinical": "test_efficientnet", "dermoscopy": "test_resnet", "attention_dim": 32, "attention_heads": 2},
        hidden=True,
    ),
    "symmetric_test": Row(
        "tests only",
        {
            "clinical": "test_resnet",
            "dermoscopy": "test_resnet",
            "fusion": "mutual",
            "attention_dim": 32,
            "attention_heads": 2,
        },
        hidden=True,
    ),
}


def settings(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `NetworkConfig` for a row of the table with `overrides` on top."""
    merged = {**ZOO[name].settings, **overrides}
    for branch in ("clinical", "dermoscopy"):
        if merged.get(branch) != ZOO[name].settings.get(branch):
            # those of the row are for its own backbone, and so is where that ends
            if f"{branch}_args" not in overrides:
                merged.pop(f"{branch}_args", None)
            if f"{branch}_strides" in merged and f"{branch}_strides" not in overrides:
                merged[f"{branch}_strides"] = (16, 32)[-len(merged[f"{branch}_strides"]) :]
        backbone = BACKBONES.get(merged.get(branch) or "", {})
        merged.setdefault(f"{branch}_args", backbone.get("args", {}))
        preprocess = merged.get(f"{branch}_preprocess", {})
        if isinstance(preprocess, Mapping):  # what it leaves out is as the backbone wants it
            merged[f"{branch}_preprocess"] = {**backbone.get("preprocess", IMAGENET), **preprocess}
    return {"architecture": name, **merged}
