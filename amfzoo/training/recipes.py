"""Named training recipes: tables of settings of `TrainConfig`. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """What a recipe is for, and where its settings differ from the defaults of `TrainConfig`.

    model: what the command line trains where no model is named; "" for none.
    """

    role: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""


RECIPES: dict[str, Recipe] = {
    "default": Recipe("fine-tuning of a zoo model or of ImageNet backbones on some hundred to some ten thousand pairs"),
    "quick": Recipe(
        "minutes: does the data load, and is there anything to learn",
        {"epochs": 5, "image_size": 128, "crop_start": 0.75, "crop_end": 1.0, "lr": 1e-3, "ema": 0.98},
    ),
    # FusionM4Net (Tang et al., Information Fusion 2022), stage 1, as far as it is stated: three heads (clinical,
    # dermoscopy, fused) of equal weight, each the mean over tasks of plain cross-entropies; Adam at 3e-5 with a
    # cosine over 250 epochs; batch 32; 224 x 224; the epoch of the best mean accuracy. Its training augmentation
    # is not stated: flips, small rotations and light changes here are ours.
    "fusionm4net": Recipe(
        "the published recipe of FusionM4Net, stage 1",
        {
            "epochs": 250, "batch_size": 32, "optimizer": "adam", "lr": 3e-5, "fusion_lr": 1.0, "weight_decay": 0.0, "warmup": 0.0,
            "clip_grad": 0.0, "ema": 0.0, "start_share": 0.0, "dropout": None, "image_size": 224, "crop_start": 1.0, "crop_end": 1.0,
            "rotate": 45.0, "zoom": 0.9, "stretch": 0.0, "contrast": 0.1, "light": 0.1, "saturation": 0.1,
            "channel_gain": 0.0, "modality_dropout": 0.0, "auxiliary": 1.0, "class_weights": "none",
            "label_smoothing": 0.0, "metric": "accuracy",
        },
    ),
    # The protocol of the literature: official split, 224 x 224, the epoch of the best mean accuracy over the eight tasks
    # on the validation split, single view. Plain class weights, since that is what accuracy rewards. Rates and
    # augmentation are those of the default recipe; nobody has tuned them on the real pictures.
    "derm7pt": Recipe(
        "the published protocol of Derm7pt; with --seeds 5 a row of its leaderboard",
        {"epochs": 40, "image_size": 224, "class_weights": "none", "metric": "accuracy"},
        model="amf_small",
    ),
}  # fmt: skip
