"""Preprocessing of tables, fitted on training rows only and stored as plain numbers in meta.json."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.meta import NumericColumn, PrincipalComponents, TabularMeta
from torchprimer.errors import UserError
from torchprimer.params import Tabular
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.tabular import cell_to_str, column_numbers, encode_columns, table_features

Floats = npt.NDArray[np.float64]


def fit(table: pd.DataFrame, dataset: Tabular) -> TabularMeta:
    """Fits on training rows what `transform` and `transform_target` need; see `TabularMeta`."""
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric: dict[str, NumericColumn] = {}
    for name in dataset.numeric:
        values = numeric_column(table, name, zero_as_missing=name in dataset.zero_as_missing)[:, None]
        if np.isnan(values).all():
            raise UserError(f"column {name} is empty in every training row: leave it out of the dataset's numeric")
        imputer = SimpleImputer(strategy="median").fit(values)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
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
            name: [str(value) for value in values]
            for name, values in zip(dataset.categorical, encoder.categories_, strict=True)
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
    scaler = StandardScaler().fit(target_column(table, dataset.target)[:, None])
    mean, std = (float(scaler.mean_[0]), float(scaler.scale_[0])) if dataset.standardize else (0.0, 1.0)
    return meta.model_copy(update={"target_mean": mean, "target_std": std})


def transform(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Inputs of shape (N, F) for rows as `read_table` returns them, computed from the numbers in `meta` only.

    Raises:
        UserError: a column is missing, or has a value that is not a number.
    """
    with _row_errors(table):
        return table_features(meta.model_dump(), table)


def transform_target(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
    """Targets: class indices of shape (N,), or numbers of shape (N, 1), standardised if the dataset is."""
    if meta.task == "classification":
        number = {label: i for i, label in enumerate(meta.classes)}
        labels = table[meta.target].map(cell_to_str)
        if len(unknown := labels[~labels.isin(number)]):
            raise UserError(f"row {unknown.index[0]}: no training row is of class {unknown.iloc[0]!r}")
        return np.array([number[label] for label in labels], np.int64)
    values = target_column(table, meta.target)
    standardised: npt.NDArray[np.float32] = ((values - meta.target_mean) / meta.target_std).astype(np.float32)
    return standardised[:, None]


def numeric_column(table: pd.DataFrame, name: str, *, zero_as_missing: bool = False) -> Floats:
    """A column as numbers of shape (N,), NaN where it is missing."""
    with _row_errors(table):
        return column_numbers(table[name], name, zero_as_missing=zero_as_missing)


def target_column(table: pd.DataFrame, name: str) -> Floats:
    """The target of a regression, shape (N,)."""
    with _row_errors(table, "set the dataset's task to classification, if these are classes"):
        return column_numbers(table[name], name)


@contextlib.contextmanager
def _row_errors(table: pd.DataFrame, advice: str = "name the column under categorical") -> Iterator[None]:
    """Adds the id of the row and a remedy to the error."""
    try:
        yield
    except InvalidInput as error:
        if error.index is None:
            raise
        raise UserError(f"row {table.index[error.index]}: {error}; correct it, or {advice}") from None


def natural_sort(labels: list[str]) -> list[str]:
    """Sorted; by value if all are numbers, so that 10 comes after 9."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
