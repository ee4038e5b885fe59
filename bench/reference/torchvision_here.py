"""Imports torchvision, also where it was built for CUDA and PyTorch was not.

Its import asks for two operators of its compiled part, which such a pair cannot load. Nothing here uses
them, and declaring them is enough. Where the pair fits, nothing is declared.
"""

import importlib.util
from pathlib import Path

import torch


def _compiled_part_loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True  # not installed: the import below says so
    try:
        for library in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return True


if not _compiled_part_loads():
    for _operator in ("nms", "qnms"):
        _schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{_operator}", _schema)

from torchvision import datasets, transforms  # noqa: E402

__all__ = ["datasets", "transforms"]
