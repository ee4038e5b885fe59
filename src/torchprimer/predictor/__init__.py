"""A trained model for raw input: images, rows of a table, texts, strings; needs only NumPy and onnxruntime.

`export` copies this folder into every export; it imports nothing else of the project.

    from predictor import Predictor
    Predictor("models/mnist_cnn.export").predict("digit.png")
"""

from typing import TYPE_CHECKING, Any

from .errors import InvalidInput, UserError

if TYPE_CHECKING:
    from .outputs import Prediction
    from .predictor import Predictor

__all__ = ["InvalidInput", "Prediction", "Predictor", "UserError"]


def __getattr__(name: str) -> Any:
    """Imports the Predictor when it is first used: stages that only raise a UserError need no NumPy."""
    if name in ("Prediction", "Predictor"):
        from . import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
