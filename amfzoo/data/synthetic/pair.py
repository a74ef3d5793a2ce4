"""Draw one pair: check the findings, paint the layers, render both pictures."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST

from . import areas, structures, vessels
from .clinical import clinical_mask, render_clinical
from .dermoscopy import render_dermoscopy
from .habit import draw_habit
from .layers import Layer, Painter
from .lesion import SKIN_TONES, Lesion, draw_skin_tone, make_lesion
from .raster import Array, Frame
from .signs import diagnosis_signs

MIN_SIDE, MAX_SIDE = 32, 4096

# In order from below to above: what is listed later covers what is listed earlier.
PAINTERS: dict[str, Painter] = {
    "pigmentation": areas.pigmentation,
    "pigment_network": structures.pigment_network,
    "dots_and_globules": structures.dots_and_globules,
    "streaks": structures.streaks,
    "regression_structures": areas.regression_structures,
    "blue_whitish_veil": areas.blue_whitish_veil,
    "vascular_structures": vessels.vascular_structures,
}


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class SyntheticPair:
    """A drawn pair and the truth about it.

    Attributes:
        clinical: RGB photo of a patch of skin with the lesion.
        dermoscopy: RGB close-up of the same lesion.
        findings: each of the seven criteria -> class drawn.
        seed: seed it was drawn from.
        skin_tone: 0 (very dark) to 5 (very light).
        masks: criterion -> (H, W) bool, where it is drawn in the dermoscopy picture;
            all False if absent. A layer above (e.g. the veil) may hide part of it.
        lesion: (H, W) bool, inside of the outline in the dermoscopy picture. Streaks
            reach beyond it.
        clinical_lesion: (H, W) bool, the same in the clinical picture.
        clinical_masks: as `masks`, in the clinical picture; what is finer than its pixels
            may leave none.
        diagnosis: that the lesion was drawn for, as it was given; "" for a plain one.
        subtypes: criterion -> raw label, where one was given in place of a class.
    """

    clinical: Image.Image
    dermoscopy: Image.Image
    findings: dict[str, str]
    seed: int
    skin_tone: int
    masks: dict[str, Array] = field(repr=False)
    lesion: Array = field(repr=False)
    clinical_lesion: Array = field(repr=False)
    clinical_masks: dict[str, Array] = field(repr=False)
    diagnosis: str = ""
    subtypes: dict[str, str] = field(default_factory=dict)


def draw_pair(
    findings: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    size: tuple[int, int] = (256, 192),
    skin_tone: int | None = None,
    diagnosis: str | None = None,
) -> SyntheticPair:
    """Draw a clinical and a dermoscopy picture of one lesion with chosen findings.

    The same arguments give the same pixels (another version of NumPy or Pillow, or another
    kind of processor, may round differently). The lesion (outline, colour, skin, view)
    depends on the seed alone, so pairs that differ in one finding differ in nothing else.

    Args:
        findings: criterion -> class, as in `amfzoo.labels.CHECKLIST`, or a raw label of
            Derm7pt such as "arborizing", which is drawn as that; others are absent.
        seed: which lesion, >= 0.
        size: (width, height) of each picture in pixels; one lesion looks the same at
            all sizes of one aspect ratio.
        skin_tone: 0 (very dark) to 5 (very light); None: drawn from the seed.
        diagnosis: of Derm7pt, a class or a raw label: shapes the lesion (outline, colour,
            elevation) and adds signs of its own, such as cysts; None: a plain lesion.

    Raises:
        ConfigError: unknown criterion, class or diagnosis, or seed, size, skin tone out of range.
    """
    asked = {} if findings is None else findings
    complete = check_findings(asked)
    kinds = {name: asked.get(name, "absent").strip().lower() for name in complete}
    seed = _integer("seed", seed, 0)
    frame = Frame(*check_size(size))
    tone = draw_skin_tone(seed) if skin_tone is None else _integer("skin_tone", skin_tone, 0, SKIN_TONES - 1)
    lesion = make_lesion(frame, seed, tone, None if diagnosis is None else draw_habit(diagnosis, seed))
    signs = [] if diagnosis is None else diagnosis_signs(lesion, diagnosis)
    drawn = {name: paint(lesion, kinds[name]) for name, paint in PAINTERS.items() if complete[name] != "absent"}
    layers = signs + [layer for parts in drawn.values() for layer in parts]
    masks = {name: _union(lesion, drawn.get(name, [])) for name in CHECKLIST}
    clinical = render_clinical(lesion, layers)
    dermoscopy = render_dermoscopy(lesion, layers)
    return SyntheticPair(
        clinical=_to_image(clinical),
        dermoscopy=_to_image(dermoscopy),
        findings=complete,
        seed=seed,
        skin_tone=tone,
        masks=masks,
        lesion=lesion.mask,
        clinical_lesion=clinical_mask(lesion, lesion.mask),
        clinical_masks={name: clinical_mask(lesion, mask) for name, mask in masks.items()},
        diagnosis=diagnosis or "",
        subtypes={name: kind for name, kind in kinds.items() if kind != complete[name]},
    )


def check_findings(findings: Mapping[str, str]) -> dict[str, str]:
    """The class of all seven criteria in the order of the checklist; those not named are absent.

    Raises:
        ConfigError: unknown criterion or class; the message lists the valid ones.
    """
    if not isinstance(findings, Mapping):
        raise ConfigError(f"findings must be a mapping of criterion to class, got {findings!r}")
    complete = dict.fromkeys(CHECKLIST, "absent")
    for name, kind in findings.items():
        if name not in CHECKLIST:
            raise ConfigError(f"unknown criterion {name!r}; known: {', '.join(CHECKLIST)}")
        task = CHECKLIST[name]
        text = kind.strip().lower() if isinstance(kind, str) else ""
        if text not in task.raw and text not in task.classes:
            raise ConfigError(f"criterion {name!r}: unknown class {kind!r}; known: {', '.join(task.classes)}")
        complete[name] = task.group(text)
    return complete


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels, or a ConfigError."""
    try:
        width, height = size
    except (TypeError, ValueError):
        raise ConfigError(f"size must be (width, height) in pixels, got {size!r}") from None
    return _integer("width", width, MIN_SIDE, MAX_SIDE), _integer("height", height, MIN_SIDE, MAX_SIDE)


def _integer(name: str, value: int, low: int, high: int | None = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ConfigError(f"{name} must be a whole number, got {value!r}") from None
    if number < low or (high is not None and number > high):
        limits = f"at least {low}" if high is None else f"{low} to {high}"
        raise ConfigError(f"{name} must be {limits}, got {number}")
    return number


def _union(lesion: Lesion, layers: list[Layer]) -> Array:
    mask = np.zeros(lesion.depth.shape, bool)
    for layer in layers:
        mask |= layer.mask
    return mask


def _to_image(rgb: Array) -> Image.Image:
    return Image.fromarray(np.round(np.clip(rgb, 0, 255)).astype(np.uint8))
