"""Strings and a target character for each of their characters: a CSV -> character ids, int64 (N, T).

No rows are held out: the model memorises the sequences, and is evaluated on its training rows.
"""

from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from torchprimer.atomic import Json
from torchprimer.datasets.base import DataKind
from torchprimer.datasets.csv_io import compare_with_published, describe_file, read_csv, row_ids
from torchprimer.datasets.meta import SequencesMeta
from torchprimer.datasets.splits import check_ids, split_tables
from torchprimer.datasets.storage import save_array
from torchprimer.errors import UserError
from torchprimer.params import Sequences
from torchprimer.predictor.sequences import decode_strings, encode_strings


def read_sequences(folder: Path, dataset: Sequences) -> pd.DataFrame:
    """Every row of the CSV in data/raw/X: columns id (`hello/00001` is row 1 of hello.csv), input, target (str).

    Raises UserError if an input and a target have different lengths, besides the errors of `read_csv`.
    """
    file, rows = read_csv(folder, [dataset.input, dataset.target], strip=False)
    length = len(rows[0][1][dataset.input])
    for line, row in rows:
        source, target = row[dataset.input], row[dataset.target]
        if not source or not len(source) == len(target) == length:
            raise UserError(
                f"{describe_file(file)}, line {line}: {source!r} -> {target!r}: every input and target needs the same "
                f"number of characters, at least 1; the first input has {length}"
            )
    compare_with_published(folder, "samples", len(rows), "rows")
    columns = {"input": dataset.input, "target": dataset.target}
    table = {name: [row[column] for _, row in rows] for name, column in columns.items()}
    return pd.DataFrame({"id": row_ids(file, len(rows))} | table)


class SequencesKind(DataKind[Sequences, SequencesMeta]):
    name = "sequences"
    meta_class = SequencesMeta
    predictor_kind = "sequences"
    input_name = "characters"

    def split_rows(
        self, raw: Path, dataset: Sequences, *, name: str, seed: int, limit: int | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """All rows, or the first `limit`, in the split `all`."""
        table = read_sequences(raw, dataset)[:limit]
        return split_tables(table["id"], table["target"], "all", {})

    def prepare(self, raw: Path, dataset: Sequences, rows: pd.DataFrame, folder: Path) -> SequencesMeta:
        """Inputs and targets int64 (N, T), the same in all three splits."""
        table = read_sequences(raw, dataset).set_index("id")
        check_ids(rows["id"], table.index, dataset.raw)
        table = table.loc[rows["id"]]
        alphabet = sorted(set("".join([*table["input"], *table["target"]])))
        inputs, targets = (encode_strings(table[side].tolist(), alphabet) for side in ("input", "target"))
        for split in ("train", "validation", "test"):
            save_array(folder / f"{split}_inputs.npy", inputs)
            save_array(folder / f"{split}_targets.npy", targets)
        return SequencesMeta(shape=[inputs.shape[1]], classes=alphabet)

    def transform(self, meta: SequencesMeta) -> Json:
        return {"alphabet": meta.classes, "length": meta.shape[0]}

    def columns(self, transform: Json) -> list[dict[str, str]]:
        return [{"name": "text", "type": "string"}]

    def example(self, transform: Json, prepared: npt.NDArray[Any]) -> Json:
        return {"text": decode_strings(prepared[None], transform["alphabet"])[0]}


KIND = SequencesKind()
