"""Deterministic assignment of samples to train, validation and test."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from torchprimer.errors import UserError

Indices = npt.NDArray[np.int64]


def check_ids(ids: Iterable[str], available: Collection[str], raw: str) -> None:
    """Raises UserError unless each of the split's `ids` is `available` in data/raw/`raw`."""
    if missing := sorted(set(ids) - set(available)):
        raise UserError(f"raw data {raw} no longer has {missing[0]!r}, which the split names: run `dvc repro split`")


def deduplicate(hashes: Sequence[str], is_test: npt.NDArray[np.bool_]) -> tuple[Indices, dict[int, int]]:
    """Keeps one sample of each content: the official test one if there is one, else the first.

    Args:
        hashes: one per sample; equal hashes, equal content.
        is_test: shape (N,); samples of the official test split, which stays whole.

    Returns:
        The indices of the samples to use, ascending, and for each duplicate the index of the sample that is used.
    """
    order = sorted(range(len(hashes)), key=lambda i: (not is_test[i], i))
    unique: dict[str, int] = {}
    duplicates: dict[int, int] = {}
    for i in order:
        if (first := unique.setdefault(hashes[i], i)) != i:
            duplicates[i] = first
    return np.array(sorted(unique.values()), np.int64), duplicates


def conflicting_labels(ids: Sequence[str], labels: Sequence[str], contents: Sequence[str]) -> dict[str, str]:
    """Samples whose content another class has as well, and why they are removed: either label may be wrong.

    Args:
        ids, labels, contents: one per sample; samples of equal content are duplicates.

    Returns:
        For each id the reason, which names the first sample of each other class.
    """
    first: dict[str, dict[str, str]] = defaultdict(dict)  # content -> class -> id
    samples = list(zip(ids, labels, contents, strict=True))
    for name, label, content in samples:
        first[content].setdefault(label, name)
    conflicts = {
        name: [twin for twin_label, twin in first[content].items() if twin_label != label]
        for name, label, content in samples
    }
    return {name: f"of another class in {', '.join(twins)}" for name, twins in conflicts.items() if twins}


def stratified(
    labels: npt.NDArray[np.str_], count: int, random: np.random.Generator, *, min_remaining: int = 0
) -> Indices:
    """Positions of `count` random samples, of each class in proportion to its size and at least one.

    Args:
        labels: shape (N,).
        count: at least the number of classes; at most N - `min_remaining` x the number of classes.
        min_remaining: of each class so many are not drawn; each class has more than that.
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


def stratified_split(
    labels: npt.NDArray[np.str_],
    is_test: npt.NDArray[np.bool_],
    *,
    validation: int | float,
    test: int | float,
    max_holdout_fraction: float | None,
    limit: int | None,
    seed: int,
    name: str,
) -> npt.NDArray[np.str_]:
    """Assigns each sample to `train`, `validation`, `test`, or `` (removed by `limit`), in the proportions of the classes.

    Args:
        labels: shape (N,), the class of each sample, in an order that does not change.
        is_test: shape (N,); an official test split is used whole, and `test` is ignored then.
        validation, test: a number of samples, or (a float) a fraction of all.
        max_holdout_fraction: validation and test each take at most this fraction of all samples; None: no maximum.
        limit: at most this many samples in each split.
        name: of the dataset, for messages.

    Raises:
        UserError: one class only, or fewer samples than the split asks for.
    """
    random = np.random.default_rng(seed)
    classes = np.unique(labels)
    if len(classes) < 2:
        existing = f"only '{classes[0]}'" if len(classes) else "none"
        raise UserError(f"dataset {name}: a classifier needs samples of two classes or more, and there is {existing}")
    if limit is not None and limit < len(classes):
        raise UserError(f"limit: {limit} is too few for dataset {name}: at least one of each of {len(classes)} classes")
    most = int(max_holdout_fraction * len(labels)) if max_holdout_fraction else len(labels)
    counts = {"validation": min(resolve_size(validation, len(labels)), most)}
    if not is_test.any():
        counts["test"] = min(resolve_size(test, len(labels)), most)
    rest = np.flatnonzero(~is_test)
    sizes = np.array([np.count_nonzero(labels[rest] == c) for c in classes])  # without the official test split
    rarest = np.argmin(sizes)
    for part, count in counts.items():
        if count < len(classes):
            samples = "1 sample" if count == 1 else f"{count} samples"
            raise UserError(
                f"dataset {name}: {samples} for {part} {'is' if count == 1 else 'are'} too few for {len(classes)} classes ({len(labels)} "
                f"samples in all): add samples, or raise datasets.{name}.{part}"
                + (" or its max_holdout_fraction" if max_holdout_fraction else "")
            )
    if len(rest) - sum(counts.values()) < len(classes) or sizes[rarest] < len(counts) + 1:
        sizes_text = " and ".join(f"{count} for {part}" for part, count in counts.items())
        raise UserError(
            f"dataset {name}: {len(rest)} samples ({sizes[rarest]} of '{classes[rarest]}') are fewer than the split "
            f"asks for: {sizes_text}, and some of each class left to train on; add samples, or lower "
            f"datasets.{name}.validation"
        )
    parts = np.full(len(labels), "train", dtype="<U10")
    parts[is_test] = "test"
    for remaining, (part, count) in zip(range(len(counts), 0, -1), counts.items(), strict=True):
        drawn = rest[stratified(labels[rest], count, random, min_remaining=remaining)]
        parts[drawn] = part
        rest = np.setdiff1d(rest, drawn)
    if limit is not None:
        for part in ("train", "validation", "test"):
            members = np.flatnonzero(parts == part)
            if len(members) > limit:
                selected = members[stratified(labels[members], limit, random)]
                parts[np.setdiff1d(members, selected)] = ""
    return parts


def random_split(
    samples: int, *, validation: int | float, test: int | float, limit: int | None, seed: int, name: str
) -> npt.NDArray[np.str_]:
    """Assigns each of N samples at random to `train`, `validation`, `test`, or `` (removed by `limit`).

    Raises:
        UserError: fewer samples than the split asks for.
    """
    order = np.random.default_rng(seed).permutation(samples)
    counts = _counts(samples, validation, test, "samples", name)
    parts = np.full(samples, "", dtype="<U10")
    for part, members in partition(order, counts).items():
        parts[members[:limit]] = part
    return parts


def split_by_time(
    times: npt.NDArray[np.float64], *, validation: int | float, test: int | float, limit: int | None, name: str
) -> npt.NDArray[np.str_]:
    """The last `test` distinct times are test, the `validation` times before them validation, all earlier ones train.

    Args:
        times: shape (N,); samples of one time stay together.
        limit: at most this many samples in each split, the earliest; the rest get ``.

    Raises:
        UserError: fewer different times than the split asks for.
    """
    distinct = np.unique(times)
    counts = _counts(len(distinct), validation, test, "different times", name)
    order = np.argsort(times, kind="stable")
    parts = np.full(len(times), "", dtype="<U10")
    for part, times_of_part in partition(distinct[::-1], counts).items():
        members = order[np.isin(times[order], times_of_part)]
        parts[members[:limit]] = part
    return parts


def _counts(samples: int, validation: int | float, test: int | float, what: str, name: str) -> dict[str, int]:
    counts = {"test": resolve_size(test, samples), "validation": resolve_size(validation, samples)}
    for part, count in counts.items():
        if count < 1:
            raise UserError(
                f"dataset {name}: no {part} is left of {samples} {what}: add samples, or raise datasets.{name}.{part}"
            )
    if samples - sum(counts.values()) < 1:
        sizes = " and ".join(f"{count} for {part}" for part, count in reversed(counts.items()))
        raise UserError(
            f"dataset {name}: {samples} {what} are fewer than the split asks for: {sizes}, and some left to train on; "
            f"add samples, or lower datasets.{name}.validation"
        )
    return counts


def partition(order: npt.NDArray[Any], counts: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    """The first `test` of `order`, the next `validation`, and the rest to train on."""
    test, validation, train = np.split(order, np.cumsum(list(counts.values())))
    return {"test": test, "validation": validation, "train": train}
