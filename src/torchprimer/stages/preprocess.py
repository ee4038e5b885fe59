"""Turns raw data and its split into arrays ready for training: data/prepared/D/."""

import json
from importlib import import_module
from pathlib import Path

import pandas as pd

from torchprimer import paths
from torchprimer.datasets.prepared import SAMPLES, write_meta
from torchprimer.files import replacing
from torchprimer.params import Params


def run(params: Params, name: str) -> None:
    dataset = params.datasets[name]
    rows = pd.read_csv(paths.split(name), dtype=str, keep_default_na=False)
    kind = import_module(f"torchprimer.datasets.{dataset.kind}")
    with replacing(paths.prepared(name)) as folder:
        folder.mkdir()
        meta = kind.prepare(paths.raw(dataset.raw), dataset, rows, folder)
        rows.to_csv(folder / SAMPLES, index=False)
        write_meta(folder, meta | {"raw": dataset.raw, "source": source(paths.raw(dataset.raw))})
    print(f"{name}: {len(rows):,} samples, each of shape {tuple(meta['shape'])}")


def source(raw: Path) -> str:
    """Where raw data comes from: the package and its version, or the publisher's address; empty for one's own."""
    file = raw / "source.json"
    return str(json.loads(file.read_text("utf-8")).get("source", "")) if file.is_file() else ""
