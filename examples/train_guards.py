"""Train the detectors of the input guards on real pairs; `measure_guards.py` measures them on lesions held out.

    python examples/train_guards.py --milk10k MILK10k --criteria criteria/images --split split.csv \\
        --figures results/guards.json
    python examples/measure_guards.py --milk10k MILK10k --split split.csv --figures results/guards.json

The first writes amfzoo/guards/detectors.npz. `--split` holds lesion_id and split ("train", "valid"), as `amfzoo train`
writes it; `--criteria` is a folder of dermoscopy images that are trained on as well. The size of the networks and all
limits come from folds within the training lesions. Needs `pip install 'amfzoo[train]'`.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure_guards import agreement, complete, described
from PIL import Image, ImageFilter
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from amfzoo.data.records import Lesion
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.files import replacing
from amfzoo.guards.detectors import FILE, Detectors, Limits, Scores, standardised
from amfzoo.guards.drawings import KINDS, draw_other
from amfzoo.guards.features import SIDE, differences, thumbnail
from amfzoo.images import read_image

FOLDS, SEEDS, EPOCHS = 5, 3, 30
SIZES = ((8, 0.3), (8, 1.0), (32, 1.0))  # hidden units of one network and the penalty on its weights
AXES = 15  # of the distance
# share of inner-fold images beyond each limit; few, for six guards look at two images each
BEYOND = {
    "kind": 0.001,
    "other": 0.0015,
    "blur": 0.0005,
    "distance": 0.001,
    "dark": 0.0005,
    "bright": 0.0005,
    "flat": 0.0002,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milk10k", type=Path, required=True, metavar="DIR")
    parser.add_argument("--criteria", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", type=Path, required=True, metavar="FILE")
    parser.add_argument("--figures", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is chosen
    lesions = read_split(load_source(f"milk10k:{args.milk10k}"), args.split)
    arrays, figures = train(complete(lesions, "train"), args.criteria)
    Detectors(arrays).save(FILE)
    with replacing(args.figures) as unfinished:
        unfinished.write_text(json.dumps({"training": figures}, indent=1) + "\n", encoding="utf-8")


def train(lesions: Sequence[Lesion], criteria: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of `Detectors`, and what the inner folds say."""
    random = np.random.default_rng(0)
    files = [path for lesion in lesions for path in (lesion.clinical, lesion.dermoscopy)]
    more = sorted(path for path in criteria.iterdir() if path.suffix in (".jpg", ".png"))
    thumbs = np.stack([thumbnail(read_image(path)) for path in (*files, *more)])
    pairs, kind = len(lesions), np.array([0, 1] * len(lesions) + [1] * len(more))
    fold = np.concatenate([np.repeat(random.integers(0, FOLDS, pairs), 2), random.integers(0, FOLDS, len(more))])
    features = described(thumbs)
    # other lamps and cameras, for what tells the kinds apart
    lit = described([_relit(thumb, random) for thumb in thumbs])
    blurred = described([_blurred(thumb, random.uniform(0.015, 0.05)) for thumb in thumbs])
    no_lesions = described(_no_lesions(thumbs, random))
    mean, scale = features.mean(0), features.std(0) + 1e-3
    same = float(differences(thumbs[: 2 * pairs : 2], thumbs[1 : 2 * pairs : 2]).min())

    def fitted(use: np.ndarray, size: tuple[int, float]) -> dict[str, np.ndarray]:
        def net(yes: np.ndarray, no: np.ndarray, name: str) -> dict[str, np.ndarray]:
            both = standardised(np.concatenate([no, yes]), mean, scale)
            return _net(name, both, np.repeat([0, 1], (len(no), len(yes))), *size)

        known = [np.concatenate([features[use & (kind == k)], lit[use & (kind == k)]]) for k in (0, 1)]
        seen = features[use]
        return {
            "mean": mean,
            "scale": scale,
            "limits": np.zeros(len(Limits._fields)),
            **net(known[1], known[0], "dermoscopy"),
            **net(no_lesions, seen, "other"),
            **net(blurred[use], seen, "blur"),
            **_distances([standardised(features[use & (kind == k)], mean, scale) for k in (0, 1)]),
        }

    inner = {size: np.zeros((len(thumbs), len(Scores._fields))) for size in SIZES}
    for size, scores in inner.items():
        for number in range(FOLDS):
            held = fold == number
            scores[held] = Detectors(fitted(~held, size)).scores_array(features[held])
    found = {size: agreement(scores[: 2 * pairs]) for size, scores in inner.items()}
    best = max(SIZES, key=lambda size: found[size]["auroc"])
    scores = inner[best][: 2 * pairs]  # limits are for pairs as they come, not for the criteria images
    limits = _limits(scores, same)
    figures = {
        "lesions": pairs,
        "dermoscopy_images_alone": len(more),
        "inner_folds": {f"{hidden} units, penalty {alpha:g}": found[hidden, alpha] for hidden, alpha in SIZES},
        "limits": {name: round(value, 4) for name, value in limits._asdict().items()},
    }
    return {**fitted(np.ones(len(thumbs), bool), best), "limits": np.array(limits)}, figures


def _limits(scores: np.ndarray, same: float) -> Limits:
    of = dict(zip(Scores._fields, scores.T))

    def above(name: str) -> float:
        return float(np.quantile(of[name], 1 - BEYOND[name]))

    clinical, dermoscopy = of["dermoscopy"].reshape(-1, 2).T
    return Limits(
        pair=0.0,  # a swapped pair is the mirror image of a right one
        clinical=float(np.quantile(clinical, 1 - BEYOND["kind"])),
        dermoscopy=float(np.quantile(dermoscopy, BEYOND["kind"])),
        same=min(3.0, same / 2),
        **{name: above(name) for name in ("other", "blur", "distance", "dark", "bright", "flat")},
    )


def _net(name: str, values: np.ndarray, yes: np.ndarray, hidden: int, alpha: float) -> dict[str, np.ndarray]:
    """Several networks with one hidden layer each, whose mean is again one such network."""
    found = [
        MLPClassifier(
            (hidden,), alpha=alpha, max_iter=EPOCHS, learning_rate_init=2e-3, batch_size=128, random_state=seed
        ).fit(values, yes)
        for seed in range(SEEDS)
    ]
    return {
        f"{name}_in": np.concatenate([net.coefs_[0] for net in found], 1),
        f"{name}_bias": np.concatenate([net.intercepts_[0] for net in found]),
        f"{name}_out": np.concatenate([net.coefs_[1][:, 0] for net in found]) / SEEDS,
        f"{name}_start": np.mean([net.intercepts_[1][0] for net in found]),
    }


def _distances(kinds: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    rows = []
    for values in kinds:
        variance, axes = np.linalg.eigh(np.cov(values.T))
        rest = max(variance[:-AXES].mean(), 1e-6)
        rows.append((values.mean(0), axes[:, -AXES:], variance[-AXES:], rest))
    return dict(zip(("centre", "axes", "variance", "rest"), map(np.stack, zip(*rows))))


def _relit(thumb: np.ndarray, random: np.random.Generator) -> np.ndarray:
    gain, gamma = random.uniform(0.8, 1.2) * random.uniform(0.9, 1.1, 3), random.uniform(0.8, 1.25)
    return np.clip((thumb / 255) ** gamma * gain * 255, 0, 255).astype(np.uint8)


def _blurred(thumb: np.ndarray, share: float) -> np.ndarray:
    """Out of focus by a Gaussian of a standard deviation of `share` of the side."""
    return np.asarray(Image.fromarray(thumb).filter(ImageFilter.GaussianBlur(share * SIDE)))


def _no_lesions(thumbs: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Drawings, and lesions recoloured, cut up and pasted together until none is left; no photograph."""
    found = [thumbnail(draw_other(kind, 10_000 + i)) for kind in KINDS for i in range(200)]
    found += [_recoloured(thumbs[i], random) for i in random.integers(0, len(thumbs), 2500)]
    found += [_tiled(thumbs, random) for _ in range(1500)]
    found += [_recoloured(_tiled(thumbs, random), random) for _ in range(1500)]
    return found + [_pasted(thumbs, random) for _ in range(1500)]


def _recoloured(thumb: np.ndarray, random: np.random.Generator) -> np.ndarray:
    how = random.integers(4)
    if how == 0:
        return 255 - thumb
    if how == 1:
        gray = thumb.mean(2, keepdims=True)
        return np.clip(gray + random.uniform(0, 0.15) * (thumb - gray) + random.normal(0, 6, 3), 0, 255).astype(
            np.uint8
        )
    return thumb[..., random.choice([(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])]


def _tiled(thumbs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    count = int(random.choice((2, 4, 8)))
    one, side, out = random.random() < 0.3, SIDE // count, np.empty_like(thumbs[0])
    source = thumbs[random.integers(len(thumbs))]
    for row, column in np.ndindex(count, count):
        if not one:
            source = thumbs[random.integers(len(thumbs))]
        y, x = random.integers(0, SIDE - side + 1, 2)
        tile = np.rot90(source[y : y + side, x : x + side], random.integers(4))
        out[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
    return out


def _pasted(thumbs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A picture cut by straight lines into parts, other things beyond them."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    out = thumbs[random.integers(len(thumbs))].copy()
    for _ in range(random.integers(1, 6)):
        angle, (left, top) = random.uniform(0, 2 * np.pi), random.uniform(0, SIDE, 2)
        beyond = np.cos(angle) * (x - left) + np.sin(angle) * (y - top) > 0
        other = _recoloured(thumbs[random.integers(len(thumbs))], random)
        out[beyond] = other[beyond] if random.random() < 0.7 else random.integers(0, 256, 3)
    return out


if __name__ == "__main__":
    main()
