"""A trained model for raw input: images, rows of a table, texts, strings; on NumPy and onnxruntime alone.

This folder needs nothing else of the project: `export` puts a copy of it into every folder that it makes.

    from predictor import Predictor
    Predictor("models/mnist_cnn.export").predict("digit.png")
"""

from typing import TYPE_CHECKING, Any

from .errors import InvalidInput, UserError

if TYPE_CHECKING:
    from .predictor import Answer, Predictor

__all__ = ["Answer", "InvalidInput", "Predictor", "UserError"]


def __getattr__(name: str) -> Any:
    """Predictor, once it is asked for: stages that only raise a UserError need no NumPy."""
    if name in ("Answer", "Predictor"):
        from . import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
