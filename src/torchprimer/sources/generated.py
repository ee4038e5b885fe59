"""Tables without a download: from data/catalog.yaml, drawn from a seed, or shipped with scikit-learn.

Each becomes one CSV file, and is processed like all other data from there on.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchprimer.params import GaussianBlobs, Inline, SklearnDataset

Table = tuple[list[str], Sequence[Sequence[int | float | str]]]  # columns, rows


def fetch(source: Inline | GaussianBlobs | SklearnDataset, names: list[str], temporary: Path) -> Path:
    """Writes the table of `source` under its one name into `temporary`, and returns that."""
    columns, rows = TABLES[source.kind](source)
    with (temporary / names[0]).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")  # the same bytes on every system
        writer.writerow(columns)
        writer.writerows(rows)
    return temporary


def _blobs(source: GaussianBlobs) -> Table:
    """Columns x1, x2, ... and label, the number of the blob; the first blobs get the remaining points."""
    random = np.random.default_rng(source.seed)
    rows: list[list[int | float | str]] = []
    for label, center in enumerate(source.centers):
        count = len(range(label, source.samples, len(source.centers)))
        points = random.normal(center, source.std, (count, len(center))).round(6)
        rows += [[*point, label] for point in points.tolist()]
    return [*(f"x{i + 1}" for i in range(len(source.centers[0]))), "label"], rows


def _sklearn(source: SklearnDataset) -> Table:
    """With scikit-learn's names of columns and classes."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{source.dataset}")()
    labels = bunch.target_names[bunch.target]
    rows = [[*values, str(label)] for values, label in zip(bunch.data.tolist(), labels, strict=True)]
    return [*map(str, bunch.feature_names), "target"], rows


TABLES: dict[str, Callable[[Any], Table]] = {
    "inline": lambda source: (source.columns, source.rows),
    "blobs": _blobs,
    "sklearn": _sklearn,
}
