"""Classes of a data set by the names that a network has for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .records import Lesion, LesionSet


def spelled_as(lesions: LesionSet, tasks: Mapping[str, tuple[str, ...]]) -> LesionSet:
    """`lesions` with the classes of `tasks` where upper and lower case alone differ, e.g. HAM10000's "mel" as "MEL".

    Classes that match nothing, or more than one, keep their names.
    """
    names = {task: _names(own, tasks[task]) for task, own in lesions.tasks.items() if task in tasks}
    if not any(names.values()):
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


def _names(own: tuple[str, ...], wanted: tuple[str, ...]) -> dict[str, str]:
    """Class of `own` -> that of `wanted`, where they differ by case and are each the only one of theirs."""
    counts = [Counter(name.casefold() for name in classes) for classes in (own, wanted)]
    plain = {name.casefold(): name for name in wanted}
    return {
        name: plain[key]
        for name in own
        if (key := name.casefold()) in plain and plain[key] != name and all(count[key] == 1 for count in counts)
    }
