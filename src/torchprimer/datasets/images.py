"""Labelled images: raw files -> split -> uint8 arrays N x C x H x W, decoded and scaled once, by all cores."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from torchprimer.datasets.csv_io import published
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.meta import ImagesMeta
from torchprimer.datasets.splits import conflicting_labels, deduplicate, split
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Images
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.preprocessing import decode, image_pixels

Bytes = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class RawImages(Protocol):
    """What a format has to offer: sorted ids, a label for each, and the images one by one."""

    ids: list[str]
    labels: list[str]
    classes: list[str]
    is_test: npt.NDArray[np.bool_]
    unusable: dict[str, str]

    @property
    def channels(self) -> int: ...
    def content(self, index: int) -> bytes: ...
    def pixels(self, index: int, size: int) -> Bytes: ...


class ImageArrays:
    """Images that come as arrays already: MNIST's idx files, CIFAR-10's binary batches."""

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
        self.unusable: dict[str, str] = {}

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    def content(self, index: int) -> bytes:
        content: bytes = self.images[index].tobytes()
        return content

    def pixels(self, index: int, size: int) -> Bytes:
        image: Bytes = self.images[index]
        return image_pixels(image.transpose(1, 2, 0), (self.channels, size, size))


def open_raw(folder: Path) -> RawImages:
    """Opens data/raw/X: by its source.json, or as photos (a zip or image files) if it has none.

    Raises:
        UserError: not there, unreadable, or not the numbers of images, mean and deviation that were published.
    """
    if not folder.is_dir():
        raise UserError(f"no raw data in {folder}: define it under downloads:, or bring photos: torchprimer add-photos")
    description = published(folder)
    if not description:
        zips = sorted(folder.glob("*.zip"))
        return ImageFolder(zips[0] if zips else folder)
    read = {"idx": _read_idx, "cifar10": _read_cifar10}[description["format"]]
    try:
        raw = ImageArrays(read(folder), description["classes"])
    except (ValueError, IndexError) as error:
        raise UserError(
            f"raw data {folder.name} is damaged ({error}): delete {folder} and run dvc repro download@{folder.name}"
        ) from None
    _compare_with_published(raw, description["expected"], folder.name)
    return raw


def _read_idx(folder: Path) -> dict[str, tuple[Bytes, Bytes]]:
    """MNIST's files: a big-endian header (magic number, then the sizes), then the bytes."""
    return {
        name: (
            np.fromfile(folder / f"{file}-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28),
            np.fromfile(folder / f"{file}-labels-idx1-ubyte", np.uint8)[8:],
        )
        for name, file in (("train", "train"), ("test", "t10k"))
    }


def _read_cifar10(folder: Path) -> dict[str, tuple[Bytes, Bytes]]:
    arrays = {}
    for file in sorted(folder.glob("*.bin")):
        records = np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
        arrays[file.stem] = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
    return arrays


def _compare_with_published(raw: ImageArrays, expected: dict[str, Any], name: str) -> None:
    published = {"train": expected["train"], "test": expected["test"], **expected["pixels"]}
    found: dict[str, int | list[float]] = {"train": int((~raw.is_test).sum()), "test": int(raw.is_test.sum())}
    if found["train"]:
        found["mean"], found["std"] = mean_and_std([raw.images[~raw.is_test]])
    for key, value in found.items():
        if not np.allclose(value, published[key], rtol=0, atol=6e-5 if key in ("mean", "std") else 0):
            raise UserError(
                f"raw data {name}: {key} is {value}, published: {published[key]} (downloads.{name}.expected)"
            )


def mean_and_std(arrays: Iterable[Bytes]) -> tuple[list[float], list[float]]:
    """Exact mean and standard deviation per channel, pixels scaled to 0..1, of uint8 arrays (N, C, H, W)."""
    counts: npt.NDArray[np.int64] | None = None
    for array in arrays:
        histogram = np.stack([np.bincount(array[:, c].ravel(), minlength=256) for c in range(array.shape[1])])
        counts = histogram if counts is None else counts + histogram
    assert counts is not None
    values = np.arange(256) / 255
    total = counts.sum(1)
    mean = (counts * values).sum(1) / total
    std = np.sqrt((counts * values**2).sum(1) / total - mean**2)
    return [round(float(m), 6) for m in mean], [round(float(s), 6) for s in std]


def kept_classes(dataset: Images, available: Sequence[str]) -> list[str]:
    """The classes of a dataset, in the order of its raw source."""
    wanted = dataset.classes.get(dataset.raw)
    if wanted is None:
        return list(available)
    for name in wanted:
        if name not in available:
            known = ", ".join(available)
            raise UserError(
                f"raw data {dataset.raw} has no class {name!r}; it has: {known}.{did_you_mean(name, available)}"
            )
    return [name for name in available if name in wanted]


def split_rows(
    folder: Path, dataset: Images, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decides who is in which split of the images in `folder`, data/raw/X.

    Returns:
        One row per sample (id, label, split), sorted by id; and one per file that was left out (id, reason).

    Raises:
        UserError: too few samples or classes, or too many that cannot be read.
    """
    raw = open_raw(folder)
    classes = set(kept_classes(dataset, raw.classes))
    members = [i for i, label in enumerate(raw.labels) if label in classes]

    def examine(i: int) -> tuple[str, str]:
        """SHA-256 of the content, and what is wrong with it."""
        try:
            content = raw.content(i)
            if isinstance(raw, ImageFolder):
                decode(content, 1)
        except InvalidInput as error:
            return "", str(error)
        return hashlib.sha256(content).hexdigest(), ""

    if isinstance(raw, ImageFolder):
        examined = parallel_map(examine, members, f"{name}: reading")
    else:
        examined = [examine(i) for i in members]  # nothing to decode: threads would cost more than they bring
    bad = {raw.ids[i]: reason for i, (_, reason) in zip(members, examined, strict=True) if reason}
    if len(bad) > dataset.max_corrupt_fraction * len(members):
        listed = "; ".join(f"{file}: {reason}" for file, reason in list(bad.items())[:3])
        raise UserError(
            f"dataset {name}: {len(bad)} of {len(members)} images cannot be read, more than max_corrupt_fraction: "
            f"{dataset.max_corrupt_fraction:g} ({listed}{'; ...' if len(bad) > 3 else ''})"
        )
    good = np.array([i for i, (_, reason) in zip(members, examined, strict=True) if not reason], np.int64)
    hashes = np.array([sha for sha, reason in examined if not reason])
    rejected = raw.unusable | bad
    rejected |= conflicting_labels([raw.ids[i] for i in good], [raw.labels[i] for i in good], hashes.tolist())
    unclear = np.array([raw.ids[i] in rejected for i in good], np.bool_)
    good, hashes = good[~unclear], hashes[~unclear]
    kept, dropped = deduplicate(hashes.tolist(), raw.is_test[good])
    rejected |= {raw.ids[good[i]]: f"duplicate of {raw.ids[good[j]]}" for i, j in dropped.items()}
    labels = np.array(raw.labels)[good[kept]]
    if lost := sorted(classes - set(labels)):
        raise UserError(
            f"dataset {name}: no image of class {lost[0]!r} can be read, or each is a duplicate of another's"
        )
    parts = split(
        labels,
        raw.is_test[good[kept]],
        validation=dataset.validation,
        test=dataset.test,
        max_holdout_fraction=dataset.max_holdout_fraction,
        limit=limit,
        seed=seed,
        name=name,
    )
    rows = pd.DataFrame({"id": np.array(raw.ids)[good[kept]], "label": labels, "split": parts})
    rows = rows[rows["split"] != ""].sort_values("id", ignore_index=True)
    return rows, pd.DataFrame(sorted(rejected.items()), columns=["id", "reason"])


def prepare(source: Path, dataset: Images, rows: pd.DataFrame, folder: Path) -> ImagesMeta:
    """Writes {train,validation,test}_inputs.npy (uint8, N x C x H x W) and _targets.npy (int64, N) into `folder`.

    Returns:
        What training has to know: kind, shape (C, H, W), classes, mean and std per channel of the training split.
    """
    raw = open_raw(source)
    classes = kept_classes(dataset, raw.classes)
    number = {label: i for i, label in enumerate(classes)}
    position = {name: i for i, name in enumerate(raw.ids)}
    if gone := sorted(set(rows["id"]) - set(position)):
        raise UserError(
            f"raw data {dataset.raw} no longer has {gone[0]!r}, which the split names: run `dvc repro split`"
        )
    shape = (raw.channels, dataset.image_size, dataset.image_size)
    for part, members in rows.groupby("split"):
        inputs = np.lib.format.open_memmap(
            folder / f"{part}_inputs.npy", mode="w+", dtype=np.uint8, shape=(len(members), *shape)
        )
        where = [position[name] for name in members["id"]]

        def fill(row: int, inputs: Bytes = inputs, where: list[int] = where) -> None:
            try:
                inputs[row] = raw.pixels(where[row], dataset.image_size)
            except InvalidInput as error:
                name = raw.ids[where[row]]
                raise UserError(f"{name}: {error}; it was readable for the split: run `dvc repro split`") from None

        if isinstance(raw, ImageArrays) and raw.images.shape[1:] == shape:
            inputs[:] = raw.images[where]
        else:
            parallel_map(fill, range(len(members)), f"{part}: decoding")
        inputs.flush()
        np.save(folder / f"{part}_targets.npy", members["label"].map(number).to_numpy(np.int64))
    train = np.load(folder / "train_inputs.npy", mmap_mode="r")
    mean, std = mean_and_std(train[start : start + 4096] for start in range(0, len(train), 4096))
    if min(std) == 0:
        raise UserError("every training image has the same colour in every pixel: there is nothing to learn from")
    return ImagesMeta(shape=list(shape), classes=classes, mean=mean, std=std)


def parallel_map(work: Callable[[int], Result], items: Sequence[int], title: str) -> list[Result]:
    """`work` of each item, in order. Threads are enough: Pillow lets go of the interpreter while it decodes."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of every odd EXIF block; what cannot be read is reported anyway
        return list(tqdm(pool.map(work, items), total=len(items), desc=title, delay=1, disable=None, leave=False))
