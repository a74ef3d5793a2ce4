"""Names that are one but for their spelling: of classes and of patients."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from ..labels import same_classes
from .records import Lesion, LesionSet


def spelled_as(lesions: LesionSet, tasks: Mapping[str, tuple[str, ...]]) -> LesionSet:
    """`lesions` with the classes of `tasks` where upper and lower case alone differ, e.g. HAM10000's "mel" as "MEL".

    Classes that match nothing, or more than one, keep their names.
    """
    names = {task: same_classes(own, tasks[task]) for task, own in lesions.tasks.items() if task in tasks}
    if all(name == called for known in names.values() for name, called in known.items()):
        return lesions

    def spelled(lesion: Lesion) -> Lesion:
        labels = dict(lesion.labels)
        for task in labels.keys() & names.keys():
            labels[task] = tuple(names[task].get(name, name) for name in lesion.candidates(task))
        return replace(lesion, labels=labels)

    own = {
        task: tuple(names.get(task, {}).get(name, name) for name in classes) for task, classes in lesions.tasks.items()
    }
    return replace(lesions, lesions=tuple(map(spelled, lesions)), tasks=own)


def as_spoken(name: str, blank: str = "") -> str:
    """A key that is the same for 12, 0012 and 12.0, and for Müller, however its accent, case and blanks are stored, those of no
    width, which come with copied text, among them.

    Args:
        blank: what stands for blanks within the name.
    """
    shown = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    text = blank.join(shown.split()).casefold()
    return re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", text))
