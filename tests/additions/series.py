"""Labelled series of numbers: a CSV with the columns values ("0.5 1 -2") and label -> float32 (N, T)."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from torchprimer.predictor.series import encode_series

from torchprimer.atomic import Json
from torchprimer.datasets.base import DataKind
from torchprimer.datasets.csv_io import csv_rows, decode_lines, find_csv
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.splits import check_ids, stratified_split
from torchprimer.params.base import DatasetTask
from torchprimer.params.datasets import Series


class SeriesMeta(Meta):
    """Standardised numbers, float32, (T,); mean and standard deviation of the training split."""

    dtype = "float32"
    kind: Literal["series"] = "series"
    task: DatasetTask = "classification"
    mean: float
    std: float


def read_series(folder: Path) -> pd.DataFrame:
    """Columns id, values, label."""
    file = find_csv(folder)
    rows = csv_rows(decode_lines(file.read_bytes(), file.name), file.name)
    table = [(f"{file.stem}/{i:05d}", row["values"], row["label"]) for i, (_, row) in enumerate(rows, 1)]
    return pd.DataFrame(table, columns=["id", "values", "label"])


class SeriesKind(DataKind[Series, SeriesMeta]):
    name = "series"
    meta_class = SeriesMeta
    predictor_kind = "series"
    input_name = "series"

    def split_rows(
        self, raw: Path, dataset: Series, *, name: str, seed: int, limit: int | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        table = read_series(raw)
        splits = stratified_split(
            table["label"].to_numpy(str), validation=dataset.validation, test=dataset.test,
            limit=limit, seed=seed, name=name,
        )  # fmt: skip
        rows = table[["id", "label"]].assign(split=splits)
        return rows[rows["split"] != ""], pd.DataFrame(columns=["id", "reason"])

    def prepare(self, raw: Path, dataset: Series, rows: pd.DataFrame, folder: Path) -> SeriesMeta:
        table = read_series(raw).set_index("id")
        check_ids(rows["id"], table.index, dataset.raw)
        texts, classes = table["values"][rows["id"]].to_numpy(), sorted(set(rows["label"]))
        numbers = np.array([text.split() for text in texts[rows["split"] == "train"]], float)
        meta = SeriesMeta(shape=[numbers.shape[1]], classes=classes, mean=numbers.mean(), std=numbers.std())
        for split in ("train", "validation", "test"):
            members = (rows["split"] == split).to_numpy()
            np.save(folder / f"{split}_inputs.npy", encode_series(list(texts[members]), self.transform(meta)))
            targets = [classes.index(label) for label in rows["label"][members]]
            np.save(folder / f"{split}_targets.npy", np.array(targets, np.int64))
        return meta

    def transform(self, meta: SeriesMeta) -> Json:
        return {"length": meta.shape[0], "mean": meta.mean, "std": meta.std}

    def columns(self, transform: Json) -> list[dict[str, str]]:
        return [{"name": "text", "type": "string"}]

    def example(self, transform: Json, prepared: npt.NDArray[Any]) -> dict[str, Any]:
        return {"text": " ".join(f"{value * transform['std'] + transform['mean']:.4g}" for value in prepared)}


KIND = SeriesKind()
