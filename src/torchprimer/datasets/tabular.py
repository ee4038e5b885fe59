"""Tables: numbers and categories in the rows of a CSV or KEEL file -> float32 arrays (N, F)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.atomic import Json
from torchprimer.datasets.base import DataKind
from torchprimer.datasets.csv_io import compare_with_published, csv_rows, decode_lines, find_csv, source_description
from torchprimer.datasets.meta import TabularMeta
from torchprimer.datasets.splits import check_ids, split_by_time, split_tables
from torchprimer.datasets.storage import save_array
from torchprimer.datasets.tabular_preprocessing import TARGETS, fit, numeric_column, transform, transform_target
from torchprimer.errors import UserError
from torchprimer.params import Tabular
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.tabular import check_column

SUFFIXES = (".csv", ".tsv", ".dat")  # .dat: KEEL


def read_table(raw: Path) -> pd.DataFrame:
    """All rows of data/raw/X as text, stripped; the index `id` is the number of the row, from 1, zero-padded.

    Raises UserError if it is not one table, cannot be read, or has not the published number of rows.
    """
    description = source_description(raw)
    format_ = description.get("format")
    if format_ not in (None, *Tabular.formats):
        raise UserError(f"raw data {raw.name} is of format {format_}, which is not a table")
    file = find_csv(raw, SUFFIXES)
    lines = decode_lines(file.read_bytes(), file.name)
    is_keel = format_ == "keel" or file.suffix.lower() == ".dat"
    rows = read_keel(lines, file.name, description.get("columns", [])) if is_keel else csv_rows(lines, file.name)
    table = pd.DataFrame([row for _, row in rows], dtype=object)
    compare_with_published(raw, "samples", len(table), "rows")
    digits = len(str(len(table)))
    ids = [f"{number:0{digits}d}" for number in range(1, len(table) + 1)]
    return table.set_axis(pd.Index(ids, name="id", dtype=object))


def read_keel(lines: list[str], name: str, columns: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """A KEEL file: `@attribute NAME ...` for each column, then the rows; or rows alone, if `columns` names them."""
    header = [line for line in lines if line.startswith("@")]
    matches = [re.match(r"@attribute\s+(?:'([^']+)'|([^\s{\[]+))", line, re.IGNORECASE) for line in header]
    columns = [match[1] or match[2] for match in matches if match] or columns
    if not columns:
        raise UserError(f"{name} does not name its columns: it has no lines like `@attribute age real`")
    # blank lines in place of the header, so that the line numbers of errors stay right
    data = ["\n" if line.startswith(("@", "%")) else line for line in lines]
    return csv_rows(data, name, columns=columns, delimiter=",")


def duplicate_groups(table: pd.DataFrame, dataset: Tabular) -> npt.NDArray[np.int64]:
    """0, 1, ... in the order of first appearance; rows of the same number are equal in every column used."""
    used = [*(numeric_column(table, name) for name in dataset.numeric), *(table[name] for name in dataset.categorical)]
    used.append(TARGETS[dataset.task].values(table[dataset.target]))
    # numbered: a column of the table may be called anything
    frame = pd.DataFrame({number: np.asarray(values) for number, values in enumerate(used)})
    groups = frame.groupby(list(frame.columns), sort=False, dropna=False).ngroup()
    return np.asarray(groups, np.int64)


def _check_columns(table: pd.DataFrame, dataset: Tabular, name: str) -> None:
    time = [] if dataset.time is None else [dataset.time]
    columns = {"target": [dataset.target], "numeric": dataset.numeric, "categorical": dataset.categorical, "time": time}
    for key, names in columns.items():
        for column in names:
            try:
                check_column(table, column)
            except InvalidInput as error:
                raise UserError(f"datasets.{name}.{key}: {error}") from None


def _compare_classes_with_published(table: pd.DataFrame, target: str, raw: Path) -> None:
    unique = table.drop_duplicates()
    unique = unique[~unique.duplicated([name for name in table if name != target], keep=False)]
    counts = {str(label): int(count) for label, count in unique[target].value_counts().sort_index().items()}
    published = source_description(raw).get("expected", {}).get("distinct", {})
    if set(counts) & set(published):  # none in common: the target is another column than that of the published classes
        compare_with_published(raw, "distinct", counts, f"different rows of each {target}")


def _times(table: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
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


class TabularKind(DataKind[Tabular, TabularMeta]):
    name = "tabular"
    meta_class = TabularMeta
    predictor_kind = "tabular"
    input_name = "features"

    def split_rows(
        self, raw: Path, dataset: Tabular, *, name: str, seed: int, limit: int | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rejects rows without a target. If no rows are held out, all are in the split `all`.

        Rows that are equal in every column used are not duplicates: two flowers may measure the same. They are put into
        the same split, so that no test row occurs in training; a random split counts them once.
        """
        target, table = TARGETS[dataset.task], read_table(raw)
        _check_columns(table, dataset, name)
        _compare_classes_with_published(table, dataset.target, raw)
        without = table[dataset.target].str.lower().isin(target.missing)
        rejected = dict.fromkeys(table.index[without], f"no {dataset.target}")
        table = table[~without]
        labels = table[dataset.target].to_numpy(dtype=np.str_)
        content = duplicate_groups(table, dataset)  # for every kind of split: it also checks all numbers
        sizes: dict[str, Any] = {"validation": dataset.validation, "test": dataset.test, "limit": limit, "name": name}
        if dataset.split == "none":
            splits = np.where(np.arange(len(table)) < (limit or len(table)), "all", "")
        elif dataset.time is not None:
            splits = split_by_time(_times(table, dataset.time), **sizes)
        else:
            first = np.unique(content, return_index=True)[1]  # one row of each content
            splits = target.random_split(labels[first], seed=seed, **sizes)[content]
            if limit is not None:
                splits[np.setdiff1d(np.arange(len(splits)), first)] = ""  # equal rows would exceed it
        target.check_split(labels, splits, name)
        return split_tables(table.index, labels, splits, rejected)

    def prepare(self, raw: Path, dataset: Tabular, rows: pd.DataFrame, folder: Path) -> TabularMeta:
        """Inputs float32 (N, F); targets int64 (N,) for classes, float32 (N, 1) for regression."""
        table = read_table(raw)
        check_ids(rows["id"], table.index, dataset.raw)
        held_out = not (rows["split"] == "all").any()
        splits = {
            split: table.loc[rows.loc[rows["split"] == (split if held_out else "all"), "id"]]
            for split in ("train", "validation", "test")
        }
        meta = fit(splits["train"], dataset).model_copy(update={"held_out": held_out})
        for split, members in splits.items():
            save_array(folder / f"{split}_inputs.npy", transform(meta, members))
            save_array(folder / f"{split}_targets.npy", transform_target(meta, members))
        if dataset.time is None:
            return meta
        text = splits["test"][dataset.time]  # evaluate plots predictions over the test period
        times = pd.to_numeric(text, errors="coerce")
        values = (text if times.isna().any() else times).tolist()
        return meta.model_copy(update={"time_column": dataset.time, "time": values})

    def transform(self, meta: TabularMeta) -> Json:
        return meta.model_dump(include={"numeric", "zero_as_missing", "categorical", "pca", "features"})

    def columns(self, transform: Json) -> list[dict[str, str]]:
        types = dict.fromkeys(transform["numeric"], "double") | dict.fromkeys(transform["categorical"], "string")
        return [{"name": name, "type": type_} for name, type_ in types.items()]

    def example(self, transform: Json, prepared: npt.NDArray[Any]) -> Json:
        """Without what principal components leave out; numbers have four digits."""
        values = prepared.astype(np.float64)
        if transform["pca"] is not None:
            values = values @ np.array(transform["pca"]["components"]) + np.array(transform["pca"]["mean"])
        row: Json = {}
        for value, (name, fitted) in zip(values, transform["numeric"].items(), strict=False):
            row[name] = float(f"{value * fitted['std'] + fitted['mean']:.4g}")
        start = len(row)
        for name, categories in transform["categorical"].items():
            row[name] = categories[int(values[start : start + len(categories)].argmax())]
            start += len(categories)
        return row


KIND = TabularKind()
