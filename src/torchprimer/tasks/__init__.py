"""Tasks: classification, regression, reconstruction, generation, sequence labelling; a folder each."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchprimer.tasks.base import Task


def get_task(name: str) -> "Task":
    """The task of that name, as `task` in params.yaml has it."""
    task: Task = import_module(f"torchprimer.tasks.{name}").TASK
    return task
