"""95 % intervals by a bootstrap that draws patients.

Lesions of one patient are alike, so a bootstrap that draws lesions gives intervals that
are too narrow. Here groups (the patient, else the lesion) are drawn with replacement,
with all their cases (the cluster bootstrap; Field & Welsh, J R Stat Soc B 2007).

Intervals are percentile intervals (Efron & Tibshirani 1993, ch. 13): every bound is a
value that the score takes on some resample, so it stays in the score's range, and the
resamples of two models can be subtracted. BCa would need a jackknife over groups for
every class of every task, for little gain at the usual hundreds of groups. Where the
bootstrap cannot work, a proportion of exactly 0 or 1, the exact binomial bound
(Clopper & Pearson, Biometrika 1934) with the number of groups as the sample size is
given instead, which is conservative.

An average over classes is, on a resample that lacks one, over the others. To leave such resamples out would make
intervals of macro-F1 too narrow: on lesions like the held-out ones of MILK10k they then hold the truth in 80 %, as they
are in 92 % (`benchmarks/interval_coverage.py`; rare classes are resampled from too few lesions either way).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from . import weighted
from .cases import Cases
from .metrics import Score, task_scores

if TYPE_CHECKING:
    from .seeds import SeedScore

RESAMPLES, LEVEL = 1000, 0.95
BIASED = frozenset({"ece"})  # scores that resampling makes larger
FEW_GROUPS = 10  # below, a percentile interval says little
FEW_POSITIVES = 5  # patients or lesions of a class, or of all others, below which its ranking scores get no interval: too few to resample
RANKING = ("auroc", "average_precision")
AVERAGES = ("balanced_accuracy", "macro_f1", "auroc", "average_precision")  # over classes, each with the same weight
SAME = "no interval: the same on nearly every resample"
EXACT = "exact binomial bound"
UNCERTAIN = "interval uncertain"
TOO_FEW = "no interval: too few cases, most resamples lack a class"
_FROM_FEW = "interval from only"
_CELLS = 4_000_000  # weights in memory at a time: 32 MB
_LEAST_DEFINED = 0.5  # share of resamples on which a score must be defined to have an interval

Statistic = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # (R, N) weights -> {name: (R,)}


def check_settings(resamples: int, seed: int, level: float) -> None:
    """Raise ConfigError, naming the setting, if no interval can be made with them."""
    for name, number in (("resamples", resamples), ("seed", seed)):
        if not isinstance(number, Integral) or number < 0:
            raise ConfigError(f"{name} must be a whole number of at least 0, got {number!r}")
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ConfigError(f"the level of intervals must lie between 0 and 1, such as 0.95, got {level!r}")


def group_weights(groups: Sequence[str], resamples: int, seed: int, chunk: int | None = None) -> Iterator[np.ndarray]:
    """How often each case is drawn, (R, N) float arrays with `resamples` rows in all.

    Groups are drawn with replacement, as many as there are.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    chunk = chunk or max(1, _CELLS // max(1, len(index)))
    shares = np.full(len(names), 1 / len(names))
    for start in range(0, resamples, chunk):
        drawn = rng.multinomial(len(names), shares, size=min(chunk, resamples - start))
        yield drawn[:, index].astype(float)


def resample(
    statistic: Statistic, groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, np.ndarray]:
    """{name: (resamples,)} values of a statistic on bootstrap resamples of groups.

    Args:
        statistic: (R, N) weights -> {name: (R,)}.
        groups: N group names; at least one.
    """
    parts = [statistic(weights) for weights in group_weights(groups, resamples, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentile(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The central `level` share of the resamples; NaN if the score is undefined on half of them."""
    finite = values[np.isfinite(values)]
    if len(finite) < max(1, _LEAST_DEFINED * len(values)):
        return math.nan, math.nan
    low, high = np.percentile(finite, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def with_intervals(
    points: Mapping[str, Score],
    statistic: Statistic,
    groups: Sequence[str],
    *,
    binomial: Mapping[str, np.ndarray] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Score]:
    """`points` with their intervals.

    Args:
        points: name -> score on the cases themselves.
        statistic: gives the same names on resamples.
        groups: N group names.
        binomial: name -> (N,) bool, the cases that a proportion is of; these scores
            get an exact bound where they are 0 or 1, and say where these cases are of few groups.
        resamples: 0 leaves the intervals out.

    Raises:
        ConfigError: see `check_settings`.
    """
    check_settings(resamples, seed, level)
    if not resamples or not any(math.isfinite(score.value) for score in points.values()):
        return dict(points)
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        return {
            name: Score(s.value, note=s.note or "no interval: one patient or lesion only") for name, s in points.items()
        }
    draws = resample(statistic, groups, resamples=resamples, seed=seed)
    found = {}
    for name, score in points.items():
        if not math.isfinite(score.value):
            found[name] = score
            continue
        own = name in (binomial or {})
        count = len(np.unique(index[binomial[name]])) if own else len(names)
        if own and score.value in (0.0, 1.0):
            found[name] = exact(score.value, count, level)
        else:
            found[name] = percentile_score(score.value, _centred(name, score.value, draws[name]), count, level)
    return found


def _centred(name: str, value: float, draws: np.ndarray) -> np.ndarray:
    """Draws of the scores in `BIASED` moved so that their median is the value; others as they are.

    A resample has fewer distinct cases, so its bins are rougher and its calibration error is
    larger than that of the cases, as theirs is larger than the truth.
    """
    if name not in BIASED or not np.isfinite(draws).any():
        return draws
    return np.maximum(draws - np.nanmedian(draws) + value, 0)


def percentile_score(value: float, draws: np.ndarray, groups: int, level: float = LEVEL) -> Score:
    """A score with the interval that its draws give, and what is to be said of one from `groups` patients or lesions."""
    low, high = percentile(draws, level)
    if math.isnan(low):
        return Score(value, note=TOO_FEW)
    if low == high:
        return Score(value, note=SAME)
    return Score(value, low, high, few_groups(groups))


def few_groups(groups: int) -> str:
    """What is to be said of an interval from that many patients or lesions; empty where they are enough."""
    return f"{_FROM_FEW} {groups} patients or lesions" if groups < FEW_GROUPS else ""


def exact(value: float, groups: int, level: float = LEVEL) -> Score:
    """A proportion of exactly 0 or 1 with its two-sided binomial bound for `groups` independent groups."""
    bound = ((1 - level) / 2) ** (1 / groups)
    low, high = (bound, 1.0) if value == 1 else (0.0, 1 - bound)
    return Score(value, low, high, f"{EXACT}, {groups} independent patients or lesions")


def score_intervals(
    cases: Cases, task: str, *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Score]:
    """Every score of one task (see `metrics`), with intervals.

    Args:
        cases: those whose class is known count.
        resamples: of the bootstrap over patients (lesions where these are unknown); 0 leaves the intervals out.
        seed: of the bootstrap.
        level: of the intervals.

    Returns:
        {score: Score}, those of a class as "score:class".

    Raises:
        ConfigError: no such task, or a setting out of range.
    """
    known = cases.select(cases.known(task))
    labels, probabilities, classes = known.labels[task], known.probabilities[task], known.tasks[task]
    found = with_intervals(
        task_scores(known, task),
        lambda weights: weighted.task_scores(labels, probabilities, weights, classes),
        known.groups,
        binomial=proportions(labels, probabilities, classes),
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return withhold(found, known, task)


def withhold(found: Mapping[str, Score], cases: Cases, task: str) -> dict[str, Score]:
    """Take away the intervals that a few cases of a class, or of all others, cannot carry, and mark the averages over rare classes.

    Args:
        found: scores with intervals, of `cases`, which are all of known class.
    """
    rare = rare_classes(cases, task)
    changed = dict(found)
    for name, note in withheld(cases, task).items():
        if name in found and math.isfinite(found[name].low):
            changed[name] = Score(found[name].value, note=note)
    for name in AVERAGES:
        if rare and name in found and math.isfinite(found[name].low):
            changed[name] = Score(found[name].value, found[name].low, found[name].high, uncertain(rare))
    return changed


def uncertain(rare: Sequence[str]) -> str:
    """What is to be said of the interval of an average over classes that are too rare to resample."""
    return f"{UNCERTAIN}: fewer than {FEW_POSITIVES} patients or lesions of {', '.join(rare)}"


def is_uncertain(score: Score | SeedScore) -> bool:
    """Whether it has an interval, and this is of an average over classes that are too rare to resample."""
    return math.isfinite(score.low) and score.note.startswith(UNCERTAIN)


def is_from_few(score: Score | SeedScore) -> bool:
    """Whether it has an interval, and this is from fewer than `FEW_GROUPS` patients or lesions."""
    return math.isfinite(score.low) and score.note.startswith(_FROM_FEW)


def withheld(
    cases: Cases, task: str, of_class: Sequence[str] = RANKING, of_rest: Sequence[str] = RANKING
) -> dict[str, str]:
    """{"score:class": why it gets no interval}: `of_class` where the class is rare, `of_rest` where all others together are.

    A ranking of two sides is no surer than the smaller one: with two classes both have the same AUROC, and the average
    precision of the frequent one loses what it loses to the few cases of the other.
    """
    rest = f"no interval: fewer than {FEW_POSITIVES} patients or lesions of the other classes"
    own = f"no interval: fewer than {FEW_POSITIVES} patients or lesions of this class"
    found = {f"{score}:{label}": rest for label in _rare(cases, task, rest=True) for score in of_rest}
    return found | {f"{score}:{label}": own for label in rare_classes(cases, task) for score in of_class}


def rare_classes(cases: Cases, task: str) -> list[str]:
    """Classes that occur, but in too few patients or lesions to resample."""
    return _rare(cases, task, rest=False)


def _rare(cases: Cases, task: str, *, rest: bool) -> list[str]:
    """Classes of which there are some patients or lesions, but too few to resample; with `rest`, of all others together."""
    known = cases.known(task)
    groups, labels = np.asarray(cases.groups, dtype=str)[known], cases.labels[task][known]
    count = {name: len(np.unique(groups[(labels == c) != rest])) for c, name in enumerate(cases.tasks[task])}
    return [name for name, n in count.items() if 0 < n < FEW_POSITIVES]


def proportions(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """(N,) bool per score that is a proportion: the cases that it is a proportion of."""
    predicted = probabilities.argmax(1)
    found = {"accuracy": np.ones(len(labels), dtype=bool)}
    for i, name in enumerate(classes):
        found |= {
            f"sensitivity:{name}": labels == i,
            f"specificity:{name}": labels != i,
            f"precision:{name}": predicted == i,
        }
    return found
