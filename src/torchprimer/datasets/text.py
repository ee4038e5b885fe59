"""Labelled texts: one file per class, or a CSV -> split -> the numbers of their words, int32 N x L.

A word's number is its place in the vocabulary, which is taken from the training rows alone.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from torchprimer.datasets.csv_io import csv_error_text, csv_reader, published
from torchprimer.datasets.meta import TextMeta
from torchprimer.datasets.splits import conflicting_labels, deduplicate, split
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Texts
from torchprimer.predictor.preprocessing import padded, token_ids, tokenizer

# ---- reading and splitting -----------------------------------------------------------------------------------------


def read_texts(folder: Path, dataset: Texts) -> pd.DataFrame:
    """Every text of data/raw/X, repeats and all: columns id, label, text (str, stripped), sorted by id.

    The id is the file and the line: `pos/00012` is line 12 of pos.txt, `mails/00012` row 12 of mails.csv.

    Raises:
        UserError: no such files or columns, not UTF-8, nothing in it, or not as many texts as were published.
    """
    if not folder.is_dir():
        raise UserError(
            f"no raw data in {folder}: define it under downloads:, or put your texts there: a .txt file per class with "
            f"one text on each line, or a CSV"
        )
    texts = _read_lines(folder) if dataset.text is None else _read_csv(folder, dataset)
    expected = published(folder).get("expected", {}).get("samples")
    if expected and (found := int((texts["text"] != "").sum())) != expected:
        raise UserError(
            f"raw data {folder.name}: {found:,} texts, published: {expected:,} (downloads.{folder.name}.expected)"
        )
    return texts


def _read_lines(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.txt"))
    if len(files) < 2:
        found = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise UserError(
            f"raw data {folder.name}: a .txt file for each of two classes or more is needed, such as pos.txt and "
            f"neg.txt, and there is: {found}. For a CSV, set the dataset's text and label to its columns"
        )
    lines = {}
    for file in files:
        lines[file.stem] = _utf8(file).rstrip().split("\n")
        if not any(line.strip() for line in lines[file.stem]):
            raise UserError(f"raw data {folder.name}: {file.name} has no text in it")
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
    files = sorted(file for file in folder.iterdir() if file.suffix in (".csv", ".tsv"))
    if len(files) != 1:
        found = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise UserError(
            f"raw data {folder.name}: one CSV is needed, and there is: {found}. For a .txt file per class, set the "
            f"dataset's text and label to null"
        )
    file = files[0]
    where = f"raw data {folder.name}: {file.name}"
    content = _utf8(file).strip("\r\n")
    reader = csv_reader(list(io.StringIO(content, newline="")))
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise UserError(f"{where}{csv_error_text(reader, error)}") from None
    for column in (dataset.text, dataset.label):
        if column not in names:
            raise UserError(
                f"{where} has no column {column!r}; it has: {', '.join(names) or 'nothing'}."
                f"{did_you_mean(column, names)}"
            )
    rows: list[tuple[str, str]] = []
    try:
        for values in filter(None, reader):
            if len(values) != len(names):
                raise UserError(
                    f"{where}, line {reader.line_num}: not {len(names)} values; a text with "
                    f"{reader.dialect.delimiter!r} in it needs quotes"
                )
            row = dict(zip(names, values, strict=True))
            rows.append((row[str(dataset.label)].strip(), row[str(dataset.text)].strip()))
    except csv.Error as error:
        raise UserError(f"{where}{csv_error_text(reader, error)}") from None
    if not any(text for _, text in rows):
        raise UserError(f"{where} has no text in it")
    digits = max(5, len(str(len(rows))))
    return pd.DataFrame(
        [(f"{file.stem}/{number:0{digits}d}", label, text) for number, (label, text) in enumerate(rows, 1)],
        columns=["id", "label", "text"],
    )


def _utf8(file: Path) -> str:
    """The text of a file, without a byte order mark."""
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"raw data {file.parent.name}: {file.name} is not UTF-8 (line {line}): save it as UTF-8"
        ) from None


def split_rows(
    raw: Path, dataset: Texts, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decides who is in which split. Repeats go, and texts that are in two classes: nobody could tell which is right.

    Returns:
        One row per sample (id, label, split), sorted by id; and one per text that was left out (id, reason).

    Raises:
        UserError: the files are not as `read_texts` needs them, too few samples or classes, or not the numbers of
            distinct texts that were published.
    """
    texts = read_texts(raw, dataset)
    rejected = dict.fromkeys(texts["id"][texts["text"] == ""], "no text")
    rejected |= dict.fromkeys(texts["id"][texts["label"] == ""], "no label")
    texts = texts[~texts["id"].isin(rejected)]
    rejected |= conflicting_labels(texts["id"].tolist(), texts["label"].tolist(), texts["text"].tolist())
    texts = texts[~texts["id"].isin(rejected)]
    kept, dropped = deduplicate(texts["text"].tolist(), np.zeros(len(texts), np.bool_))
    ids = texts["id"].to_numpy()
    rejected |= {ids[i]: f"duplicate of {ids[j]}" for i, j in dropped.items()}
    texts = texts.iloc[kept]
    _compare_with_published(texts["label"], published(raw).get("expected", {}).get("distinct"), raw.name)
    labels = texts["label"].to_numpy(np.str_)
    parts = split(
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
    found = dict(sorted(Counter(labels).items()))
    if expected and found != dict(sorted(expected.items())):
        raise UserError(
            f"raw data {name}: {found} distinct texts, published: {expected} (downloads.{name}.expected.distinct)"
        )


# ---- words and their numbers ---------------------------------------------------------------------------------------


def vocabulary(documents: Iterable[Sequence[str]], min_df: int, max_vocab: int | None) -> dict[str, int]:
    """The words of `documents` (lists of words) that at least `min_df` of them have, the most frequent first.

    Returns:
        In how many documents each is; at most `max_vocab` words, those of one frequency in the order of their letters.
    """
    counts = Counter(word for document in documents for word in set(document))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {word: count for word, count in ordered[:max_vocab] if count >= min_df}


def prepare(raw: Path, dataset: Texts, rows: pd.DataFrame, folder: Path) -> TextMeta:
    """Writes {train,validation,test}_inputs.npy (int32, N x L) and _targets.npy (int64, N) into `folder`.

    Returns:
        What training has to know: kind, task, shape, classes, tokenizer, words; `documents`: how many training texts
        have each word.

    Raises:
        UserError: the raw data has changed since the split, or no word is left.
    """
    texts = read_texts(raw, dataset).set_index("id")["text"]
    if gone := sorted(set(rows["id"]) - set(texts.index)):
        raise UserError(
            f"raw data {dataset.raw} no longer has {gone[0]!r}, which the split names: run `dvc repro split`"
        )
    cut = tokenizer(dataset.tokenizer)
    documents = [cut(text) for text in texts.loc[rows["id"]]]
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
        np.save(folder / f"{part}_inputs.npy", padded([encoded[i] for i in members], length))
        targets = [classes.index(label) for label in rows["label"].iloc[members]]
        np.save(folder / f"{part}_targets.npy", np.array(targets, np.int64))
    return TextMeta(
        shape=[length],
        classes=classes,
        text_column=dataset.text,
        tokenizer=dataset.tokenizer,
        words=list(counts),
        documents=list(counts.values()),
    )
