"""Strings of one length -> the numbers of their characters, and back."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput


def encode_strings(strings: Sequence[str], alphabet: Sequence[str]) -> npt.NDArray[np.int64]:
    """Strings of one length as the numbers of their characters, (N, T); InvalidInput for one not in the alphabet."""
    number = {character: i for i, character in enumerate(alphabet)}
    for i, string in enumerate(strings):
        for character in string:
            if character not in number:
                raise InvalidInput(f"{character!r} is not in the alphabet: {' '.join(alphabet)}", i)
    return np.array([[number[character] for character in string] for string in strings], np.int64)


def decode_strings(numbers: npt.NDArray[np.int64], alphabet: Sequence[str]) -> list[str]:
    """Numbers of characters (N, T) -> N strings."""
    return ["".join(alphabet[i] for i in row) for row in numbers]
