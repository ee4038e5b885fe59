"""What MLflow runs when it serves a model: MLflow copies this file beside the export folder, and executes it.

It uses MLflow's "models from code": nothing is pickled. It imports only the predictor package of the export folder.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel


class PredictorModel(PythonModel):
    """A Predictor for tables with the columns of the model's signature."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["export"])
        self.package = import_predictor(folder)
        self.predictor = self.package.Predictor(folder)

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:  # type: ignore[override]  # MLflow allows it
        """As `Predictor.predict_table`; MlflowException: an invalid input, to which the server responds with 400."""
        try:
            return pd.DataFrame(self.predictor.predict_table(model_input))
        except self.package.UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def import_predictor(folder: Path) -> ModuleType:
    """The predictor package of a folder, by a unique name: another model in this process may have an older one."""
    name, package = f"predictor_of_{folder.resolve()}".replace(".", "_"), folder / "predictor"
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mlflow.models.set_model(PredictorModel())
