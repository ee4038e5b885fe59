"""Labelled texts: one file per class, or a CSV -> split -> token ids, int32 (N, L).

A token id is the position of a word in the vocabulary, which is built from the training rows only.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.atomic import Json
from torchprimer.datasets.base import DataKind
from torchprimer.datasets.csv_io import compare_with_published, decode_lines, describe_file, read_csv, row_ids
from torchprimer.datasets.meta import TextMeta
from torchprimer.datasets.splits import check_ids, reject_duplicates, split_tables, stratified_split
from torchprimer.datasets.storage import save_array
from torchprimer.errors import UserError
from torchprimer.params import Texts
from torchprimer.predictor.text import pad, token_ids, tokenizer


def read_texts(folder: Path, dataset: Texts) -> pd.DataFrame:
    """All texts of data/raw/X, with duplicates: columns id, label, text (str, stripped), sorted by id.

    The id is the file and the line: `pos/00012` is line 12 of pos.txt, `mails/00012` row 12 of mails.csv. Raises
    UserError for missing files or columns, no UTF-8, no texts, or not the published number of texts.
    """
    if not folder.is_dir():
        raise UserError(
            f"no raw data in {folder}: define it under downloads:, or put your texts there: a .txt file per class with "
            f"one text on each line, or a CSV"
        )
    texts = _read_lines(folder) if dataset.text is None else _read_csv(folder, dataset.text, str(dataset.label))
    compare_with_published(folder, "samples", int((texts["text"] != "").sum()), "texts")
    return texts


def _read_lines(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.txt"))
    if len(files) < 2:
        listed = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise UserError(
            f"raw data {folder.name}: a .txt file for each of two classes or more is needed, such as pos.txt and "
            f"neg.txt, and there is: {listed}. For a CSV, set the dataset's text and label to its columns"
        )
    texts = []
    for file in files:
        lines = "".join(decode_lines(file.read_bytes(), describe_file(file))).rstrip().split("\n")
        texts.append(_texts(file, file.stem, [line.strip() for line in lines]))
    return pd.concat(texts, ignore_index=True)


def _read_csv(folder: Path, text: str, label: str) -> pd.DataFrame:
    advice = ". For a .txt file per class, set the dataset's text and label to null"
    file, rows = read_csv(folder, [text, label], advice=advice)
    return _texts(file, [row[label] for _, row in rows], [row[text] for _, row in rows])


def _texts(file: Path, labels: str | list[str], texts: list[str]) -> pd.DataFrame:
    if not any(texts):
        raise UserError(f"{describe_file(file)} has no text in it")
    return pd.DataFrame({"id": row_ids(file, len(texts)), "label": labels, "text": texts})


def vocabulary(documents: Iterable[Sequence[str]], min_df: int, max_vocab: int | None) -> dict[str, int]:
    """Document frequency of each word in at least `min_df` of `documents` (lists of words), at most `max_vocab` words.

    The most frequent word is first; equally frequent ones are in alphabetical order.
    """
    counts = Counter(word for document in documents for word in set(document))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {word: count for word, count in ordered[:max_vocab] if count >= min_df}


class TextKind(DataKind[Texts, TextMeta]):
    name = "text"
    meta_class = TextMeta
    predictor_kind = "text"
    input_name = "words"
    any_length = True

    def split_rows(
        self, raw: Path, dataset: Texts, *, name: str, seed: int, limit: int | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rejects duplicates, and texts of two classes."""
        texts = read_texts(raw, dataset)
        rejected = dict.fromkeys(texts["id"][texts["text"] == ""], "no text")
        rejected |= dict.fromkeys(texts["id"][texts["label"] == ""], "no label")
        texts = texts[~texts["id"].isin(rejected)]
        ids, labels, contents = (texts[column].tolist() for column in ("id", "label", "text"))
        unique, duplicates = reject_duplicates(ids, labels, contents, np.zeros(len(texts), np.bool_))
        texts = texts.iloc[unique]
        compare_with_published(raw, "distinct", dict(sorted(Counter(texts["label"]).items())), "distinct texts")
        sizes = dataset.model_dump(include={"validation", "test"})
        splits = stratified_split(texts["label"].to_numpy(np.str_), **sizes, limit=limit, seed=seed, name=name)
        return split_tables(texts["id"], texts["label"], splits, rejected | duplicates)

    def prepare(self, raw: Path, dataset: Texts, rows: pd.DataFrame, folder: Path) -> TextMeta:
        """Inputs int32 (N, L); targets int64 (N,)."""
        texts = read_texts(raw, dataset).set_index("id")["text"]
        check_ids(rows["id"], texts.index, dataset.raw)
        tokenize = tokenizer(dataset.tokenizer)
        documents = [tokenize(text) for text in texts.loc[rows["id"]]]
        training = (document for document, split in zip(documents, rows["split"], strict=True) if split == "train")
        counts = vocabulary(training, dataset.min_df, dataset.max_vocab)
        if not counts:
            raise UserError(
                f"raw data {dataset.raw}: no word is in {dataset.min_df} training texts or more; lower the "
                f"dataset's min_df, or choose another tokenizer than {dataset.tokenizer}"
            )
        encoded = token_ids(documents, list(counts))
        length = max([1, *map(len, encoded)])
        classes = sorted(set(rows["label"]))
        for split in ("train", "validation", "test"):
            members = np.flatnonzero(rows["split"] == split)
            save_array(folder / f"{split}_inputs.npy", pad([encoded[i] for i in members], length))
            targets = [classes.index(label) for label in rows["label"].iloc[members]]
            save_array(folder / f"{split}_targets.npy", np.array(targets, np.int64))
        return TextMeta(
            shape=[length], classes=classes, text_column=dataset.text, tokenizer=dataset.tokenizer,
            words=list(counts), documents=list(counts.values()),
        )  # fmt: skip

    def transform(self, meta: TextMeta) -> Json:
        return meta.model_dump(include={"tokenizer", "words", "text_column"})

    def columns(self, transform: Json) -> list[dict[str, str]]:
        return [{"name": "text", "type": "string"}]

    def example(self, transform: Json, prepared: npt.NDArray[Any]) -> Json:
        """Without the words that the vocabulary lacks."""
        words = [transform["words"][number - 1] for number in prepared if number]
        return {"text": (" " if transform["tokenizer"] == "words" else "").join(words)}

    def requirements(self, transform: Json) -> list[str]:
        return ["rjieba"] if transform["tokenizer"] == "chinese" else []


KIND = TextKind()
