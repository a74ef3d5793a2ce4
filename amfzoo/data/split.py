"""Split lesions into train, valid and test without parting what belongs together."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..labels import DIAGNOSIS
from .records import Lesion, LesionSet

_CROWD, _CROWD_SHARE = 10, 0.2  # lesions, and their share, of one patient that are told of
_LIKE_PATIENT = ("patient", "pat_", "patid", "pat-id", "proband", "subject", "person")


def patient_column(lesions: LesionSet) -> str | None:
    """The metadata column that looks like the patients', where no patient is known."""
    if any(lesion.patient is not None for lesion in lesions):
        return None
    columns = dict.fromkeys(name for lesion in lesions for name in lesion.metadata)
    return next((name for name in columns if any(part in name.lower() for part in _LIKE_PATIENT)), None)


def patient_note(lesions: LesionSet) -> str | None:
    """For people: that no patient, or not every one, is known, and which column may name them; None where all are."""
    unknown = sum(lesion.patient is None for lesion in lesions)
    if not unknown:
        return None
    if unknown < len(lesions):
        return f"{unknown} of {len(lesions)} lesions have no patient; each of these counts as a patient of its own"
    column = patient_column(lesions)
    hint = f"; is it in the column {column!r}? Then say --patient {column}" if column else ""
    return f"no patient is known, so each lesion counts as a patient of its own{hint}"


def patients_alike(lesions: LesionSet) -> str | None:
    """For people: that the names of some patients differ only by case, blanks, zeros in front or as spreadsheets write them;
    None where none do."""
    spelled: dict[str, set[str]] = defaultdict(set)
    for lesion in lesions:
        if lesion.patient is not None:
            spelled[_as_spoken(lesion.patient)].add(lesion.patient)
    alike = [sorted(names) for names in spelled.values() if len(names) > 1]
    if not alike:
        return None
    shown = "; ".join(", ".join(names) for names in alike[:3]) + ("; ..." if len(alike) > 3 else "")
    return f"patients whose names are nearly the same count as different people ({shown}); spell them alike if they are one"


def _as_spoken(name: str) -> str:
    """12, 0012 and 12.0 are one name, and so is Müller, however its accent is stored."""
    text = "".join(unicodedata.normalize("NFKC", name).split()).casefold()
    return re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", text))


def crowded_patient(lesions: LesionSet) -> str | None:
    """For people: that one patient has so many of the lesions that the name may stand for "not known"; None where none has."""
    counts = Counter(lesion.patient for lesion in lesions if lesion.patient is not None)
    name, count = counts.most_common(1)[0] if counts else (None, 0)
    if count < max(_CROWD, _CROWD_SHARE * len(lesions)) or len(counts) < 2:
        return None
    return (
        f"patient {name!r} has {count} of {len(lesions)} lesions, which stay in one split and count as one in intervals; "
        "empty the cells if this stands for 'not known'"
    )


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
    split_of: dict[str, str] = {}
    for stratum, line in _strata(lesions, stratify, seed, together).items():
        total, before = sum(len(group.members) for group in line), 0
        # else the only lesion of every rare class would come to the same fold
        turn = _hash(seed, stratum)[0]
        for group in line:
            middle = (before + len(group.members) / 2) / total
            before += len(group.members)
            if folds is None:
                held_out = middle < test + valid
            else:
                held_out = (int((middle - test) / (1 - test) * folds) + turn) % folds == fold
            name = "test" if middle < test else "valid" if held_out else "train"
            split_of.update(dict.fromkeys(group.members, name))
    return replace(lesions, lesions=tuple(replace(lesion, split=split_of[lesion.id]) for lesion in lesions))


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
        raise ConfigError(f"folds: {folds} must be at least 2, and fold, {fold}, from 0 to one less")
    if folds is None and fold:
        raise ConfigError(f"fold: {fold} says nothing without folds")
    if stratify is not None and stratify not in lesions.tasks:
        raise ConfigError(
            f"{lesions.name}: no task {stratify!r} to stratify by; name none (stratify=None, "
            f"--stratify none), or one of: {', '.join(lesions.tasks) or 'no task is labelled'}"
        )
