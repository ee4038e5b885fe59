"""Published images that come as arrays: MNIST's idx files, CIFAR-10's binary batches."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchprimer.datasets.csv_io import read_source_description
from torchprimer.errors import UserError
from torchprimer.predictor.images import image_pixels

Bytes = npt.NDArray[np.uint8]
IDX_MAGIC = 0x0800  # big-endian: two zero bytes, 08 for unsigned bytes, the number of dimensions


class ImageArrays:
    """Images and labels in memory.

    Attributes:
        ids: file and number of each image; labels: its class; is_test: of the official test split.
        skipped: files without a labelled image, and why: none here.
    """

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
        self.skipped: dict[str, str] = {}

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    def content(self, index: int) -> bytes:
        content: bytes = self.images[index].tobytes()
        return content

    def pixels(self, index: int, size: int) -> Bytes:
        """Shape (C, size, size), uint8."""
        image: Bytes = self.images[index]
        return image_pixels(image.transpose(1, 2, 0), (self.channels, size, size))


def open_arrays(folder: Path) -> ImageArrays:
    """Opens data/raw/X by its source.json.

    Raises:
        UserError: damaged, or not the published numbers of images, mean and standard deviation.
    """
    description = read_source_description(folder)
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
    """An idx file of unsigned bytes (LeCun's format of MNIST): magic number, sizes, values.

    Raises:
        ValueError: another magic number, or another number of bytes than the sizes say.
    """
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
        if not np.allclose(value, published[key], rtol=0, atol=6e-5 if key in ("mean", "std") else 0):
            raise UserError(
                f"raw data {name}: {key} is {value}, published: {published[key]} (downloads.{name}.expected)"
            )


def mean_and_std(arrays: Iterable[Bytes]) -> tuple[list[float], list[float]]:
    """Exact mean and standard deviation per channel, pixels scaled to 0..1, of uint8 arrays (N, C, H, W).

    The standard deviation of a constant channel is given as 1 (others are at most 0.5), so that it can be divided by.
    """
    counts: npt.NDArray[np.int64] | None = None
    for array in arrays:
        histogram = np.stack([np.bincount(array[:, c].ravel(), minlength=256) for c in range(array.shape[1])])
        counts = histogram if counts is None else counts + histogram
    assert counts is not None
    values = np.arange(256) / 255
    total = counts.sum(1)
    mean = (counts * values).sum(1) / total
    variance = np.clip((counts * values**2).sum(1) / total - mean**2, 0, None)  # rounding can make it negative
    return [round(float(m), 6) for m in mean], [round(float(s), 6) or 1.0 for s in np.sqrt(variance)]
