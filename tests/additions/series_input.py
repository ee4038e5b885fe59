"""Texts of numbers -> standardised float32 arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput


def encode_series(texts: list[Any], transform: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """Shape (N, T), by `length`, `mean` and `std`."""
    rows = []
    for i, text in enumerate(texts):
        try:
            rows.append([float(number) for number in text.split()])
        except (AttributeError, ValueError):
            raise InvalidInput(f"expected numbers with spaces between them; got {text!r}", i) from None
        if len(rows[-1]) != transform["length"]:
            raise InvalidInput(f"{len(rows[-1])} numbers, and this model takes {transform['length']}", i)
    return ((np.array(rows) - transform["mean"]) / transform["std"]).astype(np.float32)
