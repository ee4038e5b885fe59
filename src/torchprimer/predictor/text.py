"""Texts -> the numbers of their words."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Tokenizer = Callable[[str], list[str]]
PADDING = 0


def tokenizer(name: str) -> Tokenizer:
    """Text -> words without punctuation; `chinese`: segmented by jieba, `words`: letters, digits, _ in lower case."""
    if name == "words":
        return lambda text: re.findall(r"\w+", text.lower())
    import rjieba  # jieba's algorithm and dictionary, in Rust

    return lambda text: [word for word in rjieba.cut(text) if any(letter.isalnum() for letter in word)]


def token_ids(documents: Iterable[Sequence[str]], words: Sequence[str]) -> list[npt.NDArray[np.int32]]:
    """For each document the numbers of its words, in order; the first of `words` is 1, unknown words are left out."""
    number = {word: i for i, word in enumerate(words, 1)}
    return [np.array([number[word] for word in document if word in number], np.int32) for document in documents]


def padded(documents: Sequence[npt.NDArray[np.int32]], length: int) -> npt.NDArray[np.int32]:
    """Documents, each padded with `PADDING` to `length`: shape (N, length)."""
    rows = np.full((len(documents), length), PADDING, np.int32)
    for row, document in zip(rows, documents, strict=True):
        row[: len(document)] = document
    return rows


def encode_texts(texts: Iterable[str], meta: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    """Raw texts as token ids, (N, L); L is the number of known words of the longest text, at least 1."""
    documents = token_ids(map(tokenizer(meta["tokenizer"]), texts), meta["words"])
    return padded(documents, max([1, *map(len, documents)]))
