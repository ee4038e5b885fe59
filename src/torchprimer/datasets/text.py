"""Labelled texts: one file per class, or a CSV -> split -> token ids, int32 N x L.

A token id is the position of a word in the vocabulary, which is built from the training rows only.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.base import DataKind, Transform
from torchprimer.datasets.csv_io import csv_rows, decode_lines, find_csv, read_source_description
from torchprimer.datasets.meta import TextMeta
from torchprimer.datasets.splits import check_ids, conflicting_labels, deduplicate, stratified_split
from torchprimer.datasets.storage import save_array
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Texts
from torchprimer.predictor.text import padded, token_ids, tokenizer

# ---- reading and splitting -----------------------------------------------------------------------------------------


def read_texts(folder: Path, dataset: Texts) -> pd.DataFrame:
    """All texts of data/raw/X, with duplicates: columns id, label, text (str, stripped), sorted by id.

    The id is the file and the line: `pos/00012` is line 12 of pos.txt, `mails/00012` row 12 of mails.csv.

    Raises:
        UserError: missing files or columns, not UTF-8, no texts, or not the published number of texts.
    """
    if not folder.is_dir():
        raise UserError(
            f"no raw data in {folder}: define it under downloads:, or put your texts there: a .txt file per class with "
            f"one text on each line, or a CSV"
        )
    texts = _read_lines(folder) if dataset.text is None else _read_csv(folder, dataset)
    expected = read_source_description(folder).get("expected", {}).get("samples")
    if expected and (count := int((texts["text"] != "").sum())) != expected:
        raise UserError(
            f"raw data {folder.name}: {count:,} texts, published: {expected:,} (downloads.{folder.name}.expected)"
        )
    return texts


def _read_lines(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.txt"))
    if len(files) < 2:
        listed = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise UserError(
            f"raw data {folder.name}: a .txt file for each of two classes or more is needed, such as pos.txt and "
            f"neg.txt, and there is: {listed}. For a CSV, set the dataset's text and label to its columns"
        )
    lines = {}
    for file in files:
        name = f"raw data {folder.name}: {file.name}"
        lines[file.stem] = "".join(decode_lines(file.read_bytes(), name)).rstrip().split("\n")
        if not any(line.strip() for line in lines[file.stem]):
            raise UserError(f"{name} has no text in it")
    digits = max(5, *(len(str(len(of_class))) for of_class in lines.values()))
    return pd.DataFrame(
        [
            (f"{label}/{number:0{digits}d}", label, line.strip())
            for label, of_class in lines.items()
            for number, line in enumerate(of_class, 1)
        ],
        columns=["id", "label", "text"],
    )


def _read_csv(folder: Path, dataset: Texts) -> pd.DataFrame:
    advice = ". For a .txt file per class, set the dataset's text and label to null"
    file = find_csv(folder, advice=advice)
    name = f"raw data {folder.name}: {file.name}"
    rows = [row for _, row in csv_rows(decode_lines(file.read_bytes(), name), name)]
    for column in (dataset.text, dataset.label):
        if column not in rows[0]:
            raise UserError(
                f"{name} has no column {column!r}; it has: {', '.join(rows[0])}.{did_you_mean(column, rows[0])}"
            )
    texts = pd.DataFrame(
        {"label": [row[str(dataset.label)] for row in rows], "text": [row[str(dataset.text)] for row in rows]}
    )
    if not texts["text"].any():
        raise UserError(f"{name} has no text in it")
    digits = max(5, len(str(len(rows))))
    texts.insert(0, "id", [f"{file.stem}/{number:0{digits}d}" for number in range(1, len(rows) + 1)])
    return texts


def split_rows(
    raw: Path, dataset: Texts, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See `DataKind.split_rows`. Duplicates and texts of two classes are rejected.

    Raises:
        UserError: the files cannot be read, too few samples or classes, or not the published numbers of distinct texts.
    """
    texts = read_texts(raw, dataset)
    rejected = dict.fromkeys(texts["id"][texts["text"] == ""], "no text")
    rejected |= dict.fromkeys(texts["id"][texts["label"] == ""], "no label")
    texts = texts[~texts["id"].isin(rejected)]
    rejected |= conflicting_labels(texts["id"].tolist(), texts["label"].tolist(), texts["text"].tolist())
    texts = texts[~texts["id"].isin(rejected)]
    unique, duplicates = deduplicate(texts["text"].tolist(), np.zeros(len(texts), np.bool_))
    ids = texts["id"].to_numpy()
    rejected |= {ids[i]: f"duplicate of {ids[j]}" for i, j in duplicates.items()}
    texts = texts.iloc[unique]
    expected = read_source_description(raw).get("expected", {}).get("distinct")
    _compare_with_published(texts["label"], expected, raw.name)
    labels = texts["label"].to_numpy(np.str_)
    parts = stratified_split(
        labels,
        np.zeros(len(labels), np.bool_),
        validation=dataset.validation,
        test=dataset.test,
        max_holdout_fraction=None,
        limit=limit,
        seed=seed,
        name=name,
    )
    rows = pd.DataFrame({"id": texts["id"].to_numpy(), "label": labels, "split": parts})
    rows = rows[rows["split"] != ""].sort_values("id", ignore_index=True)
    return rows, pd.DataFrame(sorted(rejected.items()), columns=["id", "reason"])


def _compare_with_published(labels: pd.Series, expected: dict[str, int] | None, name: str) -> None:
    counts = dict(sorted(Counter(labels).items()))
    if expected and counts != dict(sorted(expected.items())):
        raise UserError(
            f"raw data {name}: {counts} distinct texts, published: {expected} (downloads.{name}.expected.distinct)"
        )


# ---- vocabulary and token ids --------------------------------------------------------------------------------------


def vocabulary(documents: Iterable[Sequence[str]], min_df: int, max_vocab: int | None) -> dict[str, int]:
    """Document frequency of each word that at least `min_df` of `documents` (lists of words) contain.

    Returns:
        The most frequent word first, equally frequent ones in alphabetical order; at most `max_vocab` words.
    """
    counts = Counter(word for document in documents for word in set(document))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {word: count for word, count in ordered[:max_vocab] if count >= min_df}


def prepare(raw: Path, dataset: Texts, rows: pd.DataFrame, folder: Path) -> TextMeta:
    """See `DataKind.prepare`: inputs int32, N x L; targets int64, N."""
    texts = read_texts(raw, dataset).set_index("id")["text"]
    check_ids(rows["id"], texts.index, dataset.raw)
    tokenize = tokenizer(dataset.tokenizer)
    documents = [tokenize(text) for text in texts.loc[rows["id"]]]
    training = (document for document, part in zip(documents, rows["split"], strict=True) if part == "train")
    counts = vocabulary(training, dataset.min_df, dataset.max_vocab)
    if not counts:
        raise UserError(
            f"raw data {dataset.raw}: no word is in {dataset.min_df} training texts or more; lower the "
            f"dataset's min_df, or choose another tokenizer than {dataset.tokenizer}"
        )
    encoded = token_ids(documents, list(counts))
    length = max([1, *map(len, encoded)])
    classes = sorted(set(rows["label"]))
    for part in ("train", "validation", "test"):
        members = np.flatnonzero(rows["split"] == part)
        save_array(folder / f"{part}_inputs.npy", padded([encoded[i] for i in members], length))
        targets = [classes.index(label) for label in rows["label"].iloc[members]]
        save_array(folder / f"{part}_targets.npy", np.array(targets, np.int64))
    return TextMeta(
        shape=[length],
        classes=classes,
        text_column=dataset.text,
        tokenizer=dataset.tokenizer,
        words=list(counts),
        documents=list(counts.values()),
    )


class TextKind(DataKind[Texts, TextMeta]):
    name = "text"
    meta_class = TextMeta
    predictor_kind = "text"
    input_name = "words"
    any_length = True
    split_rows = staticmethod(split_rows)
    prepare = staticmethod(prepare)

    def transform(self, meta: TextMeta) -> Transform:
        return meta.model_dump(include={"tokenizer", "words", "text_column"})

    def columns(self, transform: Transform) -> list[dict[str, str]]:
        return [{"name": "text", "type": "string"}]

    def example(self, transform: Transform, prepared: npt.NDArray[Any]) -> dict[str, Any]:
        """Without the words that the vocabulary lacks."""
        words = [transform["words"][number - 1] for number in prepared if number]
        return {"text": (" " if transform["tokenizer"] == "words" else "").join(words)}

    def requirements(self, transform: Transform) -> list[str]:
        return ["rjieba"] if transform["tokenizer"] == "chinese" else []


KIND = TextKind()
