"""Tables: numbers and categories in the rows of a CSV or KEEL file -> float32 arrays N x F.

`tabular_preprocessing` fits medians, means, standard deviations, categories and principal components.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.base import DataKind, Transform
from torchprimer.datasets.csv_io import csv_rows, decode_lines, find_csv, read_source_description
from torchprimer.datasets.meta import TabularMeta
from torchprimer.datasets.splits import check_ids, random_split, split_by_time, stratified_split
from torchprimer.datasets.storage import save_array
from torchprimer.datasets.tabular_preprocessing import fit, numeric_column, target_column, transform, transform_target
from torchprimer.errors import UserError
from torchprimer.params import Tabular
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.tabular import MISSING, check_column

Floats = npt.NDArray[np.float64]
Rows = Iterator[tuple[int, dict[str, str]]]
SUFFIXES = (".csv", ".tsv", ".dat")  # .dat: KEEL


# ---- reading -------------------------------------------------------------------------------------------------------


def read_table(raw: Path) -> pd.DataFrame:
    """All rows of data/raw/X as text, stripped; the index `id` is the number of the row, from 1, zero-padded.

    Raises:
        UserError: not one table, unreadable, or not the published number of rows.
    """
    description = read_source_description(raw)
    format_ = description.get("format")
    if format_ not in (None, *Tabular.formats):
        raise UserError(f"raw data {raw.name} is of format {format_}, which is not a table")
    file = find_csv(raw, SUFFIXES)
    lines = decode_lines(file.read_bytes(), file.name)
    is_keel = format_ == "keel" or file.suffix.lower() == ".dat"
    rows = read_keel(lines, file.name, description.get("columns")) if is_keel else csv_rows(lines, file.name)
    table = pd.DataFrame([row for _, row in rows], dtype=object)
    expected = description.get("expected", {}).get("samples", len(table))
    if len(table) != expected:
        raise UserError(
            f"raw data {raw.name}: {len(table):,} rows, published: {expected:,} (downloads.{raw.name}.expected)"
        )
    digits = len(str(len(table)))
    ids = [f"{number:0{digits}d}" for number in range(1, len(table) + 1)]
    return table.set_axis(pd.Index(ids, name="id", dtype=object))


def read_keel(lines: list[str], name: str, columns: list[str] | None) -> Rows:
    """A KEEL file: `@attribute NAME ...` for each column, then the rows; or rows alone, if `columns` names them."""
    header = [line for line in lines if line.startswith("@")]
    matches = [re.match(r"@attribute\s+(?:'([^']+)'|([^\s{\[]+))", line, re.IGNORECASE) for line in header]
    columns = [match[1] or match[2] for match in matches if match] or columns
    if not columns:
        raise UserError(f"{name} does not name its columns: it has no lines like `@attribute age real`")
    # blank lines in place of the header, so that the line numbers of errors stay right
    data = ["\n" if line.startswith(("@", "%")) else line for line in lines]
    return csv_rows(data, name, columns=columns, delimiter=",")


# ---- splitting -----------------------------------------------------------------------------------------------------


def split_rows(
    raw: Path, dataset: Tabular, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See `DataKind.split_rows`. Without held-out rows, all are in the split `all`; rows without a target are rejected.

    Rows that are equal in every column used are not duplicates: two flowers may measure the same. They are put into the
    same split, so that no test row occurs in training; a random split counts them once.

    Raises:
        UserError: a missing column, a value that is not a number, too few rows or classes, or not the published classes.
    """
    table = read_table(raw)
    for key in ("target", "numeric", "categorical", "time"):
        columns = getattr(dataset, key)
        for column in columns if isinstance(columns, list) else [columns]:
            if column is not None:
                try:
                    check_column(table, column)
                except InvalidInput as error:
                    raise UserError(f"datasets.{name}.{key}: {error}") from None
    if dataset.task == "classification":
        _compare_with_published(table, dataset.target, read_source_description(raw), dataset.raw)
    without = table[dataset.target].str.lower().isin(MISSING if dataset.task == "regression" else {""})
    rejected = pd.DataFrame({"id": table.index[without], "reason": f"no {dataset.target}"}, dtype=object)
    table = table[~without]
    labels = table[dataset.target].to_numpy(dtype=np.str_)
    if dataset.task == "classification" and len(set(labels)) < 2:
        existing = f"only '{labels[0]}'" if len(labels) else "none"
        raise UserError(f"dataset {name}: a classifier needs rows of two classes or more, and there is {existing}")
    content = duplicate_groups(table, dataset)  # for every kind of split: it also checks all numbers
    sizes: dict[str, Any] = {"validation": dataset.validation, "test": dataset.test, "limit": limit, "name": name}
    if dataset.split == "none":
        parts = np.where(np.arange(len(table)) < (limit or len(table)), "all", "")
    elif dataset.split == "time":
        assert dataset.time is not None
        parts = split_by_time(_times(table, dataset.time), **sizes)
    else:
        first = np.unique(content, return_index=True)[1]  # one row of each content
        if dataset.task == "classification":
            is_test = np.zeros(len(first), np.bool_)
            parts_of_first = stratified_split(labels[first], is_test, max_holdout_fraction=None, seed=seed, **sizes)
        else:
            parts_of_first = random_split(len(first), seed=seed, **sizes)
        parts = parts_of_first[content]
        if limit is not None:
            parts[np.setdiff1d(np.arange(len(parts)), first)] = ""  # equal rows would exceed it
    if dataset.task == "classification":
        _check_classes(labels, parts, name)
    rows = pd.DataFrame({"id": table.index, "label": labels, "split": parts}, dtype=object)
    return rows[rows["split"] != ""].sort_values("id", ignore_index=True), rejected


def duplicate_groups(table: pd.DataFrame, dataset: Tabular) -> npt.NDArray[np.int64]:
    """0, 1, ... in the order of first appearance; rows of the same number are equal in every column used."""
    used = [*(numeric_column(table, name) for name in dataset.numeric), *(table[name] for name in dataset.categorical)]
    used.append(target_column(table, dataset.target) if dataset.task == "regression" else table[dataset.target])
    # numbered: a column of the table may be called anything
    frame = pd.DataFrame({number: np.asarray(values) for number, values in enumerate(used)})
    groups = frame.groupby(list(frame.columns), sort=False, dropna=False).ngroup()
    return np.asarray(groups, np.int64)


def _times(table: pd.DataFrame, column: str) -> Floats:
    text = table[column]
    if (empty := text == "").any():
        raise UserError(f"row {text.index[empty][0]}: no {column}, which the rows are sorted by")
    times = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    if np.isnan(times).any():
        dates = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
        if (wrong := dates.isna()).any():
            raise UserError(
                f"row {text.index[wrong][0]}: {column} is {text[wrong].iloc[0]!r}; rows are sorted by numbers, or by "
                "dates like 2011-12-31 or 2011-12-31 23:00"
            )
        times = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
    return times


def _check_classes(labels: npt.NDArray[np.str_], parts: npt.NDArray[np.str_], name: str) -> None:
    trained = set(labels[np.isin(parts, ["train", "all"])])
    if len(trained) < 2 or not set(labels[parts != ""]) <= trained:
        missing = sorted(set(labels) - trained)[0]
        raise UserError(
            f"dataset {name}: no row of class '{missing}' is left to train on: raise limit, or split otherwise"
        )


def _compare_with_published(table: pd.DataFrame, target: str, published: dict[str, Any], raw: str) -> None:
    expected: dict[str, int] = published.get("expected", {}).get("distinct", {})
    unique = table.drop_duplicates()
    unique = unique[~unique.duplicated([name for name in table if name != target], keep=False)]
    counts = {str(label): int(count) for label, count in unique[target].value_counts().sort_index().items()}
    if set(counts) & set(expected) and counts != expected:  # none in common: the target is another column
        raise UserError(
            f"raw data {raw}: different rows of each {target}: {counts}, published: {expected} "
            f"(downloads.{raw}.expected)"
        )


# ---- preparing -----------------------------------------------------------------------------------------------------


def prepare(raw: Path, dataset: Tabular, rows: pd.DataFrame, folder: Path) -> TabularMeta:
    """See `DataKind.prepare`: inputs float32, N x F; targets int64, N (classes) or float32, N x 1 (regression)."""
    table = read_table(raw)
    check_ids(rows["id"], table.index, dataset.raw)
    held_out = not (rows["split"] == "all").any()
    parts = {
        part: table.loc[rows.loc[rows["split"] == (part if held_out else "all"), "id"]]
        for part in ("train", "validation", "test")
    }
    meta = fit(parts["train"], dataset)
    for part, members in parts.items():
        save_array(folder / f"{part}_inputs.npy", transform(meta, members))
        save_array(folder / f"{part}_targets.npy", transform_target(meta, members))
    if dataset.time is not None:  # evaluate plots predictions over the test period
        text = parts["test"][dataset.time]
        times = pd.to_numeric(text, errors="coerce")
        values = (text if times.isna().any() else times).tolist()
        meta = meta.model_copy(update={"time_column": dataset.time, "time": values})
    return meta.model_copy(update={"held_out": held_out})


class TabularKind(DataKind[Tabular, TabularMeta]):
    name = "tabular"
    meta_class = TabularMeta
    predictor_kind = "tabular"
    input_name = "features"
    split_rows = staticmethod(split_rows)
    prepare = staticmethod(prepare)

    def transform(self, meta: TabularMeta) -> Transform:
        return meta.model_dump(include={"numeric", "zero_as_missing", "categorical", "pca", "features"})

    def columns(self, transform: Transform) -> list[dict[str, str]]:
        types = dict.fromkeys(transform["numeric"], "double") | dict.fromkeys(transform["categorical"], "string")
        return [{"name": name, "type": type_} for name, type_ in types.items()]

    def example(self, transform: Transform, prepared: npt.NDArray[Any]) -> dict[str, Any]:
        """Without what principal components leave out; numbers have four digits."""
        values = prepared.astype(np.float64)
        if transform["pca"] is not None:
            values = values @ np.array(transform["pca"]["components"]) + np.array(transform["pca"]["mean"])
        row: dict[str, Any] = {}
        for value, (name, fitted) in zip(values, transform["numeric"].items(), strict=False):
            row[name] = float(f"{value * fitted['std'] + fitted['mean']:.4g}")
        start = len(row)
        for name, categories in transform["categorical"].items():
            row[name] = categories[int(values[start : start + len(categories)].argmax())]
            start += len(categories)
        return row


KIND = TabularKind()
