"""Strings of one length -> the indices of their characters in the alphabet, and back."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput


def encode_strings(strings: Sequence[str], alphabet: Sequence[str]) -> npt.NDArray[np.int64]:
    """Strings of one length as indices of characters, (N, T); InvalidInput for a character not in the alphabet."""
    index = {character: i for i, character in enumerate(alphabet)}
    for i, string in enumerate(strings):
        for character in string:
            if character not in index:
                raise InvalidInput(f"{character!r} is not in the alphabet: {' '.join(alphabet)}", i)
    return np.array([[index[character] for character in string] for string in strings], np.int64)


def decode_strings(indices: npt.NDArray[np.int64], alphabet: Sequence[str]) -> list[str]:
    """Indices of characters, shape (N, T), -> N strings."""
    return ["".join(alphabet[i] for i in row) for row in indices]
