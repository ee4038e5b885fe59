"""Training loops, a folder each: `__init__.py` has `train` and `USES_NUMPY`, other files are of this loop."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from torchprimer.training import EpochMetrics


def get_loop(name: str) -> ModuleType:
    """The module of a loop, named as `loop` in params.yaml.

    It has `train`, with arguments as in loops/supervised, and `USES_NUMPY`: whether it computes with NumPy on the CPU,
    in float64, whatever `device` and `precision` say.
    """
    return import_module(f"{__name__}.{name}")


def progress_bar(
    batches: tuple[Any, ...], label: str, history: "list[EpochMetrics]", part: str, *, disable: bool | None = None
) -> "tqdm[Any]":
    """Iterates over batches; on a terminal with a bar and the metrics of the last epoch with `part` in their names."""
    bar = tqdm(batches, desc=label, disable=disable, leave=False)  # None: shown on a terminal only
    if history:
        values = [f"{key.replace(part, '')} {value:.4f}" for key, value in history[-1].items() if part in key]
        bar.set_postfix_str(f"{', '.join(values)} ({part.strip('_')})")
    return bar
