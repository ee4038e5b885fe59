"""Preprocessing of tables, fitted on training rows only and stored as plain numbers in meta.json."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.atomic import Json
from torchprimer.datasets.meta import NumericColumn, PrincipalComponents, TabularMeta
from torchprimer.datasets.splits import random_split, require_two_classes, stratified_split
from torchprimer.errors import UserError
from torchprimer.params import Tabular
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.tabular import MISSING, cell_to_str, column_numbers, encode_columns, table_features

Floats = npt.NDArray[np.float64]


def fit(table: pd.DataFrame, dataset: Tabular) -> TabularMeta:
    """Fits on training rows what `transform` and `transform_target` need; see `TabularMeta`."""
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    numeric: dict[str, NumericColumn] = {}
    for name in dataset.numeric:
        values = numeric_column(table, name, zero_as_missing=name in dataset.zero_as_missing)[:, None]
        if np.isnan(values).all():
            raise UserError(f"column {name} is empty in every training row: leave it out of the dataset's numeric")
        imputer = SimpleImputer(strategy="median").fit(values)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            mean, std = _fit_scale(imputer.transform(values), dataset.standardize)
        if not np.isfinite([mean, std]).all():
            raise UserError(f"column {name} has values that are too large to compute with: correct or leave it out")
        numeric[name] = NumericColumn(median=float(imputer.statistics_[0]), mean=mean, std=std)
    categorical: dict[str, list[str]] = {}
    if dataset.categorical:
        texts = table[dataset.categorical].map(cell_to_str).to_numpy(dtype=object)
        categories = OneHotEncoder(handle_unknown="ignore").fit(texts).categories_
        lists = [[str(value) for value in values] for values in categories]
        categorical = dict(zip(dataset.categorical, lists, strict=True))
    features = [*numeric, *(f"{name}={value}" for name, values in categorical.items() for value in values)]
    meta = TabularMeta(
        **dataset.model_dump(include={"task", "target", "zero_as_missing"}),
        shape=[len(features)], numeric=numeric, categorical=categorical, features=features,
    )  # fmt: skip
    if dataset.pca is not None:
        inputs = encode_columns(meta.model_dump(), table)
        if dataset.pca > min(inputs.shape):
            raise UserError(f"pca: {dataset.pca} is more than there are features ({inputs.shape[1]}) or training rows")
        if np.ptp(inputs, axis=0).max() == 0:
            raise UserError("pca: all training rows are equal: there is nothing to learn from")
        pca = PCA(dataset.pca, svd_solver="full").fit(inputs)
        fitted: Json = {
            "pca": PrincipalComponents(mean=pca.mean_.tolist(), components=pca.components_.tolist()),
            "explained_variance": pca.explained_variance_ratio_.tolist(),
            "features": [f"pc{i + 1}" for i in range(dataset.pca)],
            "shape": [dataset.pca],
        }
        meta = meta.model_copy(update=fitted)
    return meta.model_copy(update=TARGETS[dataset.task].fit(table[dataset.target], dataset.standardize))


def transform(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Inputs of shape (N, F) for rows as `read_table` returns them, computed from the numbers in `meta` only.

    Raises UserError if a column is missing, or has a value that is not a number.
    """
    with _row_errors(table.index):
        return table_features(meta.model_dump(), table)


def transform_target(meta: TabularMeta, table: pd.DataFrame) -> npt.NDArray[Any]:
    """Targets: class indices of shape (N,), or numbers of shape (N, 1), standardised if the dataset is."""
    return TARGETS[meta.task].transform(meta, table[meta.target])


def numeric_column(table: pd.DataFrame, name: str, *, zero_as_missing: bool = False) -> Floats:
    """A column as numbers of shape (N,), NaN where it is missing."""
    with _row_errors(table.index):
        return column_numbers(table[name], name, zero_as_missing=zero_as_missing)


class Classes:
    """The target column of a classification; `missing`: its values, in lower case, in rows without a target."""

    missing = frozenset({""})

    def values(self, column: pd.Series) -> npt.NDArray[Any]:
        """Shape (N,), equal where two rows have the same target."""
        return column.to_numpy()

    def random_split(self, labels: npt.NDArray[np.str_], **sizes: Any) -> npt.NDArray[np.str_]:
        return stratified_split(labels, **sizes)

    def check_split(self, labels: npt.NDArray[np.str_], splits: npt.NDArray[np.str_], name: str) -> None:
        """Raises UserError unless each class of the other rows, and at least two, are among the training rows."""
        require_two_classes(labels, name)
        trained = set(labels[np.isin(splits, ["train", "all"])])
        if len(trained) < 2 or not set(labels[splits != ""]) <= trained:
            missing = sorted(set(labels) - trained)[0]
            raise UserError(
                f"dataset {name}: no row of class '{missing}' is left to train on: raise limit, or split otherwise"
            )

    def fit(self, column: pd.Series, _standardize: bool) -> Json:
        """Fields of TabularMeta."""
        return {"classes": natural_sort(column.map(cell_to_str).unique().tolist())}

    def transform(self, meta: TabularMeta, column: pd.Series) -> npt.NDArray[np.int64]:
        number = {label: i for i, label in enumerate(meta.classes)}
        labels = column.map(cell_to_str)
        if len(unknown := labels[~labels.isin(number)]):
            raise UserError(f"row {unknown.index[0]}: no training row is of class {unknown.iloc[0]!r}")
        return np.array([number[label] for label in labels], np.int64)


class Numbers:
    """The target column of a regression, with the methods of `Classes`."""

    missing = frozenset(MISSING)

    def values(self, column: pd.Series) -> Floats:
        with _row_errors(column.index, "set the dataset's task to classification, if these are classes"):
            return column_numbers(column, str(column.name))

    def random_split(self, labels: npt.NDArray[np.str_], **sizes: Any) -> npt.NDArray[np.str_]:
        return random_split(len(labels), **sizes)

    def check_split(self, labels: npt.NDArray[np.str_], splits: npt.NDArray[np.str_], name: str) -> None:
        """Any rows will do."""

    def fit(self, column: pd.Series, standardize: bool) -> Json:
        mean, std = _fit_scale(self.values(column)[:, None], standardize)
        return {"target_mean": mean, "target_std": std}

    def transform(self, meta: TabularMeta, column: pd.Series) -> npt.NDArray[np.float32]:
        standardised = (self.values(column) - meta.target_mean) / meta.target_std
        return standardised.astype(np.float32)[:, None]


TARGETS: dict[str, Classes | Numbers] = {"classification": Classes(), "regression": Numbers()}


def _fit_scale(values: Floats, standardize: bool) -> tuple[float, float]:
    """Mean and standard deviation of a column, shape (N, 1); 0 and 1 without `standardize`."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values)
    return (float(scaler.mean_[0]), float(scaler.scale_[0])) if standardize else (0.0, 1.0)


@contextlib.contextmanager
def _row_errors(ids: pd.Index, advice: str = "name the column under categorical") -> Iterator[None]:
    """Adds the id of the row and a remedy to the error."""
    try:
        yield
    except InvalidInput as error:
        if error.index is None:
            raise
        raise UserError(f"row {ids[error.index]}: {error}; correct it, or {advice}") from None


def natural_sort(labels: list[str]) -> list[str]:
    """Sorted; by value if all are numbers, so that 10 comes after 9."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
