"""What MLflow runs when it serves a model: MLflow copies this file beside the export folder, and executes it.

A model from code: nothing is pickled, and nothing of the project is imported. It uses the Predictor of the export folder
and converts tables to its inputs and its predictions to tables; an invalid input is an error 400 with its reason.
"""

import base64
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel


class PredictorModel(PythonModel):
    """A Predictor for tables with the columns of the model's signature."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["export"])
        self.package = package_in(folder)
        self.predictor = self.package.Predictor(folder)

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:  # type: ignore[override]  # MLflow allows it
        """One row for each row of `model_input`.

        Raises:
            MlflowException: an invalid input; the server responds with 400.
        """
        try:
            return self._predict(model_input)
        except self.package.UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _predict(self, table: pd.DataFrame) -> pd.DataFrame:
        kind = self.predictor.kind
        if not len(table):
            raise self.package.InvalidInput("no rows: at least one is needed")
        if kind == "generator":
            images = [self.predictor.generate(1, int(seed))[0] for seed in table["seed"]]
            return pd.DataFrame({"image": [as_png(image) for image in images]})
        if kind == "tabular":
            answers = self.predictor.predict(table)
        elif kind in ("images", "autoencoder"):
            answers = self.predictor.predict([self._image(i, cell) for i, cell in enumerate(table["image"])])
        else:
            answers = self.predictor.predict(list(table["text"]))
        if kind == "autoencoder":
            return pd.DataFrame({"image": as_png(answer["prediction"]), "mse": answer["mse"]} for answer in answers)
        return pd.DataFrame(
            {
                "prediction": answer["prediction"],
                **{f"p_{label}": p for label, p in answer.get("probabilities", {}).items()},
            }
            for answer in answers
        )

    def _image(self, index: int, cell: object) -> bytes:
        """The bytes of an image file."""
        try:
            if not isinstance(cell, str):
                raise TypeError
            return base64.b64decode(cell.rpartition(",")[2], validate=True)  # behind `data:image/png;base64,`
        except (TypeError, ValueError):
            raise self.package.InvalidInput(
                f"input {index}: image is a text, an image file (JPEG, PNG, ...) in base64; this is no base64", index
            ) from None


def package_in(folder: Path) -> ModuleType:
    """The predictor package of a folder under a unique name: another model in this process may have an older version."""
    name = f"predictor_of_{folder.resolve()}".replace(".", "_")
    location = folder / "predictor"
    spec = importlib.util.spec_from_file_location(
        name, location / "__init__.py", submodule_search_locations=[str(location)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


def as_png(image: npt.NDArray[np.uint8]) -> str:
    """uint8, H x W or H x W x 3 -> a PNG in base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


mlflow.models.set_model(PredictorModel())
