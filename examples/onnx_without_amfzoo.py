"""Predict from an exported model with numpy, Pillow and ONNX Runtime alone.

    amfzoo export amf_small --format onnx --out amf_small_onnx
    python onnx_without_amfzoo.py amf_small_onnx clinical.jpg dermoscopy.jpg     (- for a missing image)

Copy what you need. It reads sRGB photographs; `amfzoo.read_image` also converts other colour
profiles, lays transparency over white and refuses damaged files. Research software, not a medical device.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Collection
from pathlib import Path

# before ONNX Runtime is imported, which else reports its use to Microsoft
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from PIL import ExifTags, Image, ImageOps

ORIENTATION = ExifTags.Base.Orientation  # 5 to 8: stored on its side


def network_input(path: str, size, mean, std, fit, filter, border) -> np.ndarray:
    """One image file as (3, height, width) float32; the settings are those of model.json."""
    height, width = size
    image = Image.open(path)
    if image.mode.startswith(("I", "F")):  # Pillow would make all above 255 white
        raise ValueError(
            f"{path}: more than 8 bits a channel; save the picture with 8, or read it with amfzoo.read_image"
        )
    if filter != "nearest":  # large JPEGs at reduced scale, as the model reads them
        needed = [3 * math.ceil(side / (1 - 2 * border)) for side in (width, height)]
        image.draft(None, tuple(needed[::-1] if image.getexif().get(ORIENTATION, 1) >= 5 else needed))
    image = ImageOps.exif_transpose(image).convert("RGB")
    x, y = image.width * border, image.height * border
    box = x, y, image.width - x, image.height - y
    across, down = box[2] - box[0], box[3] - box[1]
    inner = width, height
    if fit == "crop":  # the largest centred part of the network's aspect ratio
        x = max(0, (across - down * width / height) / 2)
        y = max(0, (down - across * height / width) / 2)
        box = box[0] + x, box[1] + y, box[2] - x, box[3] - y
    elif fit == "pad":  # the whole picture, centred on black
        scale = min(width / across, height / down)
        inner = min(width, max(1, round(across * scale))), min(height, max(1, round(down * scale)))
    canvas = Image.new("RGB", (width, height))
    resized = image.resize(inner, Image.Resampling[filter.upper()], box)
    canvas.paste(resized, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    pixels = (np.asarray(canvas) / 255 - mean) / std
    return pixels.transpose(2, 0, 1).astype(np.float32)


class ExportedModel:
    """A folder that `amfzoo export --format onnx` wrote."""

    def __init__(self, folder: str | Path) -> None:
        self.description = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))
        self.session = onnxruntime.InferenceSession(Path(folder) / "model.onnx", providers=["CPUExecutionProvider"])

    def predict(self, clinical: str | None, dermoscopy: str | None) -> dict[str, dict[str, float]]:
        """{task: {class: probability}} of one pair; one of the two images may be None."""
        paths = {"clinical": clinical, "dermoscopy": dermoscopy}
        feed = {"present": np.array([[path is not None for path in paths.values()]])}
        for name, settings in self.description["preprocessing"].items():
            blank = np.zeros((3, *settings["size"]), np.float32)  # marked as missing, so it has no effect
            feed[name] = (blank if paths[name] is None else network_input(paths[name], **settings))[None]
        tasks = self.description["tasks"]
        logits = self.session.run([task["output"] for task in tasks.values()], feed)
        answer = {}
        for (name, task), row in zip(tasks.items(), logits):
            scaled = row[0].astype(float) / task["temperature"]
            powers = np.exp(scaled - scaled.max())
            answer[name] = dict(zip(task["classes"], (powers / powers.sum()).tolist()))
        return answer

    def called(self, task: str, row: dict[str, float], given: Collection[str]) -> str:
        """The class that the model calls: from its operating point on, where it has one that holds for the images
        that were given (of "clinical", "dermoscopy"), else the most probable."""
        point = self.description["operating_points"].get(task)
        if point is None or not set(point["needs"]) <= set(given):
            return max(row, key=row.get)
        ((name, threshold),) = point["classes"].items()
        return name if row[name] >= threshold else next(other for other in row if other != name)

    def prediction_set(self, task: str, row: dict[str, float]) -> list[str]:
        """The classes among which the true one is with the stated coverage, of a whole pair; [] where the model has no sets."""
        sets = self.description["prediction_sets"].get(task)
        if sets is None:
            return []
        ranked = sorted(row, key=row.get, reverse=True)
        score = {"lac": lambda p: 1 - p, "aps": lambda p: sum(q for q in row.values() if q >= p)}[sets["method"]]
        return [name for name in ranked if name == ranked[0] or score(row[name]) <= sets["thresholds"][name] + 1e-9]


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2:] == ["-", "-"]:
        sys.exit(__doc__)
    images = [None if path == "-" else path for path in sys.argv[2:]]
    model = ExportedModel(sys.argv[1])
    given = [name for name, image in zip(("clinical", "dermoscopy"), images) if image is not None]
    for task, row in model.predict(*images).items():
        print(f"{task}: {model.description['tasks'][task]['titles'][model.called(task, row, given)]}")
        for name, p in sorted(row.items(), key=lambda item: -item[1]):
            print(
                f"  {'<0.1%' if 0 < p < 0.0005 else f'{p:.1%}':>6}  {model.description['tasks'][task]['titles'][name]}"
            )
        if None not in images and model.prediction_set(task, row):
            print(f"  among {', '.join(model.prediction_set(task, row))}")
