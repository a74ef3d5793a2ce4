"""What looks wrong with the images of one lesion."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..images.damage import GRAY, SCANS, ZEROS, damage
from .detectors import Limits, Scores, bundled
from .features import SIDE, describe, differences, stacked, thumbnail
from .warning import InputWarning


class Thumbnail(NamedTuple):
    """pixels: as `thumbnail` makes them. What they do not show: ratio of the picture's longer side by its shorter one, and
    how its file looks damaged (`amfzoo.images.damage`)."""

    pixels: np.ndarray
    ratio: float
    damage: str | None = None


Thumbnails = dict[str, Thumbnail]  # "clinical" and/or "dermoscopy"

_NAMES = {"clinical": "clinical photo", "dermoscopy": "dermoscopy image"}
_DOUBTFUL = ("uniform", "no_lesion", "far", "narrow", "damaged")
_UNDECODED = 128  # in each colour: what decoders of JPEG leave where the data run out before the picture ends
_ENDS = {
    GRAY: "ends in plain gray, as pictures do whose file is damaged; get the file again",
    ZEROS: "ends in zeros, as files do that were copied in part; get the file again",
    SCANS: "is coarse, or gray in part, since the last scans of its JPEG file are missing; get the file again",
}
_GRAY = 2  # levels that the colours of a gray picture may differ by
_NARROW = 3.0  # ratio of the sides; photos have up to 16:9, screens of telephones up to 21:9


def check_images(pictures: Mapping[str, Image.Image | None]) -> tuple[InputWarning, ...]:
    """Warnings on the images of one lesion; none where nothing looks wrong.

    Args:
        pictures: "clinical" and/or "dermoscopy" -> RGB picture of any size (`read_image`),
            or None where it is missing.
    """
    given = {name: picture for name, picture in pictures.items() if picture is not None}
    return check_thumbnails([thumbnails({name: np.array(picture) for name, picture in given.items()}, given)])[0]


def thumbnails(pixels: Mapping[str, np.ndarray], pictures: Mapping[str, Image.Image] | None = None) -> Thumbnails:
    """All that `check_thumbnails` needs of the images of one lesion, (H, W, 3) uint8 RGB each.

    Args:
        pictures: the same as `read_image` gave them, which know more of their files than pixels tell.
    """
    damages = {name: damage(picture) for name, picture in (pictures or {}).items()}
    return {
        name: Thumbnail(thumbnail(of), max(of.shape[:2]) / min(of.shape[:2]), damages.get(name))
        for name, of in pixels.items()
    }


def check_thumbnails(lesions: Sequence[Thumbnails]) -> list[tuple[InputWarning, ...]]:
    """`check_images` of several lesions, in less time than one after the other."""
    thumbs = [thumb.pixels for lesion in lesions for thumb in lesion.values()]
    if not thumbs:
        return [()] * len(lesions)
    found = bundled()
    scores = iter(found.scores(describe(stacked(thumbs))))
    pairs = [[thumb.pixels for thumb in lesion.values()] for lesion in lesions if len(lesion) == 2]
    apart = iter(differences(*map(stacked, zip(*pairs))).tolist() if pairs else ())
    return [
        _warnings(
            lesion,
            {name: next(scores) for name in lesion},
            len(lesion) == 2 and next(apart) < found.limits.same,
            found.limits,
        )
        for lesion in lesions
    ]


def _warnings(lesion: Thumbnails, scores: Mapping[str, Scores], same: bool, limits: Limits) -> tuple[InputWarning, ...]:
    """On one lesion; `same` says that its two images are one picture."""
    warnings = [warning for name, thumb in lesion.items() for warning in _file(name, thumb)]
    warnings += [warning for name, thumb in lesion.items() for warning in _quality(name, thumb, scores[name], limits)]
    if same:
        message = "both images are the same picture: give the clinical photo and the dermoscopy image of the lesion"
        return InputWarning("identical", tuple(scores), message), *warnings
    doubtful = {name for warning in warnings if warning.code in _DOUBTFUL for name in warning.images}
    odds = {name: of.dermoscopy for name, of in scores.items()}
    return *_kinds(odds, doubtful, limits), *warnings


def _kinds(odds: Mapping[str, float], doubtful: Collection[str], limits: Limits) -> list[InputWarning]:
    """Are the images what they were given as? Of what may be no lesion at all only the plainest evidence counts."""
    if len(odds) == 2:
        apart = odds["dermoscopy"] - odds["clinical"]
        if apart < (limits.dermoscopy - limits.clinical if doubtful else limits.pair):
            message = (
                "the two images look swapped: the one given as clinical photo looks more like dermoscopy than the "
                "other; check their order"
            )
            return [InputWarning("swapped", tuple(_NAMES), message)]
    wrong = {
        "clinical": odds.get("clinical", -math.inf) > limits.clinical,
        "dermoscopy": odds.get("dermoscopy", math.inf) < limits.dermoscopy,
    }
    others = {"clinical": _NAMES["dermoscopy"], "dermoscopy": _NAMES["clinical"]}
    return [
        InputWarning(
            "wrong_kind",
            (name,),
            f"the {_NAMES[name]} looks like a {others[name]}; check that it is the right picture, in the right place",
        )
        for name in wrong
        if wrong[name] and name not in doubtful
    ]


def _file(name: str, thumb: Thumbnail) -> list[InputWarning]:
    """What is wrong with one image as a file."""
    found = []
    if thumb.ratio > _NARROW:
        shape = f"is {thumb.ratio:.1f} times as long as wide, a strip; give the whole picture of the lesion"
        found.append(InputWarning("narrow", (name,), f"the {_NAMES[name]} {shape}"))
    end = thumb.damage or (GRAY if _gray_edge(thumb.pixels) else None)
    if end is not None:
        found.append(InputWarning("damaged", (name,), f"the {_NAMES[name]} {_ENDS[end]}"))
    return found


def _gray_edge(pixels: np.ndarray) -> bool:
    """Whether one side is of the gray of missing data: of pictures that were turned, or given as arrays, it may be any."""
    sides = [side == _UNDECODED for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])]
    # the data end at one end of a side; a frame of that gray is on the opposite side as well
    ends = [[side[part].all() for part in (slice(SIDE // 4), slice(-(SIDE // 4), None))] for side in sides]
    return any(
        one and not other
        for first, second in (ends[:2], ends[2:])
        for one, other in zip(first + second, second + first)
    )


def _quality(name: str, thumb: Thumbnail, scores: Scores, limits: Limits) -> list[InputWarning]:
    """What is wrong with one image: with its light, and else with what it shows."""
    light = {
        "dark": (scores.dark > limits.dark, "is too dark; take it again with more light"),
        "bright": (scores.bright > limits.bright, "is too bright; take it again with less light"),
        "uniform": (scores.flat > limits.flat, "is nearly uniform: no lesion can be made out in it"),
    }
    content = {
        "no_lesion": (
            scores.other > limits.other,
            "has no colours, as the images that amfzoo was trained on have; do not rely on the answer"
            if np.ptp(thumb.pixels, axis=2).max() <= _GRAY
            else "does not look like skin with a lesion; check that it is the right file",
        ),
        "blurred": (scores.blur > limits.blur, "is blurred, or very small; take or export it again, in focus"),
        "far": (
            scores.distance > limits.distance,
            "is unlike the images that amfzoo was trained on; do not rely on the answer",
        ),
    }
    found = [code for code in light if light[code][0]][:1]
    seen = [code for code in content if content[code][0]][:1]
    # bad light alone makes a picture soft or unusual
    found += seen if not found or (found == ["bright"] and seen == ["no_lesion"]) else []
    return [InputWarning(code, (name,), f"the {_NAMES[name]} {(light | content)[code][1]}") for code in found]
