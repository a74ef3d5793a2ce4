"""Do the maps of `amfzoo.explain` show what moves the answer? Measured where the place of every finding is known, or on photographs.

    amfzoo data draw --out drawn --count 200
    python benchmarks/explain_faithfulness.py --model amf_small --data drawn [--split test] [--cases 200]
    python benchmarks/explain_faithfulness.py --model amf_small --data milk10k:FOLDER --splits split.csv --split valid --cases 100

For each drawn lesion and each finding that it has and the weights know, the map of that
finding's class is held against its mask; of another task, such as the diagnosis, the map of
the most probable class against the lesion's outline. Both images are looked at.

    pointing  share of maps whose strongest place lies in the mask, or within `--tolerance` of it
              (Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018);
              an empty map misses
    deletion  mean probability of the class while the pixels are replaced, strongest first, by the usual
              colour of the picture's edge or, with `--taken blur`, by those of the blurred picture
              (Petsiuk et al., "RISE", BMVC 2018, arXiv 1806.07421; Fong & Vedaldi, "Interpretable
              explanations of black boxes by meaningful perturbation", ICCV 2017): the lower, the
              better the map knows what the answer rests on. Maps of `--method occlusion` are made
              with the edge's colour: judge them by the blurred picture

Each is compared with random maps: the same cells, shuffled. Prints JSON per image and task:
both figures, those of random maps, and the difference with its 95 % bootstrap interval over
lesions (positive where the map is better). `unlike_random` is true where the interval lies
above 0. Deletion is compared with a map that is strongest in the middle of the picture as well, where
lesions mostly are: a map that is no better tells nothing about its lesion. Of photographs nobody
drew masks, so there is deletion alone, for tasks that are no criteria. Weights that cannot tell a finding cannot point at it either: read the figures beside
those of `amfzoo evaluate` on the same set.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from amfzoo import PairNetwork, create_model
from amfzoo.data.records import SPLITS, Lesion, evenly_spaced
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.data.synthetic import read_masks
from amfzoo.evaluation.intervals import percentile, resample
from amfzoo.explain import explain
from amfzoo.explain.occlusion import edge_colour
from amfzoo.inference.batch import BRANCHES, calibrated, stack
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.labels import CHECKLIST
from amfzoo.memory import keep_freed_memory

STEPS = 11  # points of a deletion curve, from 0 % to 100 % of the pixels
RESAMPLES = 2000
TAKEN = ("edge", "blur")  # what stands in the place of pixels that are taken away
BLURRED_SIDE = 6  # pixels of a blurred picture before it is enlarged: colours stay, structure and outline go


class Case(NamedTuple):
    """A drawn pair: its pictures, its classes, and per image where each finding and the lesion lie."""

    name: str
    images: dict[str, Path]
    labels: dict[str, str]
    masks: dict[str, dict[str, np.ndarray]] | None  # None for a photograph


class Figures(NamedTuple):
    """Of one map: whether it points right, and its deletion score; the means of random maps beside them, and the middle's."""

    hit: float  # NaN without a mask
    random_hit: float
    deletion: float
    random_deletion: float
    centre_deletion: float
    empty: bool


def read_cases(folder: Path, count: int | None = None, split: str | None = None) -> Iterator[Case]:
    """The cases of a set that `amfzoo data draw` drew in the layout "csv", or those of one split."""
    drawn = load_source(folder / "lesions.csv")
    for lesion in (drawn if split is None else drawn.split(split)).lesions[:count]:
        yield _case(folder, lesion)


def _case(folder: Path, lesion: Lesion) -> Case:
    masks = {name: read_masks(folder / "masks" / f"{int(lesion.id):06}_{name}.png") for name in BRANCHES}
    return Case(lesion.id, {name: getattr(lesion, name) for name in BRANCHES}, dict(lesion.labels), masks)


def photographs(source: str, splits: Path | None, count: int | None = None, split: str | None = None) -> Iterator[Case]:
    """Whole pairs of any source, evenly spaced."""
    lesions = load_source(source)
    lesions = lesions if splits is None else read_split(lesions, splits)
    whole = [one for one in (lesions if split is None else lesions.split(split)) if one.clinical and one.dermoscopy]
    for lesion in evenly_spaced(whole, count or len(whole)):
        yield Case(lesion.id, {name: getattr(lesion, name) for name in BRANCHES}, dict(lesion.labels), None)


def targets(network: PairNetwork, case: Case) -> Iterator[tuple[str, str | None, str]]:
    """(task, class or None for the most probable one, name of the mask) of what can be looked for."""
    for task, classes in network.tasks.items():
        if task not in CHECKLIST:
            yield task, None, "lesion"
            continue
        if case.masks is None:
            continue
        truth = case.labels[task]
        label = truth if truth in classes else "present"
        if truth != "absent" and label in classes:
            yield task, label, task


def points_into(heat: np.ndarray, mask: np.ndarray, tolerance: float) -> bool:
    """Whether the strongest place of a map (H, W) lies in a mask, or nearer than `tolerance` of the longer side."""
    if not heat.any():
        return False
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    rows, columns = np.nonzero(mask)
    return bool(np.hypot(rows - y, columns - x).min() <= tolerance * max(mask.shape))


def deletion_score(
    network: PairNetwork,
    inputs: dict[str, np.ndarray],
    branch: str,
    cells: np.ndarray,
    target: tuple[str, str],
    rng: np.random.Generator,
    taken: str = "edge",
) -> float:
    """Mean probability of `target` (task, class) while one image is taken away, strongest cells first.

    Args:
        inputs: branch -> (3, H, W) network input.
        cells: (h, w) map over that input.
        taken: one of `TAKEN`.
    """
    pixels = inputs[branch]
    height, width = pixels.shape[1:]
    sheet = Image.fromarray(np.ascontiguousarray(cells, np.float32))
    heat = np.asarray(sheet.resize((width, height), Image.Resampling.BILINEAR)).ravel()
    order = np.lexsort((rng.random(heat.size), -heat))  # places of equal strength go in random order
    instead = _blurred(pixels) if taken == "blur" else np.broadcast_to(edge_colour(pixels)[:, None, None], pixels.shape)
    instead = instead.reshape(3, -1)
    rows = []
    for gone in np.linspace(0, heat.size, STEPS).astype(int):
        left = pixels.reshape(3, -1).copy()
        left[:, order[:gone]] = instead[:, order[:gone]]
        rows.append({**inputs, branch: left.reshape(pixels.shape)})
    logits = torch_logits(network, stack(rows, network.preprocess))
    task, label = target
    return float(calibrated(logits, network.config.temperatures)[task][:, network.tasks[task].index(label)].mean())


def _blurred(pixels: np.ndarray) -> np.ndarray:
    """(3, H, W) shrunk to a few pixels and enlarged again."""
    height, width = pixels.shape[1:]
    sheets = [Image.fromarray(channel).resize((BLURRED_SIDE,) * 2, Image.Resampling.BOX) for channel in pixels]
    return np.stack([np.asarray(sheet.resize((width, height), Image.Resampling.BICUBIC)) for sheet in sheets])


def measure(
    network: PairNetwork,
    cases: Iterable[Case],
    *,
    method: str = "hirescam",
    stride: int | None = None,
    draws: int = 5,
    tolerance: float = 0.03,
    taken: str = "edge",
    seed: int = 0,
) -> dict[tuple[str, str], dict[str, Figures]]:
    """{(branch, task): {case: figures of its map}}; `draws` random maps stand beside each."""
    found: dict[tuple[str, str], dict[str, Figures]] = defaultdict(dict)
    rng = np.random.default_rng(seed)
    for case in cases:
        seen = explain(network, **case.images)
        inputs = {name: preprocess(case.images[name]) for name, preprocess in network.preprocess.items()}
        for task, label, mask_name in targets(network, case):
            row = seen.probabilities[task]
            label = label or max(row, key=row.__getitem__)
            for branch in network.preprocess:
                mask = None if case.masks is None else case.masks[branch][mask_name]
                if mask is not None and not mask.any():  # finer than the picture's pixels
                    continue
                region = seen.class_map(branch, task, label, method=method, stride=stride)
                hits, deletions = [], []
                for draw in range(draws + 1):
                    cells = (
                        region.cells if draw == 0 else rng.permutation(region.cells.ravel()).reshape(region.cells.shape)
                    )
                    heat = region.placement.to_picture(cells)
                    hits.append(np.nan if mask is None else points_into(heat, mask, tolerance))
                    deletions.append(deletion_score(network, inputs, branch, cells, (task, label), rng, taken))
                middle = deletion_score(network, inputs, branch, _middle(region.cells.shape), (task, label), rng, taken)
                found[branch, task][case.name] = Figures(
                    float(hits[0]),
                    float(np.mean(hits[1:])),
                    deletions[0],
                    float(np.mean(deletions[1:])),
                    middle,
                    region.empty,
                )
    return found


def _middle(shape: tuple[int, int]) -> np.ndarray:
    """A map of the given shape that falls off from its middle."""
    rows, columns = (np.linspace(-1, 1, size) for size in shape)
    return (2 - np.hypot(rows[:, None], columns)).astype(np.float32)


def summary(figures: Iterable[Figures], seed: int = 0) -> dict[str, object]:
    """Means over lesions, and the differences from random maps with their intervals."""
    table = np.array([tuple(map(float, one)) for one in figures])
    hit, random_hit, deletion, random_deletion, centre_deletion, empty = table.T
    found: dict[str, object] = {"cases": len(table), "empty_maps": int(empty.sum())}
    if not np.isnan(hit).any():
        found["pointing"] = _compared(hit, "random", random_hit, hit - random_hit, seed)
    found["deletion"] = _compared(deletion, "random", random_deletion, random_deletion - deletion, seed)
    found["deletion_middle"] = _compared(deletion, "middle", centre_deletion, centre_deletion - deletion, seed)
    return found


def _compared(values: np.ndarray, other: str, others: np.ndarray, better: np.ndarray, seed: int) -> dict[str, object]:
    return {
        "map": round(float(values.mean()), 3), other: round(float(others.mean()), 3), **_difference(better, other, seed)
    }  # fmt: skip


def _difference(values: np.ndarray, other: str, seed: int) -> dict[str, object]:
    lesions = [str(i) for i in range(len(values))]
    draws = resample(lambda weights: {"": weights @ values / weights.sum(1)}, lesions, resamples=RESAMPLES, seed=seed)
    low, high = percentile(draws[""])
    interval = {"difference": values.mean(), "low": low, "high": high}
    return {**{name: round(float(v), 3) for name, v in interval.items()}, f"unlike_{other}": bool(low > 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="amf_small", help="as for create_model; its weights are used")
    parser.add_argument("--data", required=True, help="folder that `amfzoo data draw` drew, or any source of pairs")
    parser.add_argument("--splits", type=Path, help="of such a source: a file of `amfzoo data split`")
    parser.add_argument("--cases", type=int, help="so many, the first of drawn ones; default all")
    parser.add_argument("--split", choices=SPLITS, help="cases of this split alone; default all")
    parser.add_argument("--method", default="hirescam", help="hirescam, gradcam or occlusion")
    parser.add_argument("--stride", type=int, help="of the feature map; default all that the network pools")
    parser.add_argument("--draws", type=int, default=5, help="random maps beside each map")
    parser.add_argument("--tolerance", type=float, default=0.03, help="share of the picture's longer side")
    parser.add_argument("--taken", choices=TAKEN, default="edge", help="what replaces pixels that are taken away")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    keep_freed_memory()
    options = {name: getattr(args, name) for name in ("method", "stride", "draws", "tolerance", "taken", "seed")}
    drawn = (Path(args.data) / "masks").is_dir()
    cases = (
        read_cases(Path(args.data), args.cases, args.split)
        if drawn
        else photographs(args.data, args.splits, args.cases, args.split)
    )
    found = measure(create_model(args.model, pretrained=True), cases, **options)
    results: dict[str, dict[str, object]] = defaultdict(dict)
    for (branch, task), figures in found.items():
        results[branch][task] = summary(figures.values(), args.seed)
    print(json.dumps({"model": args.model, **options, "results": results}, indent=2))


if __name__ == "__main__":
    main()
