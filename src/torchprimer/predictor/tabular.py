"""Rows of a table -> float32 features, by medians, standard deviations and categories of the training rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, did_you_mean

Floats = npt.NDArray[np.float64]
MISSING = {"", "?", "na", "n/a", "nan", "null", "<null>", "none"}  # of a number, in any case


class Columns(Protocol):
    """The values of each column of a table by its name: a dict of lists, or a DataFrame."""

    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, name: str, /) -> Any: ...


def table_features(fitted: Mapping[str, Any], columns: Columns) -> npt.NDArray[np.float32]:
    """Features (N, F) of the rows of a table.

    Args:
        fitted: numeric (median, mean, std of each column), zero_as_missing, categorical (the categories of each
            column; one that is not among them becomes all zeros), pca (None, or mean and components).
        columns: columns that `fitted` lacks are ignored.

    Raises:
        InvalidInput: a column is missing, or a value is not a number.
    """
    encoded = encode_columns(fitted, columns)
    if fitted["pca"] is not None:
        encoded = (encoded - np.array(fitted["pca"]["mean"])) @ np.array(fitted["pca"]["components"]).T
    with np.errstate(over="ignore"):
        features = encoded.astype(np.float32)
    if len(too_large := np.flatnonzero(~np.isfinite(features).all(axis=1))):
        raise InvalidInput("a number in this row is too large for float32", int(too_large[0]))
    return features


def encode_columns(fitted: Mapping[str, Any], columns: Columns) -> Floats:
    """The features before principal components: medians imputed, numbers standardised, categories one-hot; (N, F)."""
    for name in (*fitted["numeric"], *fitted["categorical"]):
        check_column(columns, name)
    blocks = []
    for name, numbers in fitted["numeric"].items():
        values = column_numbers(columns[name], name, zero_as_missing=name in fitted["zero_as_missing"])
        filled = np.where(np.isnan(values), numbers["median"], values)
        blocks.append(((filled - numbers["mean"]) / numbers["std"])[:, None])
    for name, categories in fitted["categorical"].items():
        texts = np.array([_category(value, categories) for value in columns[name]], object)
        blocks.append(texts[:, None] == np.array([categories], object))
    return np.hstack(blocks).astype(np.float64)


def check_column(columns: Iterable[Any], name: str) -> None:
    """Raises InvalidInput if the table has no column of this name."""
    if name not in columns:
        names = [str(column) for column in columns]
        raise InvalidInput(f"no column {name!r}; there are: {', '.join(names)}.{did_you_mean(name, names)}")


def cell_to_str(value: object) -> str:
    """A cell of a table as text: a missing value is "", 3.0 is "3"."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas.NA, pandas.NaT
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()


def _category(value: object, known: Sequence[str]) -> str:
    """The cell as its category was spelled in training: 3 as "3.0", TRUE as "True", an empty cell as "NA".

    (pandas reads TRUE as a bool and NA as a missing value.)
    """
    text = cell_to_str(value)
    if text in known:
        return text
    if isinstance(value, bool | np.bool_):
        match = next((category for category in known if category.lower() == text.lower()), None)
        if match is not None:
            return match
        text = str(int(value))
    if not text:
        return next((category for category in known if category.lower() in MISSING), text)
    number = _number(text)
    return text if number is None else next((category for category in known if _number(category) == number), text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def column_numbers(values: Iterable[object], name: str, *, zero_as_missing: bool = False) -> Floats:
    """A column as numbers (N,); NaN: missing, or 0 with `zero_as_missing`; InvalidInput: not a number, by its row."""
    texts = [cell_to_str(value) for value in values]
    numbers = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if text.lower() not in MISSING:
            number = _number(text)
            if number is None or not np.isfinite(number):
                raise InvalidInput(f"{name} is {text!r}, which is not a number", i)
            numbers[i] = number
    return np.where(numbers == 0, np.nan, numbers) if zero_as_missing else numbers
