"""Splits: nothing leaks, classes are spread, little moves, and the file holds it all."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.split import empty_parts, groups, main_task, make_split
from amfzoo.errors import ConfigError

CLASSES = ("common", "rare", "rarest")


def lesion(number: int, patient: str | None = None, label: str | None = None, image: str | None = None) -> Lesion:
    labels = {"diagnosis": label} if label else {}
    return Lesion(f"L{number}", dermoscopy=Path(image or f"{number}.jpg"), labels=labels, patient=patient)


@pytest.fixture(scope="module")
def patients():
    """1000 lesions of about 350 patients."""
    rng = random.Random(0)
    return LesionSet(
        "patients",
        tuple(
            lesion(number, f"P{rng.randrange(350)}", rng.choices((*CLASSES, None), (80, 12, 4, 4))[0])
            for number in range(1000)
        ),
        {"diagnosis": CLASSES},
    )


@pytest.fixture(scope="module")
def singles():
    return LesionSet(
        "singles",
        tuple(lesion(n, None, CLASSES[(n % 10 == 0) + (n % 100 == 0)]) for n in range(1000)),
        {"diagnosis": CLASSES},
    )


@pytest.mark.parametrize(
    ("classes", "each", "shares", "counts"),
    [
        (12, 3, (0.2, 0.2), {"test": 7, "valid": 7, "train": 22}),
        (10, 2, (0.0, 0.2), {"test": 4, "train": 16}),
        (10, 2, (0.2, 0.0), {"valid": 4, "train": 16}),
        (2, 2, (0.2, 0.0), {"valid": 1, "train": 3}),
    ],
)
def test_classes_of_few_lesions_give_no_empty_part(classes, each, shares, counts):
    names = tuple(f"class {n}" for n in range(classes))
    lesions = LesionSet(
        "few", tuple(lesion(n, None, names[n % classes]) for n in range(classes * each)), {"diagnosis": names}
    )
    for seed in range(3):
        found = make_split(lesions, *shares, seed)
        assert Counter(splits(found).values()) == counts
        assert empty_parts(found, dict(zip(("valid", "test"), shares))) is None


def test_what_cannot_be_shared_out_is_said():
    of_one = LesionSet("one", tuple(lesion(n, "P", "common") for n in range(9)), {"diagnosis": CLASSES})
    found = make_split(of_one, 0.2, 0.1)
    assert set(splits(found).values()) == {"train"}
    note = empty_parts(found, {"valid": 0.2, "test": 0.1})
    assert (
        note == "no lesion has come to valid (0.2) and test (0.1): 9 lesions of 1 patients are too few for such a share"
    )


def test_patients_stay_together_where_lesions_are_dealt_out():
    labels = tuple(f"class {n}" for n in range(15))
    lesions = LesionSet("x", tuple(lesion(n, f"P{n // 2}", labels[n // 2]) for n in range(30)), {"diagnosis": labels})
    found = make_split(lesions, 0.2)
    assert Counter(splits(found).values()) == {"valid": 6, "train": 24}
    assert all(splits(found)[f"L{2 * n}"] == splits(found)[f"L{2 * n + 1}"] for n in range(15))


def splits(lesions: LesionSet) -> dict[str, str]:
    return {lesion.id: lesion.split for lesion in lesions}


def test_no_patient_is_in_two_splits(patients):
    for seed in range(5):
        where = defaultdict(set)
        for found in make_split(patients, 0.2, 0.2, seed):
            where[found.patient].add(found.split)
        assert all(len(names) == 1 for names in where.values())


def test_lesions_that_share_a_file_stay_together_in_a_chain():
    lesions = LesionSet(
        "x",
        tuple(
            [lesion(n, f"P{n}", None, f"{n // 2}.jpg") for n in range(200)]  # pairs by file ...
            + [lesion(200 + n, f"P{2 * n + 1}", None, f"x{n}.jpg") for n in range(100)]  # ... and a third by patient
        ),
        {"diagnosis": CLASSES},
    )
    found = splits(make_split(lesions, 0.3, stratify=None))
    assert set(found.values()) == {"train", "valid"}
    assert all(found[f"L{2 * n}"] == found[f"L{2 * n + 1}"] == found[f"L{200 + n}"] for n in range(100))


def test_the_same_file_by_two_spellings_is_one():
    lesions = LesionSet(
        "x", tuple(lesion(n, None, None, f"{n // 2}.jpg" if n % 2 else f"a/../{n // 2}.jpg") for n in range(100)), {}
    )
    found = splits(make_split(lesions, 0.3, stratify=None))
    assert all(found[f"L{2 * n}"] == found[f"L{2 * n + 1}"] for n in range(50)) and "valid" in found.values()


def test_more_can_be_kept_together(singles):
    pairs = [(f"L{n}", f"L{n + 1}", "unknown") for n in range(0, 1000, 2)]
    found = splits(make_split(singles, 0.3, together=pairs))
    assert all(found[a] == found[b] for a, b, _ in pairs) and "valid" in found.values()


def test_what_is_kept_together_twice_stays_with_both():
    lesions = [lesion(0), lesion(1, image="same.jpg"), lesion(2, image="same.jpg"), lesion(3)]
    for sets in ([("L0", "L1"), ("L3", "L1")], [("L0", "L3", "L2")]):
        assert [sorted(group.members) for group in groups(lesions, sets)] == [["L0", "L1", "L2", "L3"]]


def test_the_order_of_a_few_lesions_does_not_matter():
    few = tuple(lesion(n, None, name) for n, name in enumerate("abcdefgh"))
    for options in ({"valid": 0.3}, {"folds": 3}):
        first, second = (
            splits(make_split(LesionSet("few", lesions, {"diagnosis": tuple("abcdefgh")}), **options))
            for lesions in (few, few[::-1])
        )
        assert first == second


def test_every_class_is_split_to_within_one_lesion(singles):
    found = make_split(singles, 0.2, 0.15)
    for name, fraction in (("test", 0.15), ("valid", 0.2)):
        for label, number in singles.counts("diagnosis").items():
            assert abs(found.split(name).counts("diagnosis")[label] - fraction * number) <= 1


def test_a_patient_counts_for_the_rarest_of_its_classes():
    """So that the few lesions of a rare class do not all end up on one side."""
    pairs = [(lesion(2 * n, f"P{n}", "common"), lesion(2 * n + 1, f"P{n}", "rare")) for n in range(20)]
    rest = tuple(lesion(n, None, "common") for n in range(100, 500))
    lesions = LesionSet("x", (*sum(pairs, ()), *rest), {"diagnosis": CLASSES})
    found = [make_split(lesions, 0.2, seed=seed).split("valid").counts("diagnosis")["rare"] for seed in range(10)]
    assert found == [4] * 10


def test_classes_of_patients_are_spread(patients):
    found = make_split(patients, 0.25)
    for label, number in patients.counts("diagnosis").items():
        assert found.split("valid").counts("diagnosis")[label] == pytest.approx(0.25 * number, abs=2 + 0.04 * number)


def test_without_stratification_the_fraction_holds(patients):
    assert len(make_split(patients, 0.2, stratify=None).split("valid")) == pytest.approx(200, abs=5)


def test_neither_order_nor_old_splits_matter_but_the_seed_does(patients):
    found = splits(make_split(patients, 0.2, 0.1))
    shuffled = list(patients)
    random.Random(1).shuffle(shuffled)
    mixed = replace(patients, lesions=tuple(replace(one, split="test") for one in shuffled))
    assert splits(make_split(mixed, 0.2, 0.1)) == found
    chained = tuple(lesion(n, f"P{n}", None, f"{n // 2}.jpg") for n in range(200))  # groups of two patients each
    one, other = (make_split(LesionSet("x", order, {}), 0.3, stratify=None) for order in (chained, chained[::-1]))
    assert splits(one) == splits(other)
    assert splits(make_split(patients, 0.2, 0.1, seed=1)) != found


def test_the_split_is_the_same_on_every_machine_and_day(singles):
    """A change of these ids moves the lesions of every user who splits again."""
    found = make_split(singles.select(lambda one: int(one.id[1:]) < 20), 0.25)
    assert [one.id for one in found.split("valid")] == ["L4", "L6", "L12", "L17"]


def test_one_more_lesion_moves_few(singles):
    before = splits(make_split(singles, 0.2, 0.1))
    for number in range(1000, 1020):
        grown = replace(singles, lesions=(*singles.lesions, lesion(number, None, "common")))
        after = splits(make_split(grown, 0.2, 0.1))
        assert sum(before[name] != after[name] for name in before) <= 2  # one at each cut


def test_folds_part_the_lesions(patients):
    found = [make_split(patients, test=0.1, folds=5, fold=fold) for fold in range(5)]
    tests = {tuple(one.id for one in split.split("test")) for split in found}
    valid = [one.id for split in found for one in split.split("valid")]
    assert len(tests) == 1
    assert sorted(valid) == sorted(one.id for one in patients if one.id not in next(iter(tests)))
    assert all(len(split.split("valid")) == pytest.approx(180, abs=25) for split in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": 1.0}, "valid: 1.0"),
        ({"test": -0.1}, "test: -0.1"),
        ({"valid": 0.6, "test": 0.4}, "nothing to train on"),
        ({"folds": 1}, "at least 2"),
        ({"folds": 5, "fold": 5}, "from 0 to one less"),
        ({"fold": 1}, "without folds"),
        ({"stratify": "dx"}, "no task 'dx' to stratify by.*diagnosis"),
    ],
)
def test_errors(singles, options, message):
    with pytest.raises(ConfigError, match=message):
        make_split(singles, **options)


@pytest.mark.parametrize(
    ("tasks", "main"), [(("streaks", "diagnosis"), "diagnosis"), (("streaks", "veil"), "streaks"), ((), None)]
)
def test_the_task_to_stratify_by_is_the_diagnosis_else_the_first(tasks, main):
    assert main_task(LesionSet("x", (), dict.fromkeys(tasks, ("a", "b")))) == main


@pytest.mark.parametrize(("of_each", "common"), [(1, 0), (2, 0), (1, 50)])
def test_rare_classes_are_spread_over_the_folds(of_each, common):
    """Each has its lesions in few folds, but not all of them in the same."""
    names = tuple(f"class {i}" for i in range(40))
    rare = [lesion(n, None, names[n // of_each]) for n in range(40 * of_each)]
    others = [lesion(100 + n, None, "common") for n in range(common)]
    lesions = LesionSet("rare", tuple(rare + others), {"diagnosis": (*names, "common")})
    held_out = [make_split(lesions, folds=5, fold=fold).split("valid") for fold in range(5)]
    sizes = [sum(one.labels["diagnosis"] != "common" for one in part) for part in held_out]
    assert sum(sizes) == len(rare) and 4 * of_each <= min(sizes) and max(sizes) <= 14 * of_each


@pytest.mark.parametrize(("test", "names"), [(0.0, 8), (0.0, 4), (0.2, 10)])
def test_no_fold_is_empty_where_there_are_lesions_for_all(test, names):
    """Whatever the seed: so few classes of one lesion each may all have come to the same folds."""
    classes = tuple(f"class {n}" for n in range(names))
    labelled = tuple(lesion(n, None, name) for n, name in enumerate(classes))
    rest = tuple(lesion(n, f"P{n // 6}") for n in range(100, 130))  # of no class, in patients of six
    unseen = tuple(Lesion(f"unseen {n}", labels={"diagnosis": classes[0]}) for n in range(40))  # nothing to judge by
    for lesions in (labelled, labelled + rest, labelled + unseen):
        for seed in range(20):
            found = [
                make_split(LesionSet("few", lesions, {"diagnosis": classes}), test=test, seed=seed, folds=4, fold=fold)
                for fold in range(4)
            ]
            held_out = [one for split in found for one in split.split("valid")]
            assert len({one.id for one in held_out}) == len(held_out) == len(lesions) - len(found[0].split("test"))
            assert all(any(one.labels and one.images for one in split.split("valid")) for split in found)
            assert bool(test) == bool(len(found[0].split("test")))
