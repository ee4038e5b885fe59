"""What a Predictor returns: one class for each kind of output, chosen by `output.kind` of model.json."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .images import png_base64, to_uint8
from .sequences import decode_strings

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Prediction = dict[str, Any]


class Output(ABC):
    """Outputs of the graph -> predictions. `model`: model.json."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.classes: list[str] | None = model["classes"]
        self.transform: dict[str, Any] = model["transform"]

    @abstractmethod
    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        """A dict for each row of `outputs`, (N, ...), which the graph computed from `inputs`, (N, ...)."""

    def table_row(self, prediction: Prediction) -> Prediction:
        """A prediction as a row of a table, whose cells are strings and numbers."""
        return prediction


class Probabilities(Output):
    """(N, K) -> {"prediction": most probable class, "probabilities": {class: probability}}."""

    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        assert self.classes is not None
        labels = [self.classes[int(row.argmax())] for row in outputs]
        rows = [dict(zip(self.classes, row.tolist(), strict=True)) for row in outputs]
        return [{"prediction": label, "probabilities": row} for label, row in zip(labels, rows, strict=True)]

    def table_row(self, prediction: Prediction) -> Prediction:
        probabilities = {f"p_{label}": p for label, p in prediction["probabilities"].items()}
        return {"prediction": prediction["prediction"], **probabilities}


class Value(Output):
    """(N, 1) -> {"prediction": number in the units of the target}."""

    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        return [{"prediction": float(value)} for value in outputs[:, 0]]


class String(Output):
    """(N, T, K) -> {"prediction": string of the most probable characters}."""

    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        strings = decode_strings(outputs.argmax(-1), self.transform["alphabet"])
        return [{"prediction": string} for string in strings]


class Image(Output):
    """(N, C, H, W), 0..1 -> {"prediction": uint8 H x W or H x W x 3}."""

    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        return [{"prediction": image} for image in to_uint8(outputs)]

    def table_row(self, prediction: Prediction) -> Prediction:
        """{"image": a PNG in base64}."""
        return {"image": png_base64(prediction["prediction"])}


class Reconstruction(Image):
    """As Image, with "mse": the mean squared error of a pixel (0..1) against the input image."""

    def predictions(self, inputs: Array, outputs: Floats) -> list[Prediction]:
        errors = np.square(outputs - inputs / np.float32(255)).mean((1, 2, 3))
        images = super().predictions(inputs, outputs)
        return [image | {"mse": float(error)} for image, error in zip(images, errors, strict=True)]

    def table_row(self, prediction: Prediction) -> Prediction:
        return super().table_row(prediction) | {"mse": prediction["mse"]}


OUTPUTS: dict[str, type[Output]] = {
    "probabilities": Probabilities,
    "value": Value,
    "string": String,
    "image": Image,
    "reconstruction": Reconstruction,
}
