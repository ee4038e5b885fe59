"""Training loops, a folder each: `__init__.py` has `train` and `USES_NUMPY`; what only one loop imports is beside it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from torch import nn

    from torchprimer.datasets.storage import SplitArrays
    from torchprimer.training import TrainResult


class Loop(Protocol):
    """What the module of a loop has.

    Attributes:
        USES_NUMPY: it computes with NumPy on the CPU, in float64, whatever `device` and `precision` say.
        train: trains a model in place; for its arguments see loops/supervised.
    """

    USES_NUMPY: bool

    def train(
        self,
        model: "nn.Module",
        train_split: "SplitArrays",
        validation_split: "SplitArrays",
        experiment: Any,  # the class of params/experiments.py that belongs to the loop
        **options: Any,
    ) -> "TrainResult": ...


def get_loop(name: str) -> Loop:
    """The loop of that name, as `loop` in params.yaml has it."""
    return cast(Loop, import_module(f"{__name__}.{name}"))
