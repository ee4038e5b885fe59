"""Turns raw data and its split into arrays ready for training: data/prepared/D/."""

import pandas as pd

from torchprimer import paths
from torchprimer.datasets.images import open_raw, prepare_images
from torchprimer.datasets.meta import write_meta
from torchprimer.files import replacing
from torchprimer.params import Params


def run(params: Params, name: str) -> None:
    dataset = params.datasets[name]
    rows = pd.read_csv(paths.split(name), dtype=str, keep_default_na=False)
    with replacing(paths.prepared(name)) as folder:
        folder.mkdir()
        meta = prepare_images(open_raw(paths.raw(dataset.raw)), dataset, rows, folder)
        write_meta(folder, meta)
    print(f"{name}: mean {meta['mean']}, deviation {meta['std']} of the training split")
