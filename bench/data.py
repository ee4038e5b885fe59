"""The data of the measurements: raw bytes from data/raw or downloaded, datasets prepared by the project's stages."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.measure import Options
from bench.workspace import copy_project, prepare_dataset
from torchprimer import params, paths
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.images import open_raw
from torchprimer.datasets.raw_images import ImageArrays
from torchprimer.errors import UserError
from torchprimer.predictor import InvalidInput
from torchprimer.predictor.images import decode
from torchprimer.sources import fetch

NUM_PHOTOS, SIZE = 2000, 128


def raw(source: str, options: Options) -> Path:
    """The folder of a raw source of params.yaml; downloads it if it is not in data/raw."""
    in_project, downloaded = paths.raw(source), options.temporary / "raw" / source
    if (in_project / "source.json").is_file():
        return in_project
    if not (downloaded / "source.json").is_file():
        fetch(params.load().downloads[source], downloaded)
    return downloaded


def prepared(dataset: str, options: Options) -> Path:
    """A prepared dataset with all its samples (or `options.limit` of each split), whatever params.yaml sets."""
    project = options.temporary / "datasets"
    if not project.exists():
        copy_project(project, limit=options.limit)
    return prepare_dataset(project, dataset, raw(dataset, options))


def num_photos(options: Options) -> int:
    return options.limit or NUM_PHOTOS


def photo_collection(options: Options) -> Path:
    """Photos as files, a folder for each class."""
    folder = options.temporary / "photos"
    if not folder.is_dir():
        if options.photos:
            _unpack(ImageFolder(options.photos), folder, num_photos(options))
        else:
            _enlarge_cats_and_dogs(options, folder)
    return folder


def evenly_spaced(photos: ImageFolder, count: int) -> list[int]:
    """Indices of `count` photos, spread over the whole collection.

    Raises:
        UserError: the collection is smaller.
    """
    if len(photos.ids) < count:
        raise UserError(f"--photos: {len(photos.ids):,} photos are too few, {count:,} are needed")
    return [int(i) for i in np.linspace(0, len(photos.ids) - 1, count).round()]


def _unpack(photos: ImageFolder, folder: Path, count: int) -> None:
    for i in evenly_spaced(photos, count):
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
        members = [i for i, name in enumerate(images.labels) if name == label]
        for i in members[: num_photos(options) // 2]:
            image = Image.fromarray(images.images[i].transpose(1, 2, 0)).resize((400, 300), Image.Resampling.BICUBIC)
            image.save(folder / label / f"{i}.jpg", quality=90)
