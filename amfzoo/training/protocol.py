"""Several seeds of one training run, judged on the test split: what a paper reports.

The test split is touched once per run, after the epoch was chosen on validation.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.records import LesionSet
from ..errors import ConfigError
from ..models.called import called
from ..models.network import PairNetwork
from ..processes import is_first
from .api import FinetuneResult, finetune, settings_of
from .checkpoint import write_whole
from .config import TrainConfig
from .judged import check_images, judge, not_judged
from .own_start import refuse_own_start
from .run_folder import only_run, refuse_others, throw_away
from .splits import read_lesions, task_to_learn

if TYPE_CHECKING:
    from ..evaluation.cases import Cases
    from ..evaluation.seeds import SeedScore

logger = logging.getLogger("amfzoo")
LEADERBOARD_FILE, SCORES_FILE = "leaderboard.md", "leaderboard.json"


@dataclass(frozen=True)
class ProtocolResult:
    """What the runs give.

    Attributes:
        folder: of all runs; has leaderboard.md and leaderboard.json.
        runs: seed -> its run; ``runs[seed].folder / "model"`` can be pushed as it is.
        scores: of the test split, both images, over the runs; see `evaluation.seeds`.
    """

    folder: Path
    runs: Mapping[int, FinetuneResult]
    scores: Mapping[str, SeedScore]


def train_seeds(
    model: Any,
    source: Any,
    *,
    out: str | os.PathLike[str],
    seeds: Sequence[int],
    config: Any = None,
    progress: bool = True,
    device: str | None = None,
    resamples: int = 1000,
    **settings: Any,
) -> ProtocolResult | None:
    """Train once per seed, predict the test split with each, and write the leaderboard.

    The same call again goes on where a stopped one ended. Each seed has a folder
    ``seed-<n>`` in `out` with what `finetune` writes and ``test_<mode>.csv``, predictions of
    every test case from which `amfzoo evaluate` makes all figures again; its model's card
    has the test figures.

    Args:
        model, source, config, progress, device: as for `finetune`.
        seeds: of the runs, all different. They share the splits that the source gives.
        resamples: of the bootstrap.
        **settings: other arguments of `finetune`, but neither `out`, `seed` nor `ready`. What is overwritten are the runs
            of `seeds`; those of other seeds stay.

    Returns:
        The result; None in the processes of a torchrun that write nothing.

    Raises:
        ConfigError: nothing is labelled, or no lesion is for training, validation or testing; no test lesion of known class has an image that the
            network reads; no seed, or one twice.
        ImageError: a test image cannot be read, unless `on_bad_image` leaves such lesions out.
        TrainingError, TrainingStopped, and others: see `finetune`.
    """
    lesions = lesions_with_split(read_lesions(source), seeds)
    folder, test = Path(out).expanduser(), lesions.split("test")
    known = {name: value for name, value in settings.items() if name in TrainConfig.__dataclass_fields__}
    chosen = settings_of(settings.get("recipe", "default"), config, known)
    bad_image, seed_runs = chosen.on_bad_image, {seed: folder / f"seed-{seed}" for seed in seeds}
    refuse_own_start(seed_runs.values(), model, settings.get("backbone_weights"), chosen.teachers)
    if is_first():
        _check_test(test)
        check_images(test, bad_image)  # before hours are spent
        for path in seed_runs.values():
            refuse_others(path)
        if isinstance(model, PairNetwork) and model.untrained and len(seeds) > 1:
            logger.warning(
                "all %d runs start from the values of the given network, the random ones of %s too, so that their spread leaves "
                "out what other starts would change: name the model instead (network={...} changes it, `register_model` "
                "gives one of yours a name)",
                *(len(seeds), ", ".join(model.untrained)),
            )

    def ready(network: PairNetwork) -> None:
        _check_test(test, network.preprocess, bad_image)
        if settings.get("overwrite"):
            throw_away(list(seed_runs.values())[1:])
            for name in (LEADERBOARD_FILE, SCORES_FILE):
                (folder / name).unlink(missing_ok=True)

    with only_run(folder, is_first()):
        how: dict[str, Any] = {"config": config, "progress": progress, "device": device, **settings}
        # the first throws all of them away: what a later one finds is of this call, or of the one that it goes on from
        first, later = {**how, "ready": ready}, {**how, "overwrite": False}
        runs: dict[int, FinetuneResult] = {}
        for seed, path in seed_runs.items():
            runs[seed] = finetune(model, lesions, out=path, seed=seed, **(later if runs else first))
        if not is_first():
            return None
        how = {"device": device, "progress": progress, "resamples": resamples, "on_bad_image": bad_image}
        predicted = [judge(run.model, run.folder, test, **how) for run in runs.values()]
        scores = _scores(predicted, resamples)
        _write(folder, lesions, runs, predicted[0], scores)
        return ProtocolResult(folder, runs, scores["both"] if "both" in scores else next(iter(scores.values())))


def _check_test(test: LesionSet, *how: Any) -> None:
    """Raise ConfigError where no network can be judged on the test split. `how`: of `not_judged`."""
    if why := not_judged(test, *how):
        raise ConfigError(f"{why}, so nothing can be compared; give what is missing, or train one seed")


def lesions_with_split(lesions: LesionSet, seeds: Sequence[int]) -> LesionSet:
    """Without those of no split, which every seed would put elsewhere.

    Raises:
        ConfigError: none is for training, validation or testing, or nothing is labelled; no seed, or one twice.
    """
    task_to_learn(lesions)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds must be at least one, and all different, got {list(seeds)}")
    kept = lesions.select(lambda lesion: lesion.split is not None)
    if len(kept) < len(lesions):
        logger.warning("%s: %d lesions have no split and are left out", lesions.name, len(lesions) - len(kept))
    for split in ("train", "valid", "test"):
        if not len(kept.split(split)):
            raise ConfigError(
                f"{lesions.name}: several seeds are compared on one split of the lesions, and none is in {split!r}; "
                "add a split column, or make a file with `amfzoo data split --test 0.2` and name it with --splits"
            )
    return kept


def _scores(predicted: Sequence[Mapping[str, Cases]], resamples: int) -> dict[str, dict[str, SeedScore]]:
    """{mode: figures}, both images first; a single image has no intervals, to save time."""
    from ..evaluation.seeds import seed_scores

    first = next(iter(predicted[0]))
    return {
        mode: seed_scores([found[mode] for found in predicted], resamples=resamples if mode == first else 0)
        for mode in predicted[0]
    }


def _write(
    folder: Path,
    lesions: LesionSet,
    runs: Mapping[int, FinetuneResult],
    cases: Mapping[str, Cases],
    scores: Mapping[str, Mapping[str, SeedScore]],
) -> None:
    from ..evaluation.leaderboard import leaderboard

    network = next(iter(runs.values())).model
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    name = f"amfzoo {called(network.config)} ({parameters:.1f} M), {len(runs)} seed{'s' * (len(runs) > 1)}"
    text = leaderboard(name, next(iter(scores.values())), next(iter(cases.values())), remarks=_remarks(lesions))
    alone = {mode: found for mode, found in list(scores.items())[1:]}
    for mode, found in alone.items():
        key = "avg_accuracy" if "avg_accuracy" in found else next(iter(found))
        title = "AVG" if key == "avg_accuracy" else key.replace("_", " ")
        if math.isfinite(found[key].mean):
            text += f"\nWith the {mode} image alone the mean over the runs is {title} {100 * found[key].mean:.2f} %.\n"
    data = {
        "method": name, "data": lesions.name, "seeds": list(runs), "remarks": _remarks(lesions),
        "lesions": {mode: {"all": len(of), "known": {task: int(of.known(task).sum()) for task in of.tasks}} for mode, of in cases.items()},
        "scores": {mode: {key: score.to_dict() for key, score in found.items()} for mode, found in scores.items()},
    }  # fmt: skip
    write_whole(folder / SCORES_FILE, lambda file: file.write((json.dumps(data, indent=1) + "\n").encode()))
    write_whole(folder / LEADERBOARD_FILE, lambda file: file.write(text.encode()))


def _remarks(lesions: LesionSet) -> list[str]:
    """What keeps the figures from being comparable with the published ones."""
    from ..data.synthetic.tables import NOTE
    from ..evaluation.leaderboard import OFFICIAL

    found = []
    if any(lesion.metadata.get("notes") == NOTE for lesion in lesions):
        found.append("The pictures are drawn, not real: these figures say nothing of real lesions.")
    counts = {split: len(lesions.split(split)) for split in OFFICIAL}
    if lesions.name == "derm7pt" and counts != OFFICIAL:
        stated, official = (" / ".join(map(str, part.values())) for part in (counts, OFFICIAL))
        found.append(f"Not the official split: {stated} cases for train / valid / test, where that has {official}.")
    if lesions.name != "derm7pt":
        found.append(f"Measured on {lesions.name}, not on Derm7pt: published figures are not comparable.")
    return found
