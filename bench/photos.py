"""2,000 photos at 128 pixels: an epoch of batches against torchvision's ImageFolder; `preprocess` against one worker."""

import os
from pathlib import Path
from unittest import mock

import pandas as pd
import torch

from bench.data import PHOTOS, SIZE, photo_collection
from bench.measure import Options, Result, compare, seconds_of, take_turns
from bench.reference import photos as tutorial
from torchprimer import params
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.images import prepare
from torchprimer.datasets.storage import load_split
from torchprimer.models import Normalize
from torchprimer.training.augmentation import augment

BATCH = 64


def photos(options: Options) -> Result:
    """Batches in random order, normalised; ours also mirrored and shifted, which the reference is spared."""
    folders = photo_collection(options)
    prepared = options.temporary / "photos128"
    meta = _prepare(folders, prepared)
    normalize = Normalize(meta["mean"], meta["std"])

    def ours() -> float:
        return seconds_of(lambda: _epoch(prepared, normalize))

    def reference() -> float:
        return seconds_of(lambda: tutorial.epoch(folders, SIZE, BATCH))

    mine, theirs = take_turns(ours, reference, options.repeat)
    note = f"{PHOTOS:,} photos of {SIZE} x {SIZE}, {'yours' if options.photos else 'made of CIFAR-10'}"
    return compare("photos", min(mine), min(theirs), at_least=10.0, note=note)


def preprocess(options: Options) -> Result:
    """`prepare` with all cores, and with a single worker."""
    folders = photo_collection(options)
    folder = options.temporary / "preprocess"
    cores = os.cpu_count()

    def all_cores() -> float:
        return seconds_of(lambda: _prepare(folders, folder))

    def one_worker() -> float:
        with mock.patch.object(os, "cpu_count", return_value=1):
            return all_cores()

    mine, theirs = take_turns(all_cores, one_worker, options.repeat)
    note = f"the same photos decoded by {cores} workers, and by 1"
    return compare("preprocess", min(mine), min(theirs), at_least=1.6, note=note)


def _prepare(folders: Path, folder: Path) -> dict[str, list[float]]:
    """All 2,000 as one training split."""
    collection = ImageFolder(folders)
    dataset = params.load().datasets["dogs_vs_cats"].model_copy(update={"raw": "photos", "image_size": SIZE})
    assert isinstance(dataset, params.Images)
    rows = pd.DataFrame({"id": collection.ids, "label": collection.labels})
    folder.mkdir(exist_ok=True)
    meta = prepare(folders, dataset, rows.assign(split="train"), folder)
    return {key: value for key, value in meta.items() if isinstance(value, list)}


def _epoch(prepared: Path, normalize: Normalize) -> None:
    """The data side of `loops.supervised`, one pass."""
    split = load_split(prepared, "train")
    seen = 0
    for batch in torch.randperm(len(split)).tensor_split(-(-len(split) // BATCH)):
        inputs, targets = split.inputs[batch], split.targets[batch]
        seen += len(normalize(augment(inputs, horizontal_flip=True, max_translate=4))) * (len(targets) > 0)
    assert seen == PHOTOS
