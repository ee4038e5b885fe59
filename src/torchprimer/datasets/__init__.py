"""Datasets: a file for each kind of data, with its object `KIND`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchprimer.datasets.base import DataKind


def get_kind(name: str) -> "DataKind[Any, Any]":
    """The kind of data of that name, as `kind` in params.yaml and meta.json has it."""
    kind: DataKind[Any, Any] = import_module(f"torchprimer.datasets.{name}").KIND
    return kind
