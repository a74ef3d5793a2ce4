"""Split lesions into train, valid and test without parting what belongs together."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..labels import DIAGNOSIS
from .records import Lesion, LesionSet

# Why not scikit-learn's StratifiedGroupKFold: it deals groups out in the order of the
# rows, so one more lesion moves hundreds to other folds, and results before and after
# cannot be compared. Here the groups of a stratum stand in the order of a hash of their
# names, and each split takes an interval of that line: one more lesion moves at most the
# group at each cut. Every stratum is split to within one group of what was asked.


def make_split(
    lesions: LesionSet,
    valid: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    stratify: str | None = "diagnosis",
    folds: int | None = None,
    fold: int = 0,
    together: Iterable[Iterable[str]] = (),
) -> LesionSet:
    """The same lesions with new splits; those they had are dropped.

    Lesions of one patient, and lesions that share an image file, stay together. The
    result depends on ids, patients, labels and the seed, not on the order of the lesions
    or on the machine.

    Where the classes have so few lesions that a part would be empty, cutting each by itself, the parts are dealt out
    over all of them, class after class. So are folds of which one would have no lesion with an image and a class.

    Args:
        valid, test: fractions, of lesions, in each stratum.
        seed: another one gives another split.
        stratify: task whose classes shall be spread alike; None: no task. A group of
            several lesions counts for the rarest of its classes.
        folds: instead of `valid`, cut what is not test into so many equal parts.
        fold: which of them is valid, from 0.
        together: sets of ids to keep together as well, e.g. `Report.copies`.

    Raises:
        ConfigError: a fraction, fold or task does not fit.
    """
    _check(lesions, valid, test, stratify, folds, fold)
    part_of: dict[str, str | int] = {}  # a number: of the fold
    strata = _strata(lesions, stratify, seed, together)
    for stratum, line in strata.items():
        total, before = sum(len(group.members) for group in line), 0
        # else the only lesion of every rare class would come to the same fold
        turn = _hash(seed, stratum)[0]
        for group in line:
            middle = (before + len(group.members) / 2) / total
            before += len(group.members)
            part: str | int = "valid" if middle < test + valid else "train"
            if folds is not None:
                part = (int((middle - test) / (1 - test) * folds) + turn) % folds
            part_of.update(dict.fromkeys(group.members, "test" if middle < test else part))
    whole = [group for _, line in sorted(strata.items()) for group in line]
    wanted = {"train", *(["test"] if test else []), *(["valid"] if valid else [])}
    if folds is None:
        split_of = part_of if wanted <= set(part_of.values()) else _dealt(whole, valid, test)
    else:
        if test and "test" not in part_of.values():
            part_of.update((one, part) for one, part in _dealt(whole, 0.0, test).items() if part == "test")
        telling = {one.id for one in lesions if one.images and (stratify is None or one.candidates(stratify))}
        if len({part for one, part in part_of.items() if one in telling} - {"test"}) < folds:
            part_of.update(
                _dealt_folds([group for group in whole if part_of[group.members[0]] != "test"], folds, telling)
            )
        split_of = {one: {"test": "test", fold: "valid"}.get(part, "train") for one, part in part_of.items()}
    return replace(lesions, lesions=tuple(replace(lesion, split=split_of[lesion.id]) for lesion in lesions))


def _dealt_folds(line: list[Group], folds: int, telling: Set[str]) -> dict[str, int]:
    """Id -> fold: along the line each group goes to the fold with the fewest lesions so far.

    First those with lesions that are `telling`: where there are as many of them as folds, no fold is without.
    """
    found: dict[str, int] = {}
    sizes = [0] * folds
    for group in sorted(line, key=lambda group: telling.isdisjoint(group.members)):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(group.members)
        found.update(dict.fromkeys(group.members, fold))
    return found


def _dealt(line: list[Group], valid: float, test: float) -> dict[str, str]:
    """Id -> split: along the line each part gets a group as soon as it is owed half of it, or more."""
    found: dict[str, str] = {}
    for name, share in (("test", test), ("valid", valid / (1 - test))):
        owed, rest = 0.0, []
        for group in line:
            size = len(group.members)
            owed += size * share
            if share and owed >= size / 2:
                owed -= size
                found.update(dict.fromkeys(group.members, name))
            else:
                rest.append(group)
        line = rest
    return {**found, **{member: "train" for group in line for member in group.members}}


def empty_parts(lesions: LesionSet, shares: Mapping[str, float]) -> str | None:
    """For people: that parts which were to have a share of the lesions have none; None where all have some."""
    empty = [f"{name} ({share:g})" for name, share in shares.items() if share and not len(lesions.split(name))]
    if not empty:
        return None
    patients = len(groups(lesions))
    few = f"{len(lesions)} lesions" if patients == len(lesions) else f"{len(lesions)} lesions of {patients} patients"
    return f"no lesion has come to {' and '.join(empty)}: {few} are too few for such a share"


def main_task(lesions: LesionSet) -> str | None:
    """The task to stratify by if none is named: diagnosis, else the first; None if nothing is labelled."""
    return DIAGNOSIS if DIAGNOSIS in lesions.tasks else next(iter(lesions.tasks), None)


@dataclass(frozen=True)
class Group:
    """Ids of lesions that must stay together, under a name that more of them seldom change."""

    name: str
    members: tuple[str, ...]


def groups(lesions: Iterable[Lesion], together: Iterable[Iterable[str]] = ()) -> list[Group]:
    """Lesions joined by a patient, an image file or an entry of `together`, in a chain if need be."""
    lesions = list(lesions)
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for lesion in lesions:
        for path in lesion.images.values():
            parent[root(f"image:{os.path.realpath(path)}")] = root(lesion.group)
    group_of = {lesion.id: lesion.group for lesion in lesions}
    for ids in together:
        known = [group_of[name] for name in ids if name in group_of]
        for group in known[1:]:
            parent[root(group)] = root(known[0])
    members: dict[str, list[Lesion]] = defaultdict(list)
    for lesion in lesions:
        members[root(lesion.group)].append(lesion)
    return [
        Group(min(lesion.group for lesion in found), tuple(lesion.id for lesion in found)) for found in members.values()
    ]


def _strata(
    lesions: LesionSet, stratify: str | None, seed: int, together: Iterable[Iterable[str]]
) -> dict[str, list[Group]]:
    """Per stratum its groups, in the order of their hashes."""
    labels = {lesion.id: "|".join(lesion.candidates(stratify)) if stratify else "" for lesion in lesions}
    counts = Counter(labels.values())
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups(lesions, together):
        strata[min((labels[member] for member in group.members), key=lambda label: (counts[label], label))].append(
            group
        )
    return {name: sorted(line, key=lambda group: _hash(seed, group.name)) for name, line in strata.items()}


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def _check(lesions: LesionSet, valid: float, test: float, stratify: str | None, folds: int | None, fold: int) -> None:
    for name, value in (("valid", valid), ("test", test)):
        if not 0 <= value < 1:
            raise ConfigError(f"{name}: {value} is not a fraction from 0 to below 1")
    if folds is None and valid + test >= 1:
        raise ConfigError(f"valid {valid} and test {test} leave nothing to train on; their sum must be below 1")
    if folds is not None and (folds < 2 or not 0 <= fold < folds):
        raise ConfigError(
            f"folds must be at least 2, and fold from 0 to one less than folds; got folds {folds} and fold {fold}"
        )
    if folds is None and fold:
        raise ConfigError(f"fold: {fold} says nothing without folds")
    if stratify is not None and stratify not in lesions.tasks:
        raise ConfigError(
            f"{lesions.name}: no task {stratify!r} to stratify by; name none (stratify=None, "
            f"--stratify none), or one of: {', '.join(lesions.tasks) or 'no task is labelled'}"
        )
