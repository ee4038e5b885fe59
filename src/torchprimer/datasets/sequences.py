"""Strings and a target character for each of their characters: a CSV -> character ids, int64 N x T.

No rows are held out: the model memorises the sequences, and is evaluated on its training rows.
"""

from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.base import DataKind, Transform
from torchprimer.datasets.csv_io import csv_rows, decode_lines, find_csv, read_source_description
from torchprimer.datasets.meta import SequencesMeta
from torchprimer.datasets.splits import check_ids
from torchprimer.datasets.storage import save_array
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Sequences
from torchprimer.predictor.sequences import decode_strings, encode_strings


def read_sequences(folder: Path, dataset: Sequences) -> pd.DataFrame:
    """Every row of the CSV in data/raw/X: columns id (`hello/00001` is row 1 of hello.csv), input, target (str).

    Raises:
        UserError: no CSV, no such column, no rows, or an input and a target of different lengths.
    """
    file = find_csv(folder)
    name = f"raw data {folder.name}: {file.name}"
    lines = decode_lines(file.read_bytes(), name)
    table: list[tuple[str, str, str]] = []
    for line, row in csv_rows(lines, name, strip=False):
        for column in (dataset.input, dataset.target):
            if column not in row:
                raise UserError(
                    f"{name} has no column {column!r}; it has: {', '.join(row)}.{did_you_mean(column, row)}"
                )
        source, target = row[dataset.input], row[dataset.target]
        table.append((f"{file.stem}/{len(table) + 1:05d}", source, target))
        if not source or not len(source) == len(target) == len(table[0][1]):
            raise UserError(
                f"{name}, line {line}: {source!r} -> {target!r}: every input and target needs the same number of "
                f"characters, at least 1; the first input has {len(table[0][1])}"
            )
    expected = read_source_description(folder).get("expected", {})
    if expected.get("samples") not in (None, len(table)):
        raise UserError(
            f"raw data {folder.name}: {len(table)} rows, published: {expected['samples']} "
            f"(downloads.{folder.name}.expected)"
        )
    return pd.DataFrame(table, columns=["id", "input", "target"])


class SequencesKind(DataKind[Sequences, SequencesMeta]):
    name = "sequences"
    meta_class = SequencesMeta
    predictor_kind = "sequences"
    input_name = "characters"

    def split_rows(
        self,
        raw: Path,
        dataset: Sequences,
        *,
        name: str,
        seed: int,
        limit: int | None,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """All rows, or the first `limit`, in the split `all`."""
        table = read_sequences(raw, dataset)[:limit]
        rows = pd.DataFrame({"id": table["id"], "label": table["target"], "split": "all"})
        return rows, pd.DataFrame(columns=["id", "reason"])

    def prepare(self, raw: Path, dataset: Sequences, rows: pd.DataFrame, folder: Path) -> SequencesMeta:
        """Inputs and targets int64, N x T, the same for all three splits."""
        table = read_sequences(raw, dataset).set_index("id")
        check_ids(rows["id"], table.index, dataset.raw)
        table = table.loc[rows["id"]]
        alphabet = sorted(set("".join([*table["input"], *table["target"]])))
        inputs, targets = (encode_strings(table[side].tolist(), alphabet) for side in ("input", "target"))
        for part in ("train", "validation", "test"):
            save_array(folder / f"{part}_inputs.npy", inputs)
            save_array(folder / f"{part}_targets.npy", targets)
        return SequencesMeta(shape=[inputs.shape[1]], classes=alphabet)

    def transform(self, meta: SequencesMeta) -> Transform:
        return {"alphabet": meta.classes, "length": meta.shape[0]}

    def columns(self, transform: Transform) -> list[dict[str, str]]:
        return [{"name": "text", "type": "string"}]

    def example(self, transform: Transform, prepared: npt.NDArray[Any]) -> dict[str, Any]:
        return {"text": decode_strings(prepared[None], transform["alphabet"])[0]}


KIND = SequencesKind()
