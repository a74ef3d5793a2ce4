"""The answer for one pair. Plain Python: no torch, no numpy."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import PredictionError
from ..guards import InputWarning
from ..labels import (
    CHECKLIST,
    DIAGNOSIS,
    REFER_ORIGINAL,
    class_titles,
    criterion_bounds,
    criterion_points,
    seven_point_score,
)

RESEARCH_ONLY = "Research software, not a medical device."


class PredictionSet(NamedTuple):
    """The classes among which the true one is, most probable first, with probability `coverage`.

    Holds on average over lesions like those that the weights were calibrated on; split
    conformal prediction, see `amfzoo.evaluation.fit_conformal`.
    """

    classes: tuple[str, ...]
    coverage: float


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one lesion, by task and class.

    Attributes:
        probabilities: {task: {class: p}}; a softmax per task, so each sums to 1,
            after the temperatures of the weights.
        model: which weights answered, and in which precision where that is not fp32: "amf_small.open (bf16)" in torch,
            "amf_small.open (bf16 on openvino)".
        missing: the images that were not given ("clinical" or "dermoscopy").
        sets: {task: PredictionSet}, where the weights were calibrated for it and no
            image is missing.
        warnings: what the input guards found, where they were not turned off; and "untrained" where a
            task's head was never trained.
        reads: the images that the network reads.
        operating_points: {task: {class: p}} of two-class tasks: `called` says this class from this
            probability on, and the other below.

    Raises:
        PredictionError: a probability is not a number in [0, 1], or a task's do not
            sum to 1.
    """

    probabilities: Mapping[str, Mapping[str, float]]
    model: str = ""
    missing: tuple[str, ...] = ()
    sets: Mapping[str, PredictionSet] = field(default_factory=dict)
    warnings: tuple[InputWarning, ...] = ()
    reads: tuple[str, ...] = ("clinical", "dermoscopy")
    operating_points: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for task, row in self.probabilities.items():
            try:
                sound = all(0 <= p <= 1 for p in row.values()) and math.isclose(sum(row.values()), 1, abs_tol=1e-4)
            except (AttributeError, TypeError) as error:
                raise PredictionError(
                    f"task {task!r}: give {{class: probability}} with numbers, not {row!r:.200}"
                ) from error
            if not sound:
                raise PredictionError(
                    f"task {task!r}: {dict(row)} are not probabilities; "
                    "the weights are damaged or an input is not finite"
                )

    @property
    def diagnosis(self) -> dict[str, float]:
        """{class: p} of the task "diagnosis"; empty if the weights have none."""
        return dict(self.probabilities.get(DIAGNOSIS, {}))

    @property
    def checklist(self) -> dict[str, dict[str, float]]:
        """{criterion: {class: p}} of the seven-point criteria that the weights know; may be empty."""
        return {name: dict(self.probabilities[name]) for name in CHECKLIST if name in self.probabilities}

    def top(self, task: str = DIAGNOSIS) -> tuple[str, float]:
        """The most probable class of a task, and its probability.

        Raises:
            PredictionError: the weights do not have the task.
        """
        if task not in self.probabilities:
            raise PredictionError(f"these weights have no task {task!r}; they have {', '.join(self.probabilities)}")
        row = self.probabilities[task]
        best = max(row, key=row.__getitem__)
        return best, row[best]

    def called(self, task: str = DIAGNOSIS) -> tuple[str, float]:
        """The class that these weights call, and its probability.

        That is the most probable one (`top`), but where the weights have an operating point for the task the class that
        this says: a rare criterion seldom reaches one half. Operating points of criteria hold with dermoscopy, and are left out without.

        Raises:
            PredictionError: the weights do not have the task.
        """
        best, p = self.top(task)
        for label, threshold in self.operating_point(task).items():
            row = self.probabilities[task]
            best = label if row[label] >= threshold else next(name for name in row if name != label)
            p = row[best]
        return best, p

    def operating_point(self, task: str) -> Mapping[str, float]:
        """{class: p} that `called` goes by; empty where it says the most probable class."""
        return {} if task in CHECKLIST and self.lacks_dermoscopy else self.operating_points.get(task, {})

    @property
    def findings(self) -> dict[str, str]:
        """{criterion: class that is called} of the seven-point criteria that the weights know; may be empty."""
        return {name: self.called(name)[0] for name in self.checklist}

    @property
    def lacks_dermoscopy(self) -> bool:
        """Whether the image that the seven-point criteria are defined on was missing, or is not read."""
        return "dermoscopy" in self.missing or "dermoscopy" not in self.reads

    @property
    def seven_point_note(self) -> str | None:
        """Why there is no seven-point score; None if there is one."""
        if self.checklist and self.lacks_dermoscopy:
            reason = (
                "the dermoscopy image was missing" if "dermoscopy" in self.reads else "the network reads no dermoscopy"
            )
            return f"no seven-point score: its criteria are dermoscopic, and {reason}"
        absent = [name for name in CHECKLIST if name not in self.probabilities]
        if len(absent) == len(CHECKLIST):
            return "no seven-point score: these weights have no checklist tasks"
        coarse = [name for name, row in self.checklist.items() if criterion_points(name, row) is None]
        reasons = [f"these weights do not answer {_listed(absent)}"] if absent else []
        if coarse:
            reasons.append(f"{_listed(coarse)} lack the classes that the rule asks for")
        return f"no seven-point score: {'; '.join(reasons)}" if reasons else None

    @property
    def seven_point_score(self) -> int | None:
        """Score, 0 to 10, of the class that is called of each criterion; None without it (see `seven_point_note`)."""
        if self.seven_point_note:
            return None
        return seven_point_score(self.findings)

    @property
    def expected_seven_point_score(self) -> float | None:
        """Mean score under the probabilities, criteria taken one by one; None without it."""
        if self.seven_point_note:
            return None
        rows = self.checklist.items()
        return sum(p * CHECKLIST[name].points[label] for name, row in rows for label, p in row.items())

    @property
    def seven_point_bounds(self) -> tuple[int, int] | None:
        """Least and greatest score that the `findings` allow; None without any checklist task, or dermoscopy.

        Equal where there is a score. They differ where a criterion is not answered, or answered
        only as present where the rule asks for more; `seven_point_note` says which.
        """
        if not self.checklist or self.lacks_dermoscopy:
            return None
        low = high = 0
        for name, criterion in CHECKLIST.items():
            least, most = min(criterion.points.values()), max(criterion.points.values())
            if name in self.probabilities:
                least, most = criterion_bounds(name, self.probabilities[name])[self.called(name)[0]]
            low, high = low + least, high + most
        return low, high

    def refer(self, threshold: int = REFER_ORIGINAL) -> bool:
        """Whether the score reaches `threshold` (3: the original rule, 1: the revised one).

        Raises:
            PredictionError: the weights give no score.
        """
        score = self.seven_point_score
        if score is None:
            raise PredictionError(f"cannot apply the seven-point rule: {self.seven_point_note}")
        return score >= threshold

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data that JSON can hold."""
        score = self.seven_point_score
        return {
            "model": self.model,
            "missing": list(self.missing),
            "warnings": [{**found._asdict(), "images": list(found.images)} for found in self.warnings],
            "probabilities": {task: dict(row) for task, row in self.probabilities.items()},
            "top": {task: self.top(task)[0] for task in self.probabilities},
            "called": {task: self.called(task)[0] for task in self.probabilities},
            "operating_points": {task: dict(points) for task, points in self.operating_points.items()},
            "sets": {
                task: {"classes": list(found.classes), "coverage": found.coverage} for task, found in self.sets.items()
            },
            "seven_point": {
                "score": score,
                "expected_score": self.expected_seven_point_score,
                "bounds": self.seven_point_bounds and list(self.seven_point_bounds),
                "refer": None if score is None else self.refer(),
                "note": self.seven_point_note,
            },
        }

    def rows(self) -> list[tuple[str, str, str, float]]:
        """(task, class, name for people, p), tasks in order, most probable class first."""
        return [
            (task, label, class_titles(row).get(label, label) if task == DIAGNOSIS else label, p)
            for task, row in self.probabilities.items()
            for label, p in sorted(row.items(), key=lambda item: -item[1])
        ]

    def heading(self, task: str) -> str:
        """A task for people, and what is called of it where that is not simply its most probable class."""
        words = task.replace("_", " ")
        if task in CHECKLIST and self.lacks_dermoscopy:
            return f"{words} (dermoscopic: a guess)"
        for label, threshold in self.operating_point(task).items():
            words = f"{words}: {self.called(task)[0]} ({label} from {_share(threshold)} on)"
        return words

    def summary(self) -> str:
        """One line on the score, the prediction sets and the missing images."""
        score = self.seven_point_score
        parts = [self.seven_point_note or f"seven-point score {score} (expected {self.expected_seven_point_score:.1f})"]
        if score is None and self.seven_point_bounds:
            parts.append("the findings allow {} to {} points".format(*self.seven_point_bounds))
        parts += [
            f"{task.replace('_', ' ')} among {', '.join(found.classes)} ({found.coverage:.0%} coverage)"
            for task, found in self.sets.items()
        ]
        parts += [f"the {name} image was missing" for name in self.missing]
        return "; ".join(parts)

    def __str__(self) -> str:
        lines, last = [f"model {self.model}"] if self.model else [], None
        for task, label, title, p in self.rows():
            if task != last:
                lines.append(self.heading(task))
                last = task
            name = label if title == label else f"{label}  {title}"
            lines.append(f"  {_share(p):>6}  {'#' * round(20 * p):20}  {name}")
        lines += [f"warning: {found.message}" for found in self.warnings]
        return "\n".join([*lines, self.summary(), RESEARCH_ONLY])

    def _repr_html_(self) -> str:
        body, last = [], None
        for task, label, title, p in self.rows():
            if task != last:
                heading = html.escape(self.heading(task))
                body.append(f'<tr><th colspan="3" style="text-align:left">{heading}</th></tr>')
                last = task
            bar = f'<div style="background:#4878a8;height:0.8em;width:{100 * p:.1f}%"></div>'
            name = label if title == label else f"{label} ({title})"
            body.append(
                f'<tr><td style="text-align:left">{html.escape(name)}</td><td>{html.escape(_share(p))}</td>'
                f'<td style="width:12em;text-align:left">{bar}</td></tr>'
            )
        warnings = "".join(f" Warning: {found.message}" for found in self.warnings)
        caption = html.escape(f"{self.model}: {self.summary()}.{warnings} {RESEARCH_ONLY}")
        return f'<table><caption style="caption-side:bottom">{caption}</caption>{"".join(body)}</table>'


def _share(p: float) -> str:
    """A probability for people; one that is not 0 or 1 does not look so."""
    return "<0.1%" if 0 < p < 0.0005 else ">99.9%" if 0.9995 <= p < 1 else f"{p:.1%}"


def _listed(tasks: Iterable[str]) -> str:
    return ", ".join(task.replace("_", " ") for task in tasks)
