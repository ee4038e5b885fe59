"""Deterministic assignment of samples to train, validation and test."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.errors import UserError

Indices = npt.NDArray[np.int64]


def check_ids(ids: Iterable[str], available: Collection[str], raw: str) -> None:
    """Raises UserError unless each of the split's `ids` is `available` in data/raw/`raw`."""
    if missing := sorted(set(ids) - set(available)):
        raise UserError(f"raw data {raw} no longer has {missing[0]!r}, which the split names: run `dvc repro split`")


def reject_duplicates(
    ids: Sequence[str], labels: Sequence[str], contents: Sequence[str], is_test: npt.NDArray[np.bool_]
) -> tuple[Indices, dict[str, str]]:
    """Keeps one sample of each content: one of the official test split, `is_test`, if it has one, else the first.

    If samples of two classes have the same content, all of them are rejected: either label may be wrong.

    Returns the indices of the samples to use, ascending, and for the id of each other sample why it is rejected.
    """
    first_of_class: dict[str, dict[str, str]] = defaultdict(dict)  # content -> class -> id
    for name, label, content in zip(ids, labels, contents, strict=True):
        first_of_class[content].setdefault(label, name)
    unique: dict[str, int] = {}
    rejected: dict[str, str] = {}
    for i in sorted(range(len(ids)), key=lambda i: (not is_test[i], i)):
        if twins := [name for label, name in first_of_class[contents[i]].items() if label != labels[i]]:
            rejected[ids[i]] = f"of another class in {', '.join(twins)}"
        elif (first := unique.setdefault(contents[i], i)) != i:
            rejected[ids[i]] = f"duplicate of {ids[first]}"
    return np.array(sorted(unique.values()), np.int64), rejected


def split_tables(
    ids: npt.ArrayLike, labels: npt.ArrayLike, splits: npt.ArrayLike, rejected: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `DataKind.split_rows` returns, without the samples that are in no split ("")."""
    rows = pd.DataFrame({"id": ids, "label": labels, "split": splits}, dtype=object)
    rows = rows[rows["split"] != ""].sort_values("id", ignore_index=True)
    return rows, pd.DataFrame(sorted(rejected.items()), columns=["id", "reason"])


def stratified(
    labels: npt.NDArray[np.str_], count: int, random: np.random.Generator, *, min_remaining: int = 0
) -> Indices:
    """Positions of `count` random samples of `labels` (N,), of each class in proportion to its size and at least one.

    `min_remaining` of each class are not drawn; each class has more than that.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * (count / len(labels))
    most = sizes - min_remaining
    quota = np.clip(np.floor(exact).astype(np.int64), 1, most)
    while quota.sum() > count:
        quota[np.argmax(np.where(quota > 1, quota - exact, -np.inf))] -= 1
    while quota.sum() < count:
        quota[np.argmax(np.where(quota < most, exact - quota, -np.inf))] += 1
    drawn = [random.permutation(np.flatnonzero(labels == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(drawn))


def resolve_size(size: int | float, samples: int) -> int:
    """`size` samples if it is an int; that fraction of `samples`, rounded, if it is a float."""
    return size if isinstance(size, int) else int(size * samples + 0.5)


def require_two_classes(labels: npt.NDArray[np.str_], name: str) -> npt.NDArray[np.str_]:
    """The classes of dataset `name`, sorted. Raises UserError if there are fewer than two."""
    classes = np.unique(labels)
    if len(classes) < 2:
        existing = f"only '{classes[0]}'" if len(classes) else "none"
        raise UserError(f"dataset {name}: a classifier needs samples of two classes or more, and there is {existing}")
    return classes


def stratified_split(
    labels: npt.NDArray[np.str_],
    is_test: npt.NDArray[np.bool_] | None = None,
    *,
    validation: int | float,
    test: int | float,
    max_holdout_fraction: float | None = None,
    limit: int | None,
    seed: int,
    name: str,
) -> npt.NDArray[np.str_]:
    """Assigns each sample to `train`, `validation`, `test`, or `` (removed by `limit`), stratified by class.

    Raises UserError for one class only, or fewer samples than the split asks for.

    Args:
        labels: shape (N,), in an order that does not change.
        is_test: shape (N,); an official test split is used whole, and `test` is ignored then.
        validation, test: a number of samples, or (a float) a fraction of all; at most `max_holdout_fraction` of all.
        limit: at most this many samples in each split.
    """
    random = np.random.default_rng(seed)
    classes = require_two_classes(labels, name)
    if limit is not None and limit < len(classes):
        raise UserError(f"limit: {limit} is too few for dataset {name}: at least one of each of {len(classes)} classes")
    most = int(max_holdout_fraction * len(labels)) if max_holdout_fraction else len(labels)
    counts = {"validation": min(resolve_size(validation, len(labels)), most)}
    if is_test is None or not is_test.any():
        is_test = np.zeros(len(labels), np.bool_)
        counts["test"] = min(resolve_size(test, len(labels)), most)
    for split, count in counts.items():
        if count < len(classes):
            raise UserError(
                f"dataset {name}: {split} gets {count} of {len(labels)} samples, too few for {len(classes)} classes: "
                f"add samples, or raise datasets.{name}.{split}"
                + (" or its max_holdout_fraction" if max_holdout_fraction else "")
            )
    rest = np.flatnonzero(~is_test)
    sizes = np.array([np.count_nonzero(labels[rest] == c) for c in classes])  # without the official test split
    rarest = np.argmin(sizes)
    if len(rest) - sum(counts.values()) < len(classes) or sizes[rarest] < len(counts) + 1:
        samples = f"{len(rest)} samples ({sizes[rarest]} of '{classes[rarest]}')"
        raise _too_few(name, samples, counts, "some of each class")
    splits = np.full(len(labels), "train", dtype="<U10")
    splits[is_test] = "test"
    for remaining, (split, count) in zip(range(len(counts), 0, -1), counts.items(), strict=True):
        drawn = rest[stratified(labels[rest], count, random, min_remaining=remaining)]
        splits[drawn] = split
        rest = np.setdiff1d(rest, drawn)
    for split in ("train", "validation", "test"):
        members = np.flatnonzero(splits == split)
        if limit is not None and len(members) > limit:
            selected = members[stratified(labels[members], limit, random)]
            splits[np.setdiff1d(members, selected)] = ""
    return splits


def random_split(
    samples: int, *, validation: int | float, test: int | float, limit: int | None, seed: int, name: str
) -> npt.NDArray[np.str_]:
    """As `stratified_split`, for samples without classes."""
    order = np.random.default_rng(seed).permutation(samples)
    splits = np.full(samples, "", dtype="<U10")
    for split, members in _partition(order, validation, test, "samples", name).items():
        splits[members[:limit]] = split
    return splits


def split_by_time(
    times: npt.NDArray[np.float64], *, validation: int | float, test: int | float, limit: int | None, name: str
) -> npt.NDArray[np.str_]:
    """Of the distinct `times` (N,), the last `test` ones are test, the `validation` ones before them validation.

    Samples of one time stay together; `limit` keeps the earliest of each split.
    """
    order = np.argsort(times, kind="stable")
    splits = np.full(len(times), "", dtype="<U10")
    for split, members in _partition(np.unique(times)[::-1], validation, test, "different times", name).items():
        splits[order[np.isin(times[order], members)][:limit]] = split
    return splits


def _partition(
    order: npt.NDArray[Any], validation: int | float, test: int | float, what: str, name: str
) -> dict[str, npt.NDArray[Any]]:
    """The first `test` of `order`, the next `validation`, and the rest to train on."""
    counts = {"test": resolve_size(test, len(order)), "validation": resolve_size(validation, len(order))}
    for split, count in counts.items():
        if count < 1:
            raise UserError(
                f"dataset {name}: no {split} is left of {len(order)} {what}: add samples, or raise "
                f"datasets.{name}.{split}"
            )
    if len(order) - sum(counts.values()) < 1:
        raise _too_few(name, f"{len(order)} {what}", dict(reversed(counts.items())), "some")
    return dict(zip((*counts, "train"), np.split(order, np.cumsum(list(counts.values()))), strict=True))


def _too_few(name: str, samples: str, counts: dict[str, int], remaining: str) -> UserError:
    sizes = " and ".join(f"{count} for {split}" for split, count in counts.items())
    return UserError(
        f"dataset {name}: {samples} are fewer than the split asks for: {sizes}, and {remaining} left to train on; "
        f"add samples, or lower datasets.{name}.validation"
    )
