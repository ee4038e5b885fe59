"""Who is in which split: shares, counts, duplicates, and the same for ever."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.model_selection import train_test_split

from torchprimer.datasets.splits import random_split, reject_duplicates, split_by_time, stratified, stratified_split
from torchprimer.errors import UserError


def labels_of(**counts: int) -> npt.NDArray[np.str_]:
    """So many samples of each class, in an order that mixes them."""
    labels = np.repeat(np.array(list(counts)), list(counts.values()))
    return np.random.default_rng(99).permutation(labels)


def split_up(labels: npt.NDArray[np.str_], is_test: npt.NDArray[np.bool_] | None = None, **changed: Any) -> Any:
    given = {
        "validation": 200,
        "test": 100,
        "max_holdout_fraction": None,
        "limit": None,
        "seed": 0,
        "name": "pets",
    } | changed
    return stratified_split(labels, np.zeros(len(labels), np.bool_) if is_test is None else is_test, **given)


def count(labels: npt.NDArray[np.str_], parts: npt.NDArray[np.str_]) -> dict[str, dict[str, int]]:
    """part -> class -> samples"""
    return {str(part): dict(Counter(labels[parts == part].tolist())) for part in np.unique(parts)}


def test_sizes_are_exact_and_shares_are_kept() -> None:
    labels = labels_of(cat=600, dog=300, owl=100)
    parts = split_up(labels)
    assert count(labels, parts) == {
        "train": {"cat": 420, "dog": 210, "owl": 70},
        "validation": {"cat": 120, "dog": 60, "owl": 20},
        "test": {"cat": 60, "dog": 30, "owl": 10},
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(101, 57), (333, 333, 334), (500, 251, 127, 66, 33), (17, 13, 11, 7, 5, 3)])
def test_class_counts_agree_with_scikit_learn(sizes: tuple[int, ...], seed: int) -> None:
    labels = labels_of(**{f"class{i}": size for i, size in enumerate(sizes)})
    drawn = max(len(sizes), len(labels) // 5)
    own = Counter(labels[stratified(labels, drawn, np.random.default_rng(seed))].tolist())
    _, theirs = train_test_split(labels, test_size=drawn, stratify=labels, random_state=seed)
    assert own.total() == drawn
    for name, size in Counter(labels.tolist()).items():
        assert abs(own[name] - Counter(theirs.tolist())[name]) <= 1
        assert abs(own[name] - size * drawn / len(labels)) < 1


def test_same_seed_same_split_and_another_seed_another() -> None:
    labels = labels_of(cat=500, dog=500)
    first, again, other = split_up(labels), split_up(labels), split_up(labels, seed=1)
    assert np.array_equal(first, again)
    same = np.mean(first == other)
    assert 0.4 < same < 0.65  # by chance: 0.7^2 + 0.2^2 + 0.1^2 = 0.54
    assert count(labels, first) == count(labels, other)


def test_members_are_drawn_at_random_from_the_whole_range() -> None:
    """Not the first or the last ones: the mean position of 100 of 500 is the middle within four standard errors."""
    labels = np.repeat(["cat", "dog"], 500)
    validation = np.flatnonzero(split_up(labels) == "validation")
    for of_class, middle in ((validation[validation < 500], 250), (validation[validation >= 500], 750)):
        assert abs(of_class.mean() - middle) < 4 * 500 / np.sqrt(12 * 100)


def test_official_test_split_is_kept_whole() -> None:
    labels = labels_of(cat=600, dog=400)
    is_test = np.zeros(1000, np.bool_)
    is_test[::4] = True
    parts = split_up(labels, is_test, test=7)
    assert np.array_equal(parts == "test", is_test)
    assert (parts == "validation").sum() == 200
    assert (parts == "train").sum() == 550


def test_max_share_caps_validation_and_test() -> None:
    labels = labels_of(cat=60, dog=40)
    parts = split_up(labels, max_holdout_fraction=0.2)
    assert count(labels, parts) == {
        "train": {"cat": 36, "dog": 24},
        "validation": {"cat": 12, "dog": 8},
        "test": {"cat": 12, "dog": 8},
    }
    assert (split_up(labels, max_holdout_fraction=0.2, validation=10) == "validation").sum() == 10


def test_limit_is_per_split_and_stratified() -> None:
    labels = labels_of(cat=600, dog=400)
    whole, limited = split_up(labels), split_up(labels, limit=150)
    assert count(labels, limited) == {
        "": {"cat": 330 + 30, "dog": 220 + 20},
        "train": {"cat": 90, "dog": 60},
        "validation": {"cat": 90, "dog": 60},
        "test": {"cat": 60, "dog": 40},
    }
    assert np.all((limited == whole) | (limited == "")), "limit leaves samples out and moves none"


def test_limit_cuts_an_official_test_split_too() -> None:
    labels = labels_of(cat=600, dog=400)
    is_test = np.arange(1000) < 300
    parts = split_up(labels, is_test, limit=50)
    assert {part: sum(classes.values()) for part, classes in count(labels, parts).items() if part} == {
        "train": 50,
        "validation": 50,
        "test": 50,
    }
    assert set(np.flatnonzero(parts == "test")) <= set(range(300))


@pytest.mark.parametrize("rare", [3, 4, 5])
@pytest.mark.parametrize(("validation", "test"), [(20, 20), (300, 300), (990, 5), (5, 990)])
def test_rare_classes_are_in_every_split(rare: int, validation: int, test: int) -> None:
    labels = labels_of(common=1100, rare1=rare, rare2=rare, rare3=rare, rare4=rare)
    found = count(labels, split_up(labels, validation=validation, test=test))
    assert all(set(found[part]) == set(labels.tolist()) for part in ("train", "validation", "test")), found
    assert (sum(found["validation"].values()), sum(found["test"].values())) == (validation, test)


def test_as_few_as_there_are_classes() -> None:
    labels = labels_of(common=990, **{f"rare{i}": 1 for i in range(10)})
    drawn = stratified(labels, 11, np.random.default_rng(0))
    assert sorted(labels[drawn].tolist()) == sorted(set(labels.tolist()))


@pytest.mark.parametrize(
    ("sizes", "changed", "message"),
    [
        (
            {"cat": 1000},
            {},
            "dataset pets: a classifier needs samples of two classes or more, and there is only 'cat'",
        ),
        ({}, {}, "dataset pets: a classifier needs samples of two classes or more, and there is none"),
        (
            {"cat": 150, "dog": 149},
            {},
            "dataset pets: 299 samples (149 of 'dog') are fewer than the split asks for: 200 for validation and 100 "
            "for test, and some of each class left to train on; add samples, or lower datasets.pets.validation",
        ),
        (
            {"cat": 1000, "dog": 2},
            {},
            "dataset pets: 1002 samples (2 of 'dog') are fewer than the split asks for: 200 for validation and 100 for "
            "test, and some of each class left to train on; add samples, or lower datasets.pets.validation",
        ),
        (
            {"cat": 4, "dog": 4},
            {"max_holdout_fraction": 0.2},
            "dataset pets: validation gets 1 of 8 samples, too few for 2 classes: add samples, or raise "
            "datasets.pets.validation or its max_holdout_fraction",
        ),
        (
            {"cat": 400, "dog": 400, "owl": 400},
            {"limit": 2},
            "limit: 2 is too few for dataset pets: at least one of each of 3 classes",
        ),
    ],
)
def test_too_few(sizes: dict[str, int], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        split_up(labels_of(**sizes) if sizes else np.array([], np.str_), **changed)
    assert str(caught.value) == message


@pytest.mark.parametrize("in_training", [0, 1])
def test_class_that_only_the_official_test_split_has(in_training: int) -> None:
    labels = np.array(["cat"] * 400 + ["dog"] * 400 + ["owl"] * 50)
    is_test = np.arange(850) >= 800 + in_training
    with pytest.raises(UserError) as caught:
        split_up(labels, is_test)
    assert f"{800 + in_training} samples ({in_training} of 'owl') are fewer than the split asks for" in str(
        caught.value
    )


def test_duplicates_one_of_each_stays() -> None:
    unique, rejected = reject_duplicates("uvwxyz", "dddddd", "abacba", np.zeros(6, np.bool_))
    assert unique.tolist() == [0, 1, 3]
    assert rejected == {"w": "duplicate of u", "y": "duplicate of v", "z": "duplicate of u"}


def test_duplicates_the_official_test_split_loses_nothing_to_training() -> None:
    is_test = np.array([False, False, False, True, True, True])
    unique, rejected = reject_duplicates("uvwxyz", "dddddd", "abcadd", is_test)
    assert unique.tolist() == [1, 2, 3, 4]
    assert rejected == {"u": "duplicate of x", "z": "duplicate of y"}


def test_content_of_two_classes_is_rejected_whole() -> None:
    unique, rejected = reject_duplicates("uvwxy", "ccdcd", "aaabb", np.zeros(5, np.bool_))
    assert unique.tolist() == []
    assert rejected == {
        **dict.fromkeys("uv", "of another class in w"), "w": "of another class in u",
        "x": "of another class in y", "y": "of another class in x",
    }  # fmt: skip


@pytest.mark.parametrize(("share", "count"), [(0.15, 150), (0.1234, 123), (0.1235, 124), (0.29, 290)])
def test_shares_are_of_all_samples_and_rounded(share: float, count: int) -> None:
    labels = labels_of(cat=600, dog=400)
    shared, counted = split_up(labels, validation=share, test=share), split_up(labels, validation=count, test=count)
    assert np.array_equal(shared, counted)
    assert (shared == "test").sum() == count


def test_too_small_a_share() -> None:
    with pytest.raises(UserError) as caught:
        split_up(labels_of(cat=10, dog=10), validation=0.2, test=0.05)
    assert str(caught.value) == (
        "dataset pets: test gets 1 of 20 samples, too few for 2 classes: add samples, or raise datasets.pets.test"
    )


def shuffled(samples: int, **changed: Any) -> Any:
    return random_split(
        samples, **{"validation": 0.2, "test": 10, "limit": None, "seed": 0, "name": "prices"} | changed
    )


def test_shuffled() -> None:
    parts = shuffled(100)
    assert Counter(parts.tolist()) == {"train": 70, "validation": 20, "test": 10}
    assert np.array_equal(parts, shuffled(100))
    assert not np.array_equal(parts, shuffled(100, seed=1))
    assert abs(np.flatnonzero(shuffled(10_000, test=0.2) == "test").mean() - 5000) < 4 * 10_000 / np.sqrt(12 * 2000)
    limited = shuffled(100, limit=15)
    assert Counter(limited.tolist()) == {"train": 15, "validation": 15, "test": 10, "": 60}
    assert np.all((limited == parts) | (limited == ""))


def by_time(times: list[float], **changed: Any) -> list[str]:
    given: dict[str, Any] = {"validation": 2, "test": 1, "limit": None, "name": "riders"} | changed
    return [part[:2] for part in split_by_time(np.array(times, np.float64), **given)]


def test_by_time() -> None:
    """Whole days, in whatever order they come; `limit` keeps the first ones."""
    assert by_time([5, 1, 1, 2, 3, 4, 4, 5, 5]) == ["te", "tr", "tr", "tr", "va", "va", "va", "te", "te"]
    assert by_time([5, 1, 1, 2, 3, 4, 4, 5, 5], limit=2) == ["te", "tr", "tr", "", "va", "va", "", "te", ""]
    assert by_time([*range(10)], validation=0.2, test=0.3) == ["tr"] * 5 + ["va"] * 2 + ["te"] * 3


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda: shuffled(30, validation=20), "dataset prices: 30 samples are fewer than the split asks for: 20 for "
         "validation and 10 for test, and some left to train on; add samples, or lower datasets.prices.validation"),
        (lambda: shuffled(2, test=1), "dataset prices: no validation is left of 2 samples: add samples, or raise "
         "datasets.prices.validation"),
        (lambda: by_time([1, 1, 2, 3, 3]), "dataset riders: 3 different times are fewer than the split asks for: 2 "
         "for validation and 1 for test, and some left to train on; add samples, or lower datasets.riders.validation"),
    ],
)  # fmt: skip
def test_too_few_without_classes(parts: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parts()
    assert str(caught.value) == message
