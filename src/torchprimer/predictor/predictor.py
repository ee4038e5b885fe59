"""The Predictor: opens an export folder; raw input in, labels with probabilities or values in original units out."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, UserError
from .images import to_uint8
from .inputs import INPUTS, Errors, Noise
from .outputs import OUTPUTS, Floats, Prediction
from .session import open_session

BATCH = 64  # inputs per call of onnxruntime: enough to keep the processor busy, whatever the model


class Predictor:
    """A trained model. Its `kind` decides which raw input it takes:

        images, autoencoder: the path or the bytes of an image file, a PIL.Image, or uint8 H x W or H x W x C
            (several: a list of them, or an array (N, H, W) or (N, H, W, C));
        tabular: a dict {column: value}, a list of them, or a DataFrame with the columns of the raw table;
        text, sequences: a str, or a list of them;
        generator: nothing; see `generate`.

    Attributes:
        kind: images, tabular, text, sequences, autoencoder or generator.
        classes: the labels, in the order of the probabilities; None unless it is a classifier.
        description: model.json: the model, its training, its scores.
        noise_size: how many numbers a generator makes an image from; None for every other kind.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens `folder`, which `export` wrote: models/E.export; UserError if it is missing or damaged."""
        path = Path(folder)
        try:
            self.description: dict[str, Any] = json.loads((path / "model.json").read_text("utf-8"))
            (path / "model.onnx").stat()  # onnxruntime would call a missing file damaged
            self._session = open_session(path / "model.onnx")
            self.kind: str = self.description["kind"]
            self.classes: list[str] | None = self.description["classes"]
            self.noise_size: int | None = self.description["transform"].get("latent_dim")
            self._input = INPUTS[self.description["input"]["kind"]](self.description)
            self._output = OUTPUTS[self.description["output"]["kind"]](self.description)
        except FileNotFoundError:
            raise UserError(f"{path} is not an exported model: model.json or model.onnx is missing") from None
        except Exception as error:  # onnxruntime has exceptions of its own
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{path} is damaged ({reason}): export it again") from None

    def predict(self, inputs: Any) -> list[Prediction]:
        """A prediction for each input, in their order; computed in batches, so there may be any number of inputs.

        Returns:
            For each a dict ready for JSON (except an autoencoder's image). Classifiers: {"prediction": label,
            "probabilities": {label: p}}; regression: {"prediction": value}, in the units of the raw table; sequences:
            {"prediction": str}; autoencoder: {"prediction": uint8 H x W or H x W x C, "mse": mean squared error of a
            pixel, 0..1}.

        Raises:
            InvalidInput: for the first invalid input; `index` is its position.
        """
        return [_raise_error(prediction) for prediction in self.iter_predict(inputs)]

    def iter_predict(self, inputs: Any) -> Iterator[Prediction | InvalidInput]:
        """As `predict`, one after the other from any iterable; an invalid input gives an InvalidInput instead."""
        yield from self._predictions(*self._input.iterate(inputs))

    def predict_table(self, table: Any) -> list[Prediction]:
        """As `predict`, for a pandas.DataFrame with `columns` of model.json; for a generator, too.

        Returns:
            For each row a dict of strings and numbers: `p_CLASS` for each class, images as PNG in base64.

        Raises:
            UserError: an invalid input, or no rows.
        """
        if not len(table):
            raise InvalidInput("no rows: at least one is needed")
        predictions = self._predictions(self._input.from_table(table), single=False)
        return [self._output.table_row(_raise_error(prediction)) for prediction in predictions]

    def _predictions(self, values: Iterator[Any], single: bool) -> Iterator[Prediction | InvalidInput]:
        for arrays, errors, size in self._batches(values, single):
            predictions = iter(self._output.predictions(arrays, self._run(arrays)) if len(arrays) else ())
            for position in range(size):
                yield errors[position] if position in errors else next(predictions)

    def predict_raw(self, inputs: Any) -> Floats:
        """Outputs of the graph: float32 (N, K), (N, 1), (N, T, K) or (N, C, H, W); InvalidInput: as `predict`."""
        batches = [np.empty((0, *self.description["output"]["shape"][1:]), np.float32)]
        for arrays, errors, _ in self._batches(*self._input.iterate(inputs)):
            if errors:
                raise errors[min(errors)]
            batches.append(self._run(arrays))
        return np.concatenate(batches)

    def generate(self, count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """`count` images of a generator, uint8, (count, H, W) or (count, H, W, 3); always the same for one `seed`."""
        return self.generate_from(self._generator().draw(count, seed))

    def generate_from(self, noise: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """As `generate`, from `noise` of shape (N, noise_size), which in training was standard normal."""
        source = self._generator()
        rows = source.to_array(noise)  # type: ignore[arg-type]  # any array
        batches = [to_uint8(self._run(rows[start : start + BATCH])) for start in range(0, len(rows), BATCH)]
        return np.concatenate(batches or [to_uint8(np.empty((0, *source.transform["shape"]), np.float32))])

    def _generator(self) -> Noise:
        if not isinstance(self._input, Noise):
            raise UserError(f"{self.description['experiment']} is not a generator: call predict(inputs)")
        return self._input

    def _batches(self, values: Iterator[Any], single: bool) -> Iterator[tuple[npt.NDArray[Any], Errors, int]]:
        """Arrays of the valid inputs, the errors of the others by position, and the number of inputs in the batch."""
        start = 0
        while batch := list(islice(values, BATCH)):
            arrays, errors = self._input.encode(batch)
            for position, error in errors.items():
                index = start + position
                text = str(error) if single or self._input.has_name(batch[position]) else f"input {index}: {error}"
                errors[position] = InvalidInput(text, index)
            yield arrays, errors, len(batch)
            start += len(batch)

    def _run(self, arrays: npt.NDArray[Any]) -> Floats:
        outputs: Floats = self._session.run(None, {self.description["input"]["name"]: arrays})[0]
        return outputs


def _raise_error(prediction: Prediction | InvalidInput) -> Prediction:
    if isinstance(prediction, InvalidInput):
        raise prediction
    return prediction
