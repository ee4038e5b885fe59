"""Photos at 128 pixels: an epoch of batches against torchvision's ImageFolder; `preprocess` against one worker."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch

from bench.data import SIZE, num_photos, photo_collection
from bench.measure import Options, Result, compare, seconds_of, take_turns
from bench.reference import photos as tutorial
from torchprimer import params
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.images import KIND
from torchprimer.datasets.storage import SplitArrays
from torchprimer.models import Normalize
from torchprimer.training.loops.supervised.augmentation import augment

BATCH_SIZE = 64


def photos(options: Options) -> Result:
    """Batches in random order, normalised; our side also mirrors and shifts them, the reference does not."""
    folders = photo_collection(options)
    prepared = options.temporary / "photos128"
    normalize = Normalize(*_prepare(folders, prepared))

    def ours() -> float:
        return seconds_of(lambda: _epoch(prepared, normalize))

    def reference() -> float:
        return seconds_of(lambda: tutorial.epoch(folders, SIZE, BATCH_SIZE))

    our_seconds, reference_seconds = take_turns(ours, reference, options.repeat)
    source = "of --photos" if options.photos else "made of CIFAR-10"
    note = f"{num_photos(options):,} photos of {SIZE} x {SIZE}, {source}"
    return compare("photos", min(our_seconds), min(reference_seconds), at_least=10.0, note=note)


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

    our_seconds, reference_seconds = take_turns(all_cores, one_worker, options.repeat)
    note = f"the same photos decoded by {cores} workers, and by 1"
    return compare("preprocess", min(our_seconds), min(reference_seconds), at_least=1.6, note=note)


def _prepare(folders: Path, folder: Path) -> tuple[list[float], list[float]]:
    """Prepares all photos as one training split; returns their mean and standard deviation per channel."""
    collection = ImageFolder(folders)
    dataset = params.load().datasets["dogs_vs_cats"].model_copy(update={"raw": "photos", "image_size": SIZE})
    assert isinstance(dataset, params.Images)
    rows = pd.DataFrame({"id": collection.ids, "label": collection.labels, "split": "train"})
    folder.mkdir(exist_ok=True)
    meta = KIND.prepare(folders, dataset, rows, folder)
    return meta.mean, meta.std


def _epoch(prepared: Path, normalize: Normalize) -> None:
    """The data side of the loop `supervised`, one pass."""
    inputs, targets = (
        torch.from_numpy(np.load(prepared / f"train_{name}.npy", mmap_mode="c")) for name in ("inputs", "targets")
    )
    split = SplitArrays(inputs, targets)
    for batch in torch.randperm(len(split)).tensor_split(-(-len(split) // BATCH_SIZE)):
        inputs, targets = split.inputs[batch], split.targets[batch]
        assert len(normalize(augment(inputs, horizontal_flip=True, max_translate=4))) == len(targets)
