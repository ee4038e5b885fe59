"""How a Predictor reads raw input: one class for each kind, chosen by `input.kind` of model.json."""

import base64
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, UserError, did_you_mean
from .images import image_pixels
from .sequences import encode_strings
from .tabular import table_features
from .text import encode_texts

Array = npt.NDArray[Any]
Errors = dict[int, InvalidInput]  # by position in the batch


class Input(ABC):
    """Raw input of one kind.

    Args:
        model: model.json: `transform` has what was fitted to the training rows, `columns` the columns of a table.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.experiment: str = model["experiment"]
        self.transform: dict[str, Any] = model["transform"]
        self.columns: list[str] = [column["name"] for column in model["columns"]]

    def iterate(self, inputs: Any) -> tuple[Iterator[Any], bool]:
        """The inputs one by one, and whether `inputs` is a single one rather than several."""
        single = isinstance(inputs, str | bytes | bytearray | memoryview | Path) or not isinstance(inputs, Iterable)
        single = single or hasattr(inputs, "keys")  # a pandas.Series is not a Mapping, but has keys
        return iter([inputs] if single else inputs), single

    def encode(self, batch: list[Any]) -> tuple[Array, Errors]:
        """The array of the valid inputs of a batch, and the errors of the others."""
        errors: Errors = {}
        positions = list(range(len(batch)))
        while positions:
            try:
                return self.to_array([batch[position] for position in positions]), errors
            except InvalidInput as error:
                if error.index is None:
                    raise
                errors[positions.pop(error.index)] = error
        return np.empty(0), errors

    @abstractmethod
    def to_array(self, batch: list[Any]) -> Array:
        """The input of the graph, (N, ...); or an InvalidInput, `index` being the position of the first bad input."""

    def from_table(self, table: Any) -> Iterator[Any]:
        """The inputs in a DataFrame with `columns`; by default those in its one column."""
        return iter(table[self.columns[0]])

    def has_name(self, value: object) -> bool:
        """Whether the error of an input names it already, so that its position is not needed."""
        return False


class Images(Input):
    """Path or bytes of an image file, PIL.Image, or uint8 H x W (x C); several: a list, or an array with N first."""

    def iterate(self, inputs: Any) -> tuple[Iterator[Any], bool]:
        if isinstance(inputs, np.ndarray):
            single = inputs.ndim < 3 or (inputs.ndim == 3 and inputs.shape[2] in (1, 3, 4))
            return iter([inputs] if single else inputs), single
        return super().iterate(inputs)

    def encode(self, batch: list[Any]) -> tuple[Array, Errors]:
        """Decodes on all cores: Pillow releases the GIL."""
        with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
            warnings.simplefilter("ignore")  # Pillow warns of every odd EXIF block; undecodable files raise
            results = list(pool.map(self._decode, batch))
        arrays = [result for result in results if not isinstance(result, InvalidInput)]
        errors = {position: result for position, result in enumerate(results) if isinstance(result, InvalidInput)}
        return np.stack(arrays) if arrays else np.empty(0), errors

    def _decode(self, source: Any) -> npt.NDArray[np.uint8] | InvalidInput:
        try:
            return image_pixels(source, self.transform["shape"])
        except InvalidInput as error:
            return error

    def to_array(self, batch: list[Any]) -> Array:
        return np.stack([image_pixels(source, self.transform["shape"]) for source in batch])

    def from_table(self, table: Any) -> Iterator[bytes]:
        """Image files in base64, also as URLs `data:image/png;base64,...`."""
        for i, cell in enumerate(table["image"]):
            try:
                yield base64.b64decode(cell.rpartition(",")[2], validate=True)
            except (AttributeError, TypeError, ValueError):
                raise InvalidInput(
                    f"input {i}: image is a text, an image file (JPEG, PNG, ...) in base64; this is not base64", i
                ) from None

    def has_name(self, value: object) -> bool:
        return isinstance(value, str | Path)


class Tabular(Input):
    """A row as a dict {column: value}; several: a list of rows, or a DataFrame with the columns of the raw table."""

    def iterate(self, inputs: Any) -> tuple[Iterator[Any], bool]:
        if not hasattr(inputs, "columns"):
            return super().iterate(inputs)
        self._require_columns(inputs.columns, None)  # a DataFrame of any package
        rows = zip(*(inputs[name] for name in self.columns), strict=True)
        return (dict(zip(self.columns, row, strict=True)) for row in rows), False

    def from_table(self, table: Any) -> Iterator[Any]:
        return self.iterate(table)[0]

    def to_array(self, batch: list[Any]) -> Array:
        for i, row in enumerate(batch):
            if not hasattr(row, "keys"):
                raise InvalidInput(f"expected a table row, a dict {{column: value}}; got {_type_name(row)}", i)
            self._require_columns(row.keys(), i)
        return table_features(self.transform, {name: [row[name] for row in batch] for name in self.columns})

    def _require_columns(self, columns: Iterable[Any], index: int | None) -> None:
        names = [str(name) for name in columns]
        if missing := [name for name in self.columns if name not in names]:
            raise InvalidInput(
                f"no column {', '.join(map(repr, missing))}; given: {', '.join(names) or 'none'}; needed: "
                f"{', '.join(self.columns)}.{did_you_mean(missing[0], names)}",
                index,
            )


class Text(Input):
    """A str; several: a list of them."""

    def to_array(self, batch: list[Any]) -> Array:
        _require_strings(batch, "a text")
        for i, text in enumerate(batch):
            if not text.strip():
                raise InvalidInput("the text is empty", i)
        return encode_texts(batch, self.transform)


class Sequences(Input):
    """A str of a fixed length over an alphabet; several: a list of them."""

    def to_array(self, batch: list[Any]) -> Array:
        _require_strings(batch, "a string")
        length = self.transform["length"]
        for i, string in enumerate(batch):
            if len(string) != length:
                raise InvalidInput(f"{string!r} has {len(string)} characters, and this model takes {length}", i)
        return encode_strings(batch, self.transform["alphabet"])


class Noise(Input):
    """No raw input: images are generated from noise, by `Predictor.generate`."""

    def iterate(self, inputs: Any) -> tuple[Iterator[Any], bool]:
        raise UserError(f"{self.experiment} generates images from noise: call generate(count, seed)")

    def from_table(self, table: Any) -> Iterator[Any]:
        return (self.draw(1, int(seed))[0] for seed in table["seed"])

    def draw(self, count: int, seed: int) -> Array:
        """Standard normal noise for `count` images, the same for one `seed`; UserError if one of them is negative."""
        if count < 0 or seed < 0:
            raise UserError(f"count and seed must be 0 or more; got {count} and {seed}")
        return np.random.default_rng(seed).standard_normal((count, self.transform["latent_dim"]), np.float32)

    def to_array(self, batch: list[Any]) -> Array:
        """Noise as float32 (N, latent_dim); UserError for another shape, or numbers that are not finite."""
        size, noise = self.transform["latent_dim"], np.asarray(batch, np.float32)
        if noise.ndim != 2 or noise.shape[1] != size or not np.isfinite(noise).all():
            raise UserError(f"noise must be finite numbers of shape (N, {size}); got shape {noise.shape}")
        return noise


def _require_strings(batch: list[Any], expected: str) -> None:
    for i, value in enumerate(batch):
        if not isinstance(value, str):
            raise InvalidInput(f"expected {expected}, a str; got {_type_name(value)}", i)


def _type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


INPUTS: dict[str, type[Input]] = {
    "images": Images,
    "tabular": Tabular,
    "text": Text,
    "sequences": Sequences,
    "noise": Noise,
}
