"""The Predictor: an export folder, opened; raw input in, labels with probabilities or values in original units out."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import preprocessing as raw
from .errors import InvalidInput, UserError, did_you_mean
from .session import open_session

Answer = dict[str, Any]
Floats = npt.NDArray[np.float32]
BATCH = 64  # inputs at a time: enough to keep the processor busy, whatever the model


class Predictor:
    """A trained model that takes raw input.

        model = Predictor("models/mnist_cnn.export")
        model.predict(["one.png", "two.png"])

    What it takes depends on its `kind`:
        images, autoencoder: the path or the bytes of an image file, a PIL.Image, or uint8 H x W or H x W x C
            (several: a list of them, or an array N x H x W or N x H x W x C);
        tabular: a dict {column: value}, a list of them, or a DataFrame with the columns of the raw table;
        text, sequences: a str;
        generator: nothing; see `generate`.

    Attributes:
        kind: images, tabular, text, sequences, autoencoder or generator.
        classes: the labels, in the order of the probabilities; None unless it is a classifier.
        description: model.json: what it is, how it was trained, its scores.
        noise_size: how many numbers a generator makes an image of; None for all others.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """`folder`: what `export` made, models/E.export.

        Raises:
            UserError: it is not there, or is no such folder.
        """
        place = Path(folder)
        try:
            self.description: dict[str, Any] = json.loads((place / "model.json").read_text("utf-8"))
            (place / "model.onnx").stat()  # onnxruntime would call a missing file damaged
            self._session = open_session(place / "model.onnx")
            self.kind: str = self.description["kind"]
            self.classes: list[str] | None = self.description["classes"]
            self._transform: dict[str, Any] = self.description["transform"]
            self.noise_size: int | None = self._transform.get("latent_dim")
            self._columns: list[str] = [column["name"] for column in self.description["columns"]]
        except FileNotFoundError:
            raise UserError(f"{place} is no exported model: model.json and model.onnx are not both there") from None
        except Exception as error:  # onnxruntime has exceptions of its own
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{place} is damaged ({reason}): export it again") from None

    def predict(self, inputs: Any) -> list[Answer]:
        """An answer for each input, in their order; worked on in batches, so there may be any number of them.

        Returns:
            For each a dict ready for JSON (but for an autoencoder's image). Classifiers: {"prediction": label,
            "probabilities": {label: p}}; regression: {"prediction": value}, in the units of the raw table; sequences:
            {"prediction": str}; autoencoder: {"prediction": uint8 H x W or H x W x C, "mse": mean squared error of a
            pixel, 0..1}.

        Raises:
            InvalidInput: for the first input that cannot be used; `index` is its position.
        """
        return [_raised(answer) for answer in self.each(inputs)]

    def each(self, inputs: Any) -> Iterator[Answer | InvalidInput]:
        """As `predict`, one after the other while `inputs` (any iterable) go by; a InvalidInput in place of an answer."""
        for arrays, bad, size in self._batches(inputs):
            answers = iter(self._answers(arrays, self._run(arrays)) if len(arrays) else ())
            for position in range(size):
                yield bad[position] if position in bad else next(answers)

    def outputs(self, inputs: Any) -> Floats:
        """What the graph answers to raw inputs: float32; probabilities (N, K), values (N, 1), sequences (N, T, K).

        An autoencoder's images: (N, C, H, W), 0..1.

        Raises:
            InvalidInput: as `predict`.
        """
        batches = [np.empty((0, *self.description["output"]["shape"][1:]), np.float32)]
        for arrays, bad, _ in self._batches(inputs):
            for error in bad.values():
                raise error
            batches.append(self._run(arrays))
        return np.concatenate(batches)

    def generate(self, count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """`count` images of a generator, uint8, (count, H, W), or (count, H, W, 3) in colour; the same for one `seed`.

        Raises:
            UserError: no generator, or count or seed is negative.
        """
        size = self._size_of_noise()
        if count < 0 or seed < 0:
            raise UserError(f"count and seed are 0 or more; these are {count} and {seed}")
        return self.generate_from(np.random.default_rng(seed).standard_normal((count, size), np.float32))

    def generate_from(self, noise: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """As `generate`, from `noise` of shape (N, noise_size), which training drew from the standard normal.

        Raises:
            UserError: no generator, or noise of another shape.
        """
        size, rows = self._size_of_noise(), np.asarray(noise, np.float32)
        if rows.ndim != 2 or rows.shape[1] != size or not np.isfinite(rows).all():
            raise UserError(f"noise is finite numbers of shape (N, {size}); these are of shape {rows.shape}")
        batches = [_as_images(self._run(rows[start : start + BATCH])) for start in range(0, len(rows), BATCH)]
        return np.concatenate(batches or [_as_images(np.empty((0, *self._transform["shape"]), np.float32))])

    def _size_of_noise(self) -> int:
        if self.noise_size is None:
            raise UserError(f"{self.description['experiment']} is no generator: call predict(inputs)")
        return self.noise_size

    # ---- raw input -> arrays -----------------------------------------------------------------------------------------

    def _batches(self, inputs: Any) -> Iterator[tuple[npt.NDArray[Any], dict[int, InvalidInput], int]]:
        """Arrays of the inputs that can be used, what is wrong with the others by position, and how many there were."""
        several, single = self._several(inputs)
        images = self.kind in ("images", "autoencoder")
        done = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(islice(several, BATCH)):
                arrays, bad = self._images(batch, pool) if images else self._others(batch)
                for position, error in bad.items():
                    named = single or (images and isinstance(batch[position], str | Path))  # by its path
                    index = done + position
                    bad[position] = InvalidInput(str(error) if named else f"input {index}: {error}", index)
                yield arrays, bad, len(batch)
                done += len(batch)

    def _several(self, inputs: Any) -> tuple[Iterator[Any], bool]:
        """The inputs one by one, and whether it was a single one, given as it is."""
        if self.kind == "generator":
            raise UserError(f"{self.description['experiment']} makes images of noise: call generate(count, seed)")
        if self.kind == "tabular" and hasattr(inputs, "columns"):  # a DataFrame, of whatever package
            self._check_columns(inputs.columns, None)
            rows = zip(*(inputs[name] for name in self._columns), strict=True)
            return (dict(zip(self._columns, row, strict=True)) for row in rows), False
        if self.kind in ("images", "autoencoder") and isinstance(inputs, np.ndarray):
            single = inputs.ndim < 3 or (inputs.ndim == 3 and inputs.shape[2] in (1, 3, 4))
        else:  # a Series of pandas is no Mapping, but has its keys
            single = isinstance(inputs, str | bytes | bytearray | memoryview | Path) or hasattr(inputs, "keys")
            single = single or not isinstance(inputs, Iterable)
        return iter([inputs] if single else inputs), single

    def _images(self, batch: list[Any], pool: ThreadPoolExecutor) -> tuple[npt.NDArray[Any], dict[int, InvalidInput]]:
        def pixels(given: Any) -> npt.NDArray[np.uint8] | InvalidInput:
            try:
                return raw.image_pixels(given, self._transform["shape"])
            except InvalidInput as error:
                return error

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of every odd EXIF block; what cannot be read is reported
            found = list(pool.map(pixels, batch))  # it lets go of the interpreter while it decodes
        good = [image for image in found if not isinstance(image, InvalidInput)]
        bad = {position: image for position, image in enumerate(found) if isinstance(image, InvalidInput)}
        return np.stack(good) if good else np.empty(0), bad

    def _others(self, batch: list[Any]) -> tuple[npt.NDArray[Any], dict[int, InvalidInput]]:
        """All at once; if one is bad, once more without it."""
        encoders: dict[str, Callable[[list[Any]], npt.NDArray[Any]]]
        encoders = {"tabular": self._rows, "text": self._texts, "sequences": self._strings}
        bad: dict[int, InvalidInput] = {}
        left = list(range(len(batch)))
        while left:
            try:
                return encoders[self.kind]([batch[position] for position in left]), bad
            except InvalidInput as error:
                if error.index is None:
                    raise
                bad[left.pop(error.index)] = error
        return np.empty(0), bad

    def _rows(self, rows: list[Any]) -> npt.NDArray[np.float32]:
        for i, row in enumerate(rows):
            if not hasattr(row, "keys"):
                raise InvalidInput(f"a row of the table is needed, a dict {{column: value}}; this is {_called(row)}", i)
            self._check_columns(row.keys(), i)
        return raw.table_features(self._transform, {name: [row[name] for row in rows] for name in self._columns})

    def _check_columns(self, there: Iterable[Any], index: int | None) -> None:
        given = [str(name) for name in there]
        if missing := [name for name in self._columns if name not in given]:
            raise InvalidInput(
                f"no column {', '.join(map(repr, missing))}; given: {', '.join(given) or 'none'}; needed: "
                f"{', '.join(self._columns)}.{did_you_mean(missing[0], given)}",
                index,
            )

    def _texts(self, texts: list[Any]) -> npt.NDArray[np.int32]:
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidInput(f"a text is needed, a str; this is {_called(text)}", i)
            if not text.strip():
                raise InvalidInput("the text is empty", i)
        return raw.encode_texts(texts, self._transform)

    def _strings(self, strings: list[Any]) -> npt.NDArray[np.int64]:
        length, alphabet = self._transform["length"], self._transform["alphabet"]
        for i, string in enumerate(strings):
            if not isinstance(string, str):
                raise InvalidInput(f"a string is needed, a str; this is {_called(string)}", i)
            if len(string) != length:
                raise InvalidInput(f"{string!r} has {len(string)} characters, and this model takes {length}", i)
        return raw.encode_strings(strings, alphabet)

    # ---- arrays -> answers -------------------------------------------------------------------------------------------

    def _run(self, arrays: npt.NDArray[Any]) -> Floats:
        outputs: Floats = self._session.run(None, {self.description["input"]["name"]: arrays})[0]
        return outputs

    def _answers(self, arrays: npt.NDArray[Any], outputs: Floats) -> list[Answer]:
        if self.kind == "autoencoder":
            errors = np.square(outputs - arrays / np.float32(255)).mean((1, 2, 3))
            pairs = zip(_as_images(outputs), errors, strict=True)
            return [{"prediction": image, "mse": float(error)} for image, error in pairs]
        if self.kind == "sequences":
            strings = raw.decode_strings(outputs.argmax(-1), self._transform["alphabet"])
            return [{"prediction": string} for string in strings]
        if self.classes is None:
            return [{"prediction": float(value)} for value in outputs[:, 0]]
        return [
            {
                "prediction": self.classes[int(row.argmax())],
                "probabilities": dict(zip(self.classes, row.tolist(), strict=True)),
            }
            for row in outputs
        ]


def _raised(answer: Answer | InvalidInput) -> Answer:
    if isinstance(answer, InvalidInput):
        raise answer
    return answer


def _called(given: object) -> str:
    """What messages call the type of a value."""
    return "None" if given is None else type(given).__name__


def _as_images(outputs: Floats) -> npt.NDArray[np.uint8]:
    """(N, C, H, W), 0..1 -> uint8, (N, H, W) if C is 1, else (N, H, W, C)."""
    images: npt.NDArray[np.uint8] = (255 * outputs).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images
