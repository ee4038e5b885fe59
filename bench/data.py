"""The data of the measurements: raw bytes from data/raw, or fetched; the rest is made of them."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.measure import Options
from torchprimer import params, paths
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.images import ImageArrays, open_raw, prepare, split_rows
from torchprimer.datasets.storage import write_meta
from torchprimer.errors import UserError
from torchprimer.predictor import InvalidInput
from torchprimer.predictor.preprocessing import decode
from torchprimer.sources import fetch

PHOTOS, SIZE = 2000, 128


def raw(source: str, options: Options) -> Path:
    """The folder of a raw source of params.yaml."""
    here, there = paths.raw(source), options.temporary / "raw" / source
    if (here / "source.json").is_file():
        return here
    if not (there / "source.json").is_file():
        fetch(params.load().downloads[source], there)
    return there


def mnist(options: Options) -> tuple[Path, pd.DataFrame]:
    """MNIST, prepared whole, whatever `limit` says: the folder of the arrays, the rows of the split."""
    folder, rows_file = options.temporary / "mnist", options.temporary / "mnist.csv"
    if not rows_file.is_file():
        dataset = params.load().datasets["mnist"]
        assert isinstance(dataset, params.Images)
        source = raw("mnist", options)
        rows, _ = split_rows(source, dataset, name="mnist", seed=0, limit=None)
        folder.mkdir()
        write_meta(folder, prepare(source, dataset, rows, folder))
        rows.to_csv(rows_file, index=False)
    return folder, pd.read_csv(rows_file, dtype=str)


def photo_collection(options: Options) -> Path:
    """2,000 photos as files, a folder per class."""
    folders = options.temporary / "photos"
    if not folders.is_dir():
        if options.photos:
            _unpack(ImageFolder(options.photos), folders)
        else:
            _enlarge_cats_and_dogs(options, folders)
    return folders


def chosen(photos: ImageFolder) -> list[int]:
    """Which 2,000 of a collection, spread over all of it."""
    if len(photos.ids) < PHOTOS:
        raise UserError(f"--photos: {len(photos.ids):,} photos are too few, {PHOTOS:,} are needed")
    return [int(i) for i in np.linspace(0, len(photos.ids) - 1, PHOTOS).round()]


def _unpack(photos: ImageFolder, folder: Path) -> None:
    for i in chosen(photos):
        content = photos.content(i)
        try:
            decode(content, 1)
        except InvalidInput as error:
            raise UserError(f"--photos: {photos.ids[i]}: {error}") from None
        file = folder / photos.labels[i] / f"{i}{Path(photos.ids[i]).suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _enlarge_cats_and_dogs(options: Options, folder: Path) -> None:
    """JPEGs of 400 x 300 pixels, the size of a small photo, out of images of 32 x 32."""
    images = open_raw(raw("cifar10", options))
    assert isinstance(images, ImageArrays)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for i in [i for i, name in enumerate(images.labels) if name == label][: PHOTOS // 2]:
            image = Image.fromarray(images.images[i].transpose(1, 2, 0)).resize((400, 300), Image.Resampling.BICUBIC)
            image.save(folder / label / f"{i}.jpg", quality=90)
