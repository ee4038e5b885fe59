"""Texts -> token ids: the position of each word in the vocabulary."""

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

    return lambda text: [word for word in rjieba.cut(text) if any(character.isalnum() for character in word)]


def token_ids(documents: Iterable[Sequence[str]], words: Sequence[str]) -> list[npt.NDArray[np.int32]]:
    """For each document the ids of its words, in order; the id of `words[0]` is 1, unknown words are left out."""
    ids = {word: i for i, word in enumerate(words, 1)}
    return [np.array([ids[word] for word in document if word in ids], np.int32) for document in documents]


def pad(documents: Sequence[npt.NDArray[np.int32]], length: int) -> npt.NDArray[np.int32]:
    """Token ids, each document padded with `PADDING` to `length`, which must fit the longest: shape (N, length)."""
    rows = np.full((len(documents), length), PADDING, np.int32)
    for row, document in zip(rows, documents, strict=True):
        row[: len(document)] = document
    return rows


def encode_texts(texts: Iterable[str], meta: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    """Raw texts as token ids, (N, L), L: known words of the longest, at least 1. `meta`: `tokenizer`, `words`."""
    documents = token_ids(map(tokenizer(meta["tokenizer"]), texts), meta["words"])
    return pad(documents, max([1, *map(len, documents)]))
