"""A finished run whose weights were changed afterwards, for the scripts that change them."""

from __future__ import annotations

import shutil
from pathlib import Path

from amfzoo import PairNetwork
from amfzoo.data.records import LesionSet
from amfzoo.evaluation import recalibrate


def save_changed(model: PairNetwork, valid: LesionSet, run: Path, out: Path) -> None:
    """Fit temperatures, prediction sets and operating points on held-out lesions; write ``model/`` and ``split.csv`` as a run does."""
    model.config = model.config.unfitted()
    recalibrate(model, valid)
    model.save_pretrained(out / "model", overwrite=True)
    shutil.copy(run / "split.csv", out / "split.csv")
    print(f"{out}: temperatures {model.config.temperatures}")
