"""Turns raw data and its split into arrays ready for training: data/prepared/D/."""

import pandas as pd

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets import get_kind
from torchprimer.datasets.csv_io import source_description
from torchprimer.datasets.storage import SAMPLES_FILE, write_meta
from torchprimer.params import Params


def run(params: Params, name: str) -> None:
    dataset = params.datasets[name]
    rows = pd.read_csv(paths.split(name), dtype=str, keep_default_na=False)
    with atomic_write(paths.prepared(name)) as folder:
        folder.mkdir()
        meta = get_kind(dataset.kind).prepare(paths.raw(dataset.raw), dataset, rows, folder)
        rows.to_csv(folder / SAMPLES_FILE, index=False)
        source = source_description(paths.raw(dataset.raw)).get("source", "")
        write_meta(folder, meta.model_copy(update={"raw": dataset.raw, "source": source}))
    print(f"{name}: {len(rows):,} samples, each of shape {tuple(meta.shape)}")
