"""Photos at 128 pixels: batches against torchvision's ImageFolder; `preprocess` on all cores against one."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch

from bench.data import SIZE, num_photos, photo_collection
from bench.measure import Options, Result, compare, seconds_of, take_turns
from bench.reference import photos as reference_photos
from torchprimer import params
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.images import KIND
from torchprimer.datasets.storage import SplitArrays
from torchprimer.loops.supervised.augmentation import augment
from torchprimer.models import Normalize

BATCH_SIZE = 64


def photos(options: Options) -> Result:
    """Batches in random order, normalised; our side also mirrors and shifts them, the reference does not."""
    photo_dir = photo_collection(options)
    prepared = options.temporary / "photos128"
    normalize = Normalize(*_prepare(photo_dir, prepared))

    def ours() -> float:
        return seconds_of(lambda: _epoch(prepared, normalize))

    def reference() -> float:
        return seconds_of(lambda: reference_photos.epoch(photo_dir, SIZE, BATCH_SIZE))

    our_seconds, reference_seconds = take_turns(ours, reference, options.repeat)
    source = "of --photos" if options.photos else "made of CIFAR-10"
    note = f"{num_photos(options):,} photos of {SIZE} x {SIZE}, {source}"
    return compare("photos", min(our_seconds), min(reference_seconds), at_least=10.0, note=note)


def preprocess(options: Options) -> Result:
    """`preprocess` on all cores, and with a single worker."""
    photo_dir = photo_collection(options)
    prepared = options.temporary / "preprocess"
    cores = os.cpu_count()

    def all_cores() -> float:
        return seconds_of(lambda: _prepare(photo_dir, prepared))

    def one_worker() -> float:
        with mock.patch.object(os, "cpu_count", return_value=1):
            return all_cores()

    our_seconds, reference_seconds = take_turns(all_cores, one_worker, options.repeat)
    note = f"the same photos decoded by {cores} workers, and by 1"
    return compare("preprocess", min(our_seconds), min(reference_seconds), at_least=1.6, note=note)


def _prepare(photo_dir: Path, prepared: Path) -> tuple[list[float], list[float]]:
    """Prepares the photos as one training split; returns their mean and standard deviation per channel."""
    collection = ImageFolder(photo_dir)
    dataset = params.load().datasets["dogs_vs_cats"].model_copy(update={"raw": "photos", "image_size": SIZE})
    assert isinstance(dataset, params.Images)
    rows = pd.DataFrame({"id": collection.ids, "label": collection.labels, "split": "train"})
    prepared.mkdir(exist_ok=True)
    meta = KIND.prepare(photo_dir, dataset, rows, prepared)
    return meta.mean, meta.std


def _epoch(prepared: Path, normalize: Normalize) -> None:
    """One epoch of the data loading in the loop `supervised`."""
    inputs, targets = (
        torch.from_numpy(np.load(prepared / f"train_{name}.npy", mmap_mode="c")) for name in ("inputs", "targets")
    )
    split = SplitArrays(inputs, targets)
    for batch in torch.randperm(len(split)).tensor_split(-(-len(split) // BATCH_SIZE)):
        images = normalize(augment(split.inputs[batch], horizontal_flip=True, max_translate=4))
        assert len(images) == len(split.targets[batch])
