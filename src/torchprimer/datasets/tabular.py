"""Tables: numbers and categories in the rows of a CSV or KEEL file -> float32 arrays N x F.

What is fitted (medians, means, deviations, categories, principal components) sees the training rows alone and is kept
as plain numbers in meta.json, from which `transform` prepares any further rows.
"""

import contextlib
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.csv_io import csv_error_text, csv_reader, published
from torchprimer.datasets.meta import NumericColumn, PrincipalComponents, TabularMeta
from torchprimer.datasets.splits import random_split, split, split_by_time
from torchprimer.errors import UserError
from torchprimer.params import Tabular
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.preprocessing import (
    MISSING,
    cell_to_str,
    check_column,
    column_numbers,
    encode_columns,
    table_features,
)

Floats = npt.NDArray[np.float64]
ENDINGS = (".csv", ".tsv", ".dat")


# ---- reading -------------------------------------------------------------------------------------------------------


def read_table(raw: Path) -> pd.DataFrame:
    """Every row of data/raw/X as text, stripped; the index `id` is the number of the row, from 1, zero-padded.

    Raises:
        UserError: not one table, unreadable, or not as many rows as were published.
    """
    if not raw.is_dir():
        raise UserError(f"no raw data in {raw}: define it under downloads:, or put a CSV there")
    about = published(raw)
    if about.get("format", "csv") not in ("csv", "keel"):
        raise UserError(f"raw data {raw.name} is of format {about['format']}, which is not a table")
    there = sorted(file for file in raw.iterdir() if file.is_file() and not file.name.startswith("."))
    files = [file for file in there if file.name != "source.json" and (about or file.suffix.lower() in ENDINGS)]
    if len(files) != 1:
        found = ", ".join(file.name for file in there) or "nothing"
        raise UserError(f"raw data {raw.name}: one CSV is needed (.csv, .tsv or KEEL's .dat), and there is: {found}")
    is_keel = about.get("format") == "keel" or files[0].suffix.lower() == ".dat"
    table = read_keel(files[0], about.get("columns")) if is_keel else read_csv(files[0])
    expected = about.get("expected", {}).get("samples", len(table))
    if len(table) != expected:
        raise UserError(
            f"raw data {raw.name}: {len(table):,} rows, published: {expected:,} (downloads.{raw.name}.expected)"
        )
    return table


def read_csv(file: Path) -> pd.DataFrame:
    """A CSV whose first line names the columns, separated by commas, semicolons or tabs; as `read_table` gives it."""
    return _table(file, csv_reader(_lines(file)), None)


def read_keel(file: Path, columns: list[str] | None) -> pd.DataFrame:
    """A KEEL file: `@attribute NAME ...` for each column, then the rows; or rows alone, if `columns` names them."""
    lines = _lines(file)
    header = [line for line in lines if line.startswith("@")]
    found = [re.match(r"@attribute\s+(?:'([^']+)'|([^\s{\[]+))", line, re.IGNORECASE) for line in header]
    named = [match[1] or match[2] for match in found if match] or columns
    if not named:
        raise UserError(f"{file.name} does not name its columns: it has no lines like `@attribute age real`")
    # taken out by atomic_write: so the numbers of the lines stay right
    data = ["\n" if line.startswith(("@", "%")) else line for line in lines]
    return _table(file, csv.reader(data, skipinitialspace=True), named)


def _lines(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = stream.readlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{file.name} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    if not any(line.strip() for line in lines):
        raise UserError(f"{file.name} is empty")
    return lines


def _table(file: Path, reader: Any, columns: list[str] | None) -> pd.DataFrame:
    rows: list[list[str]] = []
    try:
        for row in reader:
            values = [value.strip() for value in row]
            if not any(values):
                continue
            if columns is None:
                columns = values
            elif len(values) != len(columns):
                raise UserError(
                    f"{file.name}, line {reader.line_num}: {len(values)} values, and there are {len(columns)} columns"
                )
            else:
                rows.append(values)
    except csv.Error as error:
        raise UserError(f"{file.name}{csv_error_text(reader, error)}") from None
    columns = columns or []
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise UserError(f"{file.name}: two columns are called {twice[0]!r}")
    if not rows:
        raise UserError(f"{file.name} has no rows below the names of its columns")
    digits = len(str(len(rows)))
    ids = pd.Index([f"{number:0{digits}d}" for number in range(1, len(rows) + 1)], name="id", dtype=object)
    return pd.DataFrame(rows, columns=columns, index=ids, dtype=object)


# ---- splitting -----------------------------------------------------------------------------------------------------


def split_rows(
    raw: Path, dataset: Tabular, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decides which rows are train, validation and test; `all`, where the dataset holds none back.

    Rows that are equal in every column used stay: two flowers may measure the same. But they go into the same split,
    so that no test row was seen in training; a random split counts them once.

    Returns:
        One row per sample (id, label, split), sorted by id; and one per row without a target (id, reason).

    Raises:
        UserError: a column that is not there, a value that is no number, too few rows or classes, or not the classes
            that were published.
    """
    table = read_table(raw)
    for key in ("target", "numeric", "categorical", "time"):
        given = getattr(dataset, key)
        for column in given if isinstance(given, list) else [given]:
            if column is not None:
                try:
                    check_column(table, column)
                except InvalidInput as error:
                    raise UserError(f"datasets.{name}.{key}: {error}") from None
    if dataset.task == "classification":
        _compare_with_published(table, dataset.target, published(raw), dataset.raw)
    without = table[dataset.target].str.lower().isin(MISSING if dataset.task == "regression" else {""})
    rejected = pd.DataFrame({"id": table.index[without], "reason": f"no {dataset.target}"}, dtype=object)
    table = table[~without]
    labels = table[dataset.target].to_numpy(dtype=np.str_)
    if dataset.task == "classification" and len(set(labels)) < 2:
        found = f"only '{labels[0]}'" if len(labels) else "none"
        raise UserError(f"dataset {name}: a classifier needs rows of two classes or more, and there is {found}")
    content = duplicate_groups(table, dataset)  # here for every split: it reads, and so checks, all numbers
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
            parts_of_first = split(labels[first], is_test, max_holdout_fraction=None, seed=seed, **sizes)
        else:
            parts_of_first = random_split(len(first), seed=seed, **sizes)
        parts = parts_of_first[content]
        if limit is not None:
            parts[np.setdiff1d(np.arange(len(parts)), first)] = ""  # repeats would exceed it
    if dataset.task == "classification":
        _check_classes(labels, parts, name)
    rows = pd.DataFrame({"id": table.index, "label": labels, "split": parts}, dtype=object)
    return rows[rows["split"] != ""].sort_values("id", ignore_index=True), rejected


def duplicate_groups(table: pd.DataFrame, dataset: Tabular) -> npt.NDArray[np.int64]:
    """0, 1, ... in the order of first appearance; rows of the same number are equal in every column used."""
    used = [*(_numbers(table, name) for name in dataset.numeric), *(table[name] for name in dataset.categorical)]
    used.append(_target_numbers(table, dataset.target) if dataset.task == "regression" else table[dataset.target])
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
    known = set(labels[np.isin(parts, ["train", "all"])])
    if len(known) < 2 or not set(labels[parts != ""]) <= known:
        missing = sorted(set(labels) - known)[0]
        raise UserError(
            f"dataset {name}: no row of class '{missing}' is left to train on: raise limit, or split otherwise"
        )


def _compare_with_published(table: pd.DataFrame, target: str, published: dict[str, Any], raw: str) -> None:
    expected: dict[str, int] = published.get("expected", {}).get("distinct", {})
    unique = table.drop_duplicates()
    unique = unique[~unique.duplicated([name for name in table if name != target], keep=False)]
    found = {str(label): int(count) for label, count in unique[target].value_counts().sort_index().items()}
    if set(found) & set(expected) and found != expected:  # none in common: another column is the target
        raise UserError(
            f"raw data {raw}: different rows of each {target}: {found}, published: {expected} "
            f"(downloads.{raw}.expected)"
        )


# ---- preparing -----------------------------------------------------------------------------------------------------


def prepare(raw: Path, dataset: Tabular, rows: pd.DataFrame, folder: Path) -> TabularMeta:
    """Writes {train,validation,test}_inputs.npy (float32, N x F) and _targets.npy into `folder`.

    Targets are class numbers (int64, N), or numbers (float32, N x 1).

    Returns:
        What `fit` found in the training rows, and `held_out`; split by time: the times of the test rows.
    """
    table = read_table(raw)
    if gone := sorted(set(rows["id"]) - set(table.index)):
        raise UserError(
            f"raw data {dataset.raw} no longer has row {gone[0]}, which the split names: run `dvc repro split`"
        )
    held_out = not (rows["split"] == "all").any()
    parts = {
        part: table.loc[rows.loc[rows["split"] == (part if held_out else "all"), "id"]]
        for part in ("train", "validation", "test")
    }
    meta = fit(parts["train"], dataset)
    for part, members in parts.items():
        np.save(folder / f"{part}_inputs.npy", transform(meta, members))
        np.save(folder / f"{part}_targets.npy", transform_target(meta, members))
    if dataset.time is not None:  # so that predictions can be drawn over the test period
        text = parts["test"][dataset.time]
        times = pd.to_numeric(text, errors="coerce")
        values = (text if times.isna().any() else times).tolist()
        meta = meta.model_copy(update={"time_column": dataset.time, "time": values})
    return meta.model_copy(update={"held_out": held_out})


def fit(table: pd.DataFrame, dataset: Tabular) -> TabularMeta:
    """Learns from training rows what `transform` and `transform_target` need: plain numbers and texts, fit for JSON.

    numeric: for each column the median (stands in for a missing value), mean and deviation; categorical: the
    categories of each column; pca: mean and directions (K x F); features: what the F inputs are called.
    """
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric: dict[str, NumericColumn] = {}
    for name in dataset.numeric:
        values = _numbers(table, name, zero_as_missing=name in dataset.zero_as_missing)[:, None]
        if np.isnan(values).all():
            raise UserError(f"column {name} is empty in every training row: leave it out of the dataset's numeric")
        imputer = SimpleImputer(strategy="median").fit(values)
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            scaler = StandardScaler().fit(imputer.transform(values))
        mean, std = (float(scaler.mean_[0]), float(scaler.scale_[0])) if dataset.standardize else (0.0, 1.0)
        if not np.isfinite([mean, std]).all():
            raise UserError(f"column {name} has values that are too large to compute with: correct or leave it out")
        numeric[name] = NumericColumn(median=float(imputer.statistics_[0]), mean=mean, std=std)
    categorical: dict[str, list[str]] = {}
    if dataset.categorical:
        texts = table[dataset.categorical].map(cell_to_str).to_numpy(dtype=object)
        encoder = OneHotEncoder(handle_unknown="ignore").fit(texts)
        categorical = {
            name: [str(value) for value in found]
            for name, found in zip(dataset.categorical, encoder.categories_, strict=True)
        }
    features = [*numeric, *(f"{name}={value}" for name, values in categorical.items() for value in values)]
    meta = TabularMeta(
        task=dataset.task,
        shape=[len(features)],
        numeric=numeric,
        zero_as_missing=list(dataset.zero_as_missing),
        categorical=categorical,
        features=features,
        target=dataset.target,
    )
    if dataset.pca is not None:
        inputs = encode_columns(meta.model_dump(), table)
        if dataset.pca > min(inputs.shape):
            raise UserError(f"pca: {dataset.pca} is more than there are features ({inputs.shape[1]}) or training rows")
        if np.ptp(inputs, axis=0).max() == 0:
            raise UserError("pca: all training rows are equal: there is nothing to learn from")
        pca = PCA(dataset.pca, svd_solver="full").fit(inputs)
        fitted: dict[str, Any] = {
            "pca": PrincipalComponents(mean=pca.mean_.tolist(), components=pca.components_.tolist()),
            "explained_variance": pca.explained_variance_ratio_.tolist(),
            "features": [f"pc{i + 1}" for i in range(dataset.pca)],
            "shape": [dataset.pca],
        }
        meta = meta.model_copy(update=fitted)
    if dataset.task == "classification":
        classes = natural_sort(table[dataset.target].map(cell_to_str).unique().tolist())
        return meta.model_copy(update={"classes": classes})
    scaler = StandardScaler().fit(_target_numbers(table, dataset.target)[:, None])
    mean, std = (float(scaler.mean_[0]), float(scaler.scale_[0])) if dataset.standardize else (0.0, 1.0)
    return meta.model_copy(update={"target_mean": mean, "target_std": std})


def transform(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Inputs of shape (N, F) for rows as `read_table` gives them, by the numbers in `meta` alone.

    Raises:
        UserError: a column is missing, or has a value that is no number.
    """
    with _named_rows(table):
        return table_features(meta.model_dump(), table)


def transform_target(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
    """Targets: class numbers of shape (N,), or numbers of shape (N, 1), standardised if the dataset is."""
    if meta.task == "classification":
        number = {label: i for i, label in enumerate(meta.classes)}
        labels = table[meta.target].map(cell_to_str)
        if len(unknown := labels[~labels.isin(number)]):
            raise UserError(f"row {unknown.index[0]}: no training row is of class {unknown.iloc[0]!r}")
        return np.array([number[label] for label in labels], np.int64)
    values = _target_numbers(table, meta.target)
    standardised: npt.NDArray[np.float32] = ((values - meta.target_mean) / meta.target_std).astype(np.float32)
    return standardised[:, None]


def _numbers(table: pd.DataFrame, name: str, *, zero_as_missing: bool = False) -> Floats:
    """A column as numbers of shape (N,), NaN where it is missing."""
    with _named_rows(table):
        return column_numbers(table[name], name, zero_as_missing=zero_as_missing)


def _target_numbers(table: pd.DataFrame, name: str) -> Floats:
    """The target of a regression, likewise."""
    with _named_rows(table, "set the dataset's task to classification, if these are classes"):
        return column_numbers(table[name], name)


@contextlib.contextmanager
def _named_rows(table: pd.DataFrame, advice: str = "name the column under categorical") -> Iterator[None]:
    """Puts the id of the row into what is said of it, and what can be done."""
    try:
        yield
    except InvalidInput as error:
        if error.index is None:
            raise
        raise UserError(f"row {table.index[error.index]}: {error}; correct it, or {advice}") from None


def natural_sort(labels: list[str]) -> list[str]:
    """Sorted; by value where all are numbers, so that 10 comes after 9."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
