"""Strings and what each becomes, character for character: a CSV -> numbers in an alphabet, int64 N x T.

Nothing is held back: such a task is learnt by heart, and the same rows are trained on and looked at.
"""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from torchprimer.datasets.csv_io import csv_error_text, csv_reader, published
from torchprimer.datasets.meta import SequencesMeta
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Sequences
from torchprimer.predictor.preprocessing import encode_strings


def read_sequences(folder: Path, dataset: Sequences) -> pd.DataFrame:
    """Every row of the CSV in data/raw/X: columns id (`hello/00001` is row 1 of hello.csv), input, target (str).

    Raises:
        UserError: no CSV, no such column, no rows, or an input and a target of different lengths.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix in (".csv", ".tsv"))
    if len(files) != 1:
        found = ", ".join(sorted(file.name for file in folder.glob("*"))) or "nothing"
        raise UserError(f"raw data {folder.name}: one CSV is needed in {folder}, and there is: {found}")
    where = f"raw data {folder.name}: {files[0].name}"
    try:
        content = files[0].read_text("utf-8-sig").strip("\n")
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8: save it as UTF-8") from None
    reader = csv_reader(list(io.StringIO(content, newline="")))
    try:
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise UserError(f"{where}{csv_error_text(reader, error)}") from None
    header, rows = (lines or [[]])[0], lines[1:]
    for column in (dataset.input, dataset.target):
        if column not in header:
            raise UserError(
                f"{where} has no column {column!r}; it has: {', '.join(header) or 'nothing'}."
                f"{did_you_mean(column, header)}"
            )
    if not rows:
        raise UserError(f"{where} has no rows below the names of its columns")
    table = []
    for number, row in enumerate(rows, 1):
        values = dict(zip(header, row, strict=False))
        given, target = values.get(dataset.input, ""), values.get(dataset.target, "")
        table.append((f"{files[0].stem}/{number:05d}", given, target))
        if not given or not len(given) == len(target) == len(table[0][1]):
            raise UserError(
                f"{where}, row {number}: {given!r} -> {target!r}: every input and target needs the same number of "
                f"characters, at least 1; the first input has {len(table[0][1])}"
            )
    expected = published(folder).get("expected", {})
    if expected.get("samples") not in (None, len(table)):
        raise UserError(
            f"raw data {folder.name}: {len(table)} rows, published: {expected['samples']} "
            f"(downloads.{folder.name}.expected)"
        )
    return pd.DataFrame(table, columns=["id", "input", "target"])


def split_rows(
    raw: Path,
    dataset: Sequences,
    *,
    name: str,  # noqa: ARG001 (every kind of data is asked with the same)
    seed: int,  # noqa: ARG001
    limit: int | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows, or the first `limit`, in the one part `all`; nothing is drawn.

    Returns:
        One row per sample (id, label: its target, split), and no rejected ones (id, reason).
    """
    table = read_sequences(raw, dataset)[:limit]
    rows = pd.DataFrame({"id": table["id"], "label": table["target"], "split": "all"})
    return rows, pd.DataFrame(columns=["id", "reason"])


def prepare(raw: Path, dataset: Sequences, rows: pd.DataFrame, folder: Path) -> SequencesMeta:
    """Writes {train,validation,test}_inputs.npy and _targets.npy, int64, N x T, the same for all three.

    Returns:
        What training has to know: kind, task, shape (T,), and the alphabet as `classes`, sorted, one for both sides.

    Raises:
        UserError: the raw data has changed since the split.
    """
    table = read_sequences(raw, dataset).set_index("id")
    if gone := sorted(set(rows["id"]) - set(table.index)):
        raise UserError(
            f"raw data {dataset.raw} no longer has {gone[0]!r}, which the split names: run `dvc repro split`"
        )
    table = table.loc[rows["id"]]
    alphabet = sorted(set("".join([*table["input"], *table["target"]])))
    inputs, targets = (encode_strings(table[side].tolist(), alphabet) for side in ("input", "target"))
    for part in ("train", "validation", "test"):
        np.save(folder / f"{part}_inputs.npy", inputs)
        np.save(folder / f"{part}_targets.npy", targets)
    return SequencesMeta(shape=[inputs.shape[1]], classes=alphabet)
