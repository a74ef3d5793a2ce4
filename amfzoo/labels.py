"""Tasks, classes and label schemas; the seven-point rule. Pure data: no torch, no numpy.

A *task* is one question with mutually exclusive classes; a *schema* is a set of
tasks. Declare your own with `Task` and `Schema`; a plain mapping
``{"task": ("class", ...)}`` is accepted wherever a schema is (see `as_tasks`).

Derm7pt classes, order, grouping and points follow Kawahara et al., "Seven-Point
Checklist and Skin Lesion Classification Using Multitask Multimodal Neural Nets"
(IEEE JBHI 2019). The rule itself is Argenziano et al., Arch Dermatol 1998
(refer at 3 points) and its revision of 2011 (refer at 1 point).
"""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .errors import ConfigError

DIAGNOSIS = "diagnosis"  # the task that `Prediction.diagnosis` reads
# what tables say of a finding instead of absent and present; Excel writes its truth values in the language of the user
SAID_ABSENT, SAID_PRESENT = ("no", "false", "0", "0.0", "nein", "falsch"), ("yes", "true", "1", "1.0", "ja", "wahr")
REFER_ORIGINAL, REFER_REVISED = 3, 1  # points from which melanoma is suspected


@dataclass(frozen=True)
class Task:
    """One question: its classes in order, and how raw strings map to them.

    Attributes:
        name: key of the task in every dictionary.
        classes: class names; their order is the order of the logits.
        raw: raw label string -> class name; case does not matter.
        points: class name -> points of the seven-point rule, for its criteria.
        titles: class name -> name for people, where the code is an abbreviation.
    """

    name: str
    classes: tuple[str, ...]
    raw: Mapping[str, str] = field(default_factory=dict)
    points: Mapping[str, int] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", check_classes(self.name, self.classes))
        object.__setattr__(self, "raw", {_plain(text): label for text, label in self.raw.items()})
        for kind, strings in (("raw", self.raw.values()), ("points", self.points), ("titles", self.titles)):
            for name in strings:
                if name not in self.classes:
                    raise ConfigError(f"task {self.name!r}: {kind} names {name!r}, which is not one of {self.classes}")

    def group(self, text: str, column: str | None = None) -> str:
        """The class of a raw label string; ignores case, surplus blanks, and how accents are stored. Of two classes, absent and
        present, it also takes what tables say of a finding (`SAID_ABSENT`, `SAID_PRESENT`).

        Args:
            column: where it stands, for advice; default the column of the task's name.

        Raises:
            ConfigError: unknown string; the message names the nearest known one.
        """
        if text in self.classes:  # classes may differ in case alone
            return text
        key = _plain(text)
        known = {**{_plain(name): name for name in self.classes}, **self.raw}
        if key in known:
            return known[key]
        if set(self.classes) == {"absent", "present"} and key in SAID_ABSENT + SAID_PRESENT:
            return "present" if key in SAID_PRESENT else "absent"
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)  # "absent" is no misspelt "present"
        names = {**{text: text for text in known}, **{_plain(name): name for name in self.classes}}
        hint = f"; did you mean {names[near[0]]!r}?" if near else f"; known: {', '.join(map(names.get, sorted(known)))}"
        if key in ("present", *SAID_ABSENT, *SAID_PRESENT) and "absent" in known:
            hint += (
                f". If it is recorded only as absent or present, say so with --label '{self.name}={column or self.name}:absent|present' "
                f"(and --label for the other tasks), or head the column '{self.name} [absent|present]'"
            )
        raise ConfigError(f"task {self.name!r}: unknown label {text!r}{hint}")


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split()).lower()


@dataclass(frozen=True)
class Schema:
    """A named set of tasks, e.g. what one data set labels.

    Attributes:
        name: for messages.
        tasks: name of the task -> `Task`, in the order of the answers.

    Raises:
        ConfigError: one is no `Task`.
    """

    name: str
    tasks: Mapping[str, Task]

    def __post_init__(self) -> None:
        for name, task in self.tasks.items():
            if not isinstance(task, Task):
                raise ConfigError(
                    f"schema {self.name!r}: {name!r} must be a Task, e.g. Task({name!r}, classes), not {task!r:.200}"
                )

    def classes(self) -> dict[str, tuple[str, ...]]:
        """``{task: classes}``, the form in which networks take their tasks."""
        return {name: task.classes for name, task in self.tasks.items()}


def check_classes(task: str, classes: Iterable[str]) -> tuple[str, ...]:
    """`classes` as a tuple, checked.

    Raises:
        ConfigError: fewer than two classes, a repeated one, or not strings.
    """
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        what = "the string " if isinstance(classes, str) else ""
        raise ConfigError(f"task {task!r}: classes must be a list of names, not {what}{classes!r}")
    names = tuple(classes)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"task {task!r}: class names must be non-empty strings, got {names}")
    if len(names) < 2:
        raise ConfigError(f"task {task!r} needs at least two classes, got {names}")
    if len(set(names)) != len(names):
        raise ConfigError(f"task {task!r} repeats a class: {names}")
    return names


def same_classes(own: Iterable[str], other: Iterable[str]) -> dict[str, str]:
    """Class of `own` -> the same class of `other`: of that name, or the only one that differs by upper and lower case alone."""
    own, other = list(own), list(other)
    counts = [Counter(name.casefold() for name in names) for names in (own, other)]
    plain = {name.casefold(): name for name in other}
    found = {}
    for name in own:
        if name in other:
            found[name] = name
        elif all(count[name.casefold()] == 1 for count in counts):
            found[name] = plain[name.casefold()]
    return found


def as_tasks(tasks: Schema | Mapping[str, Iterable[str]] | str) -> dict[str, tuple[str, ...]]:
    """``{task: classes}`` from a schema, its name, or a plain mapping.

    Raises:
        ConfigError: unknown schema name, no task, or a task with bad classes.
    """
    if isinstance(tasks, str):
        if tasks not in SCHEMAS:
            raise ConfigError(f"unknown label schema {tasks!r}; known: {', '.join(SCHEMAS)}")
        tasks = SCHEMAS[tasks]
    if isinstance(tasks, Schema):
        tasks = tasks.classes()
    if not isinstance(tasks, Mapping) or not tasks:
        raise ConfigError(f"tasks must be a schema or a non-empty mapping of task to classes, got {tasks!r}")
    for name in tasks:
        # task names become keys of an nn.ModuleDict, which cannot hold a dot
        if not isinstance(name, str) or not name or "." in name:
            raise ConfigError(f"a task name must be a non-empty string without a dot, got {name!r}")
    return {name: check_classes(name, classes) for name, classes in tasks.items()}


def _task(name: str, points: Mapping[str, int], **groups: str) -> Task:
    """A criterion from ``class="raw | raw"``; an empty string: the class's own name only."""
    raw = {text.strip(): label for label, texts in groups.items() for text in (texts or label).split("|")}
    return Task(name, tuple(groups), raw, {label: points.get(label, 0) for label in groups})


# The seven criteria. `absent`, `typical` and `regular` score nothing.
CHECKLIST: dict[str, Task] = {
    task.name: task
    for task in (
        _task("pigment_network", {"atypical": 2}, absent="", typical="", atypical=""),
        _task("blue_whitish_veil", {"present": 2}, absent="", present=""),
        _task(
            "vascular_structures",
            {"irregular": 2},
            absent="",
            regular="arborizing | comma | hairpin | within regression | wreath",
            irregular="dotted | linear irregular",
        ),
        _task(
            "pigmentation",
            {"irregular": 1},
            absent="",
            regular="diffuse regular | localized regular",
            irregular="diffuse irregular | localized irregular",
        ),
        _task("streaks", {"irregular": 1}, absent="", regular="", irregular=""),
        _task("dots_and_globules", {"irregular": 1}, absent="", regular="", irregular=""),
        _task("regression_structures", {"present": 1}, absent="", present="blue areas | white areas | combinations"),
    )
}

_DERM7PT_DIAGNOSIS = Task(
    DIAGNOSIS,
    ("BCC", "NEV", "MEL", "MISC", "SK"),
    raw={
        "basal cell carcinoma": "BCC",
        **dict.fromkeys(
            (
                "blue nevus",
                "clark nevus",
                "combined nevus",
                "congenital nevus",
                "dermal nevus",
                "recurrent nevus",
                "reed or spitz nevus",
            ),
            "NEV",
        ),
        **dict.fromkeys(
            (
                "melanoma",
                "melanoma (in situ)",
                "melanoma (less than 0.76 mm)",
                "melanoma (0.76 to 1.5 mm)",
                "melanoma (more than 1.5 mm)",
                "melanoma metastasis",
            ),
            "MEL",
        ),
        **dict.fromkeys(("dermatofibroma", "lentigo", "melanosis", "miscellaneous", "vascular lesion"), "MISC"),
        "seborrheic keratosis": "SK",
    },
    titles={
        "BCC": "basal cell carcinoma",
        "NEV": "nevus",
        "MEL": "melanoma",
        "MISC": "miscellaneous",
        "SK": "seborrheic keratosis",
    },
)

_MILK10K_TITLES = {
    "AKIEC": "actinic keratosis / intraepidermal carcinoma",
    "BCC": "basal cell carcinoma",
    "BEN_OTH": "other benign proliferation",
    "BKL": "benign keratinocytic lesion",
    "DF": "dermatofibroma",
    "INF": "inflammatory or infectious condition",
    "MAL_OTH": "other malignant proliferation",
    "MEL": "melanoma",
    "NV": "melanocytic nevus",
    "SCCKA": "squamous cell carcinoma / keratoacanthoma",
    "VASC": "vascular lesion or haemorrhage",
}

DERM7PT = Schema("derm7pt", {DIAGNOSIS: _DERM7PT_DIAGNOSIS, **CHECKLIST})
MILK10K = Schema("milk10k", {DIAGNOSIS: Task(DIAGNOSIS, tuple(_MILK10K_TITLES), titles=_MILK10K_TITLES)})
SCHEMAS: dict[str, Schema] = {schema.name: schema for schema in (DERM7PT, MILK10K)}


def class_titles(classes: Iterable[str]) -> dict[str, str]:
    """Names for people of diagnosis codes, where a known schema has exactly these classes."""
    wanted = tuple(classes)
    for schema in SCHEMAS.values():
        task = schema.tasks[DIAGNOSIS]
        if task.classes == wanted:
            return dict(task.titles)
    return {}


def criterion_points(task: str, classes: Iterable[str]) -> dict[str, int] | None:
    """Points of each class if `task` is a criterion with its full Derm7pt classes, else None.

    A criterion labelled only absent / present, where the rule asks for typical or
    atypical, has no points: the score cannot be known from it.
    """
    criterion = CHECKLIST.get(task)
    if criterion is None or set(criterion.classes) != set(classes):
        return None
    return dict(criterion.points)


def criterion_bounds(task: str, classes: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Fewest and most points that each class of a criterion can mean, as far as its labels tell.

    Of classes that are those of Derm7pt both are the points of the rule. "present", where the
    rule asks for typical or atypical, may mean any class but absent.

    Raises:
        ConfigError: `task` is no criterion.
    """
    if task not in CHECKLIST:
        raise ConfigError(f"{task!r} is not a criterion of the seven-point checklist; it has {', '.join(CHECKLIST)}")
    points, names = CHECKLIST[task].points, set(classes)
    graded = names == set(points)
    found = {}
    for name in names:
        if name in points and (graded or name == "absent"):
            found[name] = (points[name], points[name])
        else:
            others = [n for label, n in points.items() if label != "absent" or name != "present"]
            found[name] = (min(others), max(others))
    return found


def seven_point_score(findings: Mapping[str, str]) -> int:
    """The seven-point score, 0 to 10, of ``{criterion: class}``.

    Raises:
        ConfigError: a criterion is missing or has an unknown class.
    """
    missing = [name for name in CHECKLIST if name not in findings]
    if missing:
        raise ConfigError(f"the seven-point score needs all seven criteria; missing: {', '.join(missing)}")
    score = 0
    for name, task in CHECKLIST.items():
        if findings[name] not in task.points:
            raise ConfigError(f"criterion {name!r}: unknown class {findings[name]!r}; known: {', '.join(task.classes)}")
        score += task.points[findings[name]]
    return score
