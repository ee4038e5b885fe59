"""Tables without a download: from params.yaml, drawn from a seed, or shipped with scikit-learn.

Each becomes one CSV file, and is processed like all other data from there on.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from torchprimer.params import GaussianBlobs, Inline, SklearnDataset


def make_table(source: Inline | GaussianBlobs | SklearnDataset, name: str, temporary: Path) -> Path:
    """Writes the table of `source` as `temporary/name` and returns `temporary`, as the other sources do."""
    if isinstance(source, Inline):
        columns, rows = source.columns, source.rows
    elif isinstance(source, GaussianBlobs):
        columns, rows = _blobs(source)
    else:
        columns, rows = _sklearn_table(source)
    _write_csv(temporary / name, columns, rows)
    return temporary


def _blobs(source: GaussianBlobs) -> tuple[list[str], list[list[int | float | str]]]:
    """Columns x1, x2, ... and label, the number of the blob; the first blobs get the remaining points."""
    random = np.random.default_rng(source.seed)
    rows: list[list[int | float | str]] = []
    for label, center in enumerate(source.centers):
        count = len(range(label, source.samples, len(source.centers)))
        points = random.normal(center, source.std, (count, len(center))).round(6)
        rows += [[*point, label] for point in points.tolist()]
    return [*(f"x{i + 1}" for i in range(len(source.centers[0]))), "label"], rows


def _sklearn_table(source: SklearnDataset) -> tuple[list[str], list[list[int | float | str]]]:
    """With scikit-learn's names of columns and classes."""
    from sklearn import datasets

    loaders = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast_cancer": datasets.load_breast_cancer,
    }
    bunch = loaders[source.dataset]()
    labels = bunch.target_names[bunch.target]
    rows = [[*values, str(label)] for values, label in zip(bunch.data.tolist(), labels, strict=True)]
    return [*map(str, bunch.feature_names), "target"], rows


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[int | float | str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")  # the same bytes on every system
        writer.writerow(columns)
        writer.writerows(rows)
