"""Measure the input guards on lesions that nothing was chosen on, and on pictures that are no lesions.

    python examples/measure_guards.py --milk10k MILK10k --split split.csv --figures results/guards.json

`--split` is that of `train_guards.py`, whose figures are kept; the lesions of `valid` are measured. Everyday
photographs are taken from scikit-image, scikit-learn and matplotlib where these are installed.
Needs `pip install 'amfzoo[train]'`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from sklearn.metrics import roc_auc_score

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.files import replacing
from amfzoo.guards.check import check_images
from amfzoo.guards.detectors import Scores, bundled
from amfzoo.guards.drawings import KINDS, draw_other
from amfzoo.guards.features import describe, thumbnail
from amfzoo.images import read_image

PHOTOS = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
# drawings, charts and texts among them
NO_PHOTOS = ("logo", "color", "phantom", "minduka", "topobathy", "multipage", "chessboard", "horse", "text", "page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milk10k", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", type=Path, required=True, metavar="FILE")
    parser.add_argument("--figures", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    lesions = read_split(load_source(f"milk10k:{args.milk10k}"), args.split)
    figures = json.loads(args.figures.read_text(encoding="utf-8")) if args.figures.exists() else {}
    held_out = complete(lesions, "valid")
    figures |= {"valid": measure_lesions(held_out), "no_lesions": measure_others(held_out)}
    with replacing(args.figures) as unfinished:
        unfinished.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def complete(lesions: LesionSet, split: str) -> list[Lesion]:
    """The lesions of a split that have both images."""
    return [lesion for lesion in lesions.split(split) if lesion.clinical and lesion.dermoscopy]


def described(thumbs: Iterable[np.ndarray]) -> np.ndarray:
    """(N, F) features of thumbnails."""
    return np.concatenate([describe(thumb[None]) for thumb in thumbs])


def agreement(scores: np.ndarray) -> dict[str, Any]:
    """How well the kinds are told apart, of rows clinical, dermoscopy, clinical, ..."""
    odds = scores[:, Scores._fields.index("dermoscopy")].reshape(-1, 2)
    truth = np.tile([0, 1], len(odds))
    return {
        "pairs": len(odds),
        "auroc": round(float(roc_auc_score(truth, odds.ravel())), 5),
        "right_pairs_that_look_swapped": int((odds[:, 1] < odds[:, 0]).sum()),
    }


def _codes(pictures: dict[str, Image.Image]) -> set[str]:
    return {warning.code for warning in check_images(pictures)}


def measure_lesions(lesions: Sequence[Lesion]) -> dict[str, Any]:
    """On lesions that nothing was chosen on."""
    pictures = [{"clinical": read_image(x.clinical), "dermoscopy": read_image(x.dermoscopy)} for x in lesions]
    swapped = [{"clinical": pair["dermoscopy"], "dermoscopy": pair["clinical"]} for pair in pictures]
    scores = _scores(picture for pair in pictures for picture in pair.values())
    right, wrong = ([_codes(pair) for pair in pairs] for pairs in (pictures, swapped))
    names = sorted({code for codes in right for code in codes})
    return {
        **agreement(scores),
        "false_alarms": {code: sum(code in codes for codes in right) for code in names},
        "right_pairs_with_any_warning": sum(map(bool, right)),
        "swapped_pairs_found": sum("swapped" in codes for codes in wrong),
        "swapped_pairs_with_any_warning": sum(map(bool, wrong)),
        "of_500_pairs_50_swapped": _trials(right, wrong),
        "single_images_said_to_be_of_the_wrong_kind": _singles(pictures),
        "faults_found": _faults([pair["dermoscopy"] for pair in pictures]),
    }


def _singles(pictures: list[dict[str, Image.Image]]) -> dict[str, float]:
    return {
        f"{name} given as {slot}": _share(["wrong_kind" in _codes({slot: pair[name]}) for pair in pictures])
        for name in ("clinical", "dermoscopy")
        for slot in ("clinical", "dermoscopy")
    }


def _faults(images: list[Image.Image]) -> dict[str, float]:
    """Share of dermoscopy images, each made faulty in one way, with the warning that belongs to it."""

    def share(code: str, change: Any) -> float:
        return _share([code in _codes({"dermoscopy": change(image)}) for image in images])

    def blur(amount: float) -> Any:
        return lambda image: image.filter(ImageFilter.GaussianBlur(amount * min(image.size)))

    twice = [{"clinical": image, "dermoscopy": image.reduce(2)} for image in images]
    return {
        "blurred, 1 % of the shorter side": share("blurred", blur(0.01)),
        "blurred, 2 %": share("blurred", blur(0.02)),
        "blurred, 4 %": share("blurred", blur(0.04)),
        "dark, a quarter of the light": share("dark", lambda image: image.point(lambda v: v / 4)),
        "bright, twice the light": share("bright", lambda image: image.point(lambda v: min(255, 2 * v))),
        "one picture twice, once at half the size": _share(["identical" in _codes(pair) for pair in twice]),
        "a tenth of a JPEG file zero, in its middle": _share(
            ["damaged" in _codes({"dermoscopy": read_image(_with_a_hole(image))}) for image in images]
        ),
        "a strip, the middle quarter of the height": share(
            "narrow", lambda image: image.crop((0, image.height * 3 // 8, image.width, image.height * 5 // 8))
        ),
    }


def _with_a_hole(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    data = stream.getvalue()
    first, last = len(data) * 9 // 20, len(data) * 11 // 20
    return data[:first] + bytes(last - first) + data[last:]


def measure_others(lesions: Sequence[Lesion]) -> dict[str, Any]:
    """Share of pictures that are no lesions at all with a warning on what they show, and AUROC of scores against lesions.

    Drawings of the same kinds, but not these, were trained on; photographs of other things were not.
    """
    photos = everyday()
    held_out = _scores(read_image(path) for x in lesions for path in (x.clinical, x.dermoscopy))
    quarters = [part for photo in photos.values() for part in _quarters(photo)]
    drawings = [draw_other(kind, seed) for kind in KINDS for seed in range(50)]
    sets = {"everyday_photographs": photos.values(), "quarters_of_them": quarters, "drawings": drawings}
    return {
        "everyday_photographs": {"count": len(photos), "warned": _warned(photos.values())},
        "quarters_of_them": {"count": len(quarters), "warned": _warned(quarters)},
        "photographs_missed": sorted(name for name, photo in photos.items() if not _warned([photo])),
        "auroc_of_scores": {name: _apart(held_out, _scores(few)) for name, few in sets.items()},
        "drawings": {kind: _warned(draw_other(kind, seed) for seed in range(50)) for kind in KINDS},
    }


def _scores(pictures: Iterable[Image.Image]) -> np.ndarray:
    return bundled().scores_array(described(map(thumbnail, pictures)))


def _apart(lesions: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """AUROC of two scores, that of `no_lesion` and that of `far`."""
    truth = np.repeat([0, 1], (len(lesions), len(others)))
    both = dict(zip(Scores._fields, np.concatenate([lesions, others]).T))
    return {name: round(float(roc_auc_score(truth, both[name])), 4) for name in ("other", "distance")}


def _warned(pictures: Iterable[Image.Image]) -> float:
    return _share([bool(_codes({"dermoscopy": picture}) - {"wrong_kind"}) for picture in pictures])


def _trials(right: list[set[str]], wrong: list[set[str]], draws: int = 1000) -> dict[str, Any]:
    """Many draws of 500 pairs with 50 of them swapped: the mean and the worst of each count."""
    random = np.random.default_rng(0)
    alarms, found = (np.array(["swapped" in codes for codes in sets]) for sets in (right, wrong))
    counts = []
    for _ in range(draws):
        drawn = random.permutation(len(right))[:500]
        counts.append((found[drawn[:50]].sum(), alarms[drawn[50:]].sum()))
    flagged, false = np.array(counts).T
    return {
        "draws": draws,
        "flagged_of_50": {"mean": float(flagged.mean()), "least": int(flagged.min())},
        "flagged_of_450_right": {"mean": float(false.mean()), "most": int(false.max())},
        "draws_with_at_least_48_and_at_most_10": int(((flagged >= 48) & (false <= 10)).sum()),
    }


def everyday() -> dict[str, Image.Image]:
    """Photographs that installed packages bring as samples."""
    found = {}
    for package, folder in PHOTOS.items():
        spec = find_spec(package)
        for file in sorted(Path(spec.origin).parent.joinpath(folder).glob("*")) if spec else ():
            if file.suffix in (".jpg", ".png") and not file.stem.lower().startswith(NO_PHOTOS):
                found[f"{package}/{file.name}"] = read_image(file)
    return found


def _quarters(picture: Image.Image) -> list[Image.Image]:
    x, y = picture.width // 2, picture.height // 2
    return [picture.crop((left, top, left + x, top + y)) for left in (0, x) for top in (0, y)]


def _share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / len(flags), 4)


if __name__ == "__main__":
    main()
