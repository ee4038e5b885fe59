"""Labelled images in data/raw/X, and the published ones that come as arrays: MNIST's idx files, CIFAR-10's batches."""

import hashlib
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from torchprimer.datasets.csv_io import source_description
from torchprimer.errors import UserError
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.images import image_pixels

Bytes = npt.NDArray[np.uint8]
Result = TypeVar("Result")
IDX_MAGIC = 0x0800  # big-endian: two zero bytes, 08 for unsigned bytes, the number of dimensions


class RawImages(ABC):
    """The images of one source, read one by one; safe to use from several threads."""

    ids: list[str]  # name of each image, sorted
    labels: list[str]  # its class
    is_test: npt.NDArray[np.bool_]  # whether it is of the official test split
    classes: list[str]
    skipped: dict[str, str]  # files that are not images with a label, and why
    channels: int

    @abstractmethod
    def content(self, index: int) -> bytes:
        """What duplicates have in common."""

    @abstractmethod
    def pixels(self, index: int, size: int) -> Bytes:
        """Shape (C, size, size): scaled, and cropped from the centre to a square."""

    def examine(self, indices: Sequence[int], _title: str) -> list[tuple[str, str]]:
        """For each image the SHA-256 of its content, and why it cannot be decoded: empty if it can be."""
        return [(hashlib.sha256(self.content(i)).hexdigest(), "") for i in indices]

    def read(self, indices: Sequence[int], inputs: Bytes, title: str) -> None:
        """Writes the images into `inputs`, (N, C, size, size), on all cores. Raises UserError if one is damaged."""

        def write(row: int) -> None:
            try:
                inputs[row] = self.pixels(indices[row], inputs.shape[-1])
            except InvalidInput as error:
                name = self.ids[indices[row]]
                raise UserError(f"{name}: {error}; it was readable for the split: run `dvc repro split`") from None

        parallel_map(write, range(len(indices)), title)


def parallel_map(work: Callable[[int], Result], items: Sequence[int], title: str) -> list[Result]:
    """`work` of each item, in order, on all cores. Threads are enough: Pillow releases the GIL while it decodes."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF blocks; what cannot be read is reported anyway
        return list(tqdm(pool.map(work, items), total=len(items), desc=title, delay=1, disable=None, leave=False))


class ImageArrays(RawImages):
    """Images and labels in memory."""

    def __init__(self, arrays: dict[str, tuple[Bytes, Bytes]], classes: list[str]) -> None:
        """`arrays`: for each file, the official test split's named `t...`: images (N, C, H, W) and labels (N,)."""
        self.images = np.concatenate([images for images, _ in arrays.values()])
        numbers = np.concatenate([labels for _, labels in arrays.values()])
        if len(self.images) != len(numbers):
            raise ValueError(f"{len(self.images)} images and {len(numbers)} labels")
        self.classes = classes
        self.labels = [classes[number] for number in numbers]
        self.ids = [f"{name}/{i:05d}" for name, (images, _) in arrays.items() for i in range(len(images))]
        self.is_test = np.array([not name.startswith(("train", "data")) for name in self.ids])
        self.skipped = {}
        self.channels = self.images.shape[1]

    def content(self, index: int) -> bytes:
        return bytes(self.images[index].tobytes())

    def pixels(self, index: int, size: int) -> Bytes:
        return image_pixels(self.images[index].transpose(1, 2, 0), (self.channels, size, size))

    def read(self, indices: Sequence[int], inputs: Bytes, title: str) -> None:
        if inputs.shape[1:] == self.images.shape[1:]:  # nothing to scale
            inputs[:] = self.images[indices]
        else:
            super().read(indices, inputs, title)


def open_arrays(folder: Path) -> ImageArrays:
    """Opens data/raw/X by its source.json. Raises UserError if it is damaged, or not as published."""
    description = source_description(folder)
    try:
        raw = ImageArrays({"idx": _idx, "cifar10": _cifar10}[description["format"]](folder), description["classes"])
    except (ValueError, IndexError) as error:
        raise UserError(
            f"raw data {folder.name} is damaged ({error}): delete {folder} and run dvc repro download@{folder.name}"
        ) from None
    _compare_with_published(raw, description["expected"], folder.name)
    return raw


def _idx(folder: Path) -> dict[str, tuple[Bytes, Bytes]]:
    images = {}
    for split, file in (("train", "train"), ("test", "t10k")):
        array = read_idx(folder / f"{file}-images-idx3-ubyte", 3)
        images[split] = array[:, None], read_idx(folder / f"{file}-labels-idx1-ubyte", 1)
    return images


def read_idx(file: Path, dimensions: int) -> Bytes:
    """An idx file of unsigned bytes (LeCun's format of MNIST): magic number, sizes, values. Raises ValueError."""
    content = np.fromfile(file, np.uint8)
    start = 4 + 4 * dimensions
    magic, *shape = map(int, content[:start].view(">u4")) if len(content) >= start else [0]
    if magic != IDX_MAGIC + dimensions:
        raise ValueError(f"{file.name} has the magic number {magic:#06x}, not {IDX_MAGIC + dimensions:#06x}")
    if len(content) - start != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise ValueError(f"{file.name} has {len(content) - start:,} bytes of data, and its header says {sizes}")
    return content[start:].reshape(shape)


def _cifar10(folder: Path) -> dict[str, tuple[Bytes, Bytes]]:
    arrays = {}
    for file in sorted(folder.glob("*.bin")):
        records = np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
        arrays[file.stem] = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
    return arrays


def _compare_with_published(raw: ImageArrays, expected: dict[str, Any], name: str) -> None:
    published = {"train": expected["train"], "test": expected["test"], **expected["pixels"]}
    actual: dict[str, int | list[float]] = {"train": int((~raw.is_test).sum()), "test": int(raw.is_test.sum())}
    if actual["train"]:
        actual["mean"], actual["std"] = mean_and_std([raw.images[~raw.is_test]])
    for key, value in actual.items():
        if not np.allclose(value, published[key], rtol=0, atol=6e-5):
            message = f"{key} is {value}, published: {published[key]} (downloads.{name}.expected)"
            raise UserError(f"raw data {name}: {message}")


def mean_and_std(arrays: Iterable[Bytes]) -> tuple[list[float], list[float]]:
    """Exact mean and standard deviation per channel, pixels scaled to 0..1, of uint8 arrays (N, C, H, W).

    The standard deviation of a constant channel is given as 1 (others are at most 0.5), so that it can be divided by.
    """
    counts = sum(  # (C, 256)
        np.stack([np.bincount(array[:, c].ravel(), minlength=256) for c in range(array.shape[1])]) for array in arrays
    )
    assert isinstance(counts, np.ndarray)
    values = np.arange(256) / 255
    total = counts.sum(1)
    mean = (counts * values).sum(1) / total
    variance = np.clip((counts * values**2).sum(1) / total - mean**2, 0, None)  # rounding can make it negative
    return [round(float(m), 6) for m in mean], [round(float(s), 6) or 1.0 for s in np.sqrt(variance)]
