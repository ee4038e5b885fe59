"""Labelled images: raw files -> split -> uint8 arrays N x C x H x W, decoded and scaled once, on all cores."""

import base64
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from torchprimer.datasets.base import DataKind, DatasetT, MetaT, Transform
from torchprimer.datasets.csv_io import read_source_description
from torchprimer.datasets.image_arrays import Bytes, ImageArrays, mean_and_std, open_arrays
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.meta import ImagesMeta
from torchprimer.datasets.splits import check_ids, conflicting_labels, deduplicate, stratified_split
from torchprimer.datasets.storage import create_array, save_array
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Images
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.images import decode

Result = TypeVar("Result")


class RawImages(Protocol):
    """What every format provides: sorted ids, a label for each, and the images one by one."""

    ids: list[str]
    labels: list[str]
    classes: list[str]
    is_test: npt.NDArray[np.bool_]
    skipped: dict[str, str]

    @property
    def channels(self) -> int: ...
    def content(self, index: int) -> bytes: ...
    def pixels(self, index: int, size: int) -> Bytes: ...


def open_raw(folder: Path) -> RawImages:
    """Opens data/raw/X: by its source.json, or as photos (a zip or image files) if it has none.

    Raises:
        UserError: not there, unreadable, or not the numbers of images, mean and deviation that were published.
    """
    if not folder.is_dir():
        raise UserError(f"no raw data in {folder}: define it under downloads:, or bring photos: torchprimer add-photos")
    if read_source_description(folder):
        return open_arrays(folder)
    zips = sorted(folder.glob("*.zip"))
    return ImageFolder(zips[0] if zips else folder)


def selected_classes(dataset: Images, available: Sequence[str]) -> list[str]:
    """The classes of a dataset, in the order of its raw source."""
    selected = dataset.classes.get(dataset.raw)
    if selected is None:
        return list(available)
    for name in selected:
        if name not in available:
            known = ", ".join(available)
            raise UserError(
                f"raw data {dataset.raw} has no class {name!r}; it has: {known}.{did_you_mean(name, available)}"
            )
    return [name for name in available if name in selected]


def split_rows(
    raw: Path, dataset: Images, *, name: str, seed: int, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See `DataKind.split_rows`. Images that cannot be read, duplicates and those of two classes are rejected.

    Raises:
        UserError: too few samples or classes, or too many that cannot be read.
    """
    images = open_raw(raw)
    classes = set(selected_classes(dataset, images.classes))
    members = [i for i, label in enumerate(images.labels) if label in classes]

    def examine(i: int) -> tuple[str, str]:
        """SHA-256 of the content, and why it cannot be decoded."""
        try:
            content = images.content(i)
            if isinstance(images, ImageFolder):
                decode(content, 1)
        except InvalidInput as error:
            return "", str(error)
        return hashlib.sha256(content).hexdigest(), ""

    if isinstance(images, ImageFolder):
        examined = parallel_map(examine, members, f"{name}: reading")
    else:
        examined = [examine(i) for i in members]  # nothing to decode: threads would only cost time
    bad = {images.ids[i]: reason for i, (_, reason) in zip(members, examined, strict=True) if reason}
    if len(bad) > dataset.max_corrupt_fraction * len(members):
        listed = "; ".join(f"{file}: {reason}" for file, reason in list(bad.items())[:3])
        raise UserError(
            f"dataset {name}: {len(bad)} of {len(members)} images cannot be read, more than max_corrupt_fraction: "
            f"{dataset.max_corrupt_fraction:g} ({listed}{'; ...' if len(bad) > 3 else ''})"
        )
    good = np.array([i for i, (_, reason) in zip(members, examined, strict=True) if not reason], np.int64)
    hashes = np.array([sha for sha, reason in examined if not reason])
    rejected = images.skipped | bad
    rejected |= conflicting_labels([images.ids[i] for i in good], [images.labels[i] for i in good], hashes.tolist())
    conflicting = np.array([images.ids[i] in rejected for i in good], np.bool_)
    good, hashes = good[~conflicting], hashes[~conflicting]
    unique, duplicates = deduplicate(hashes.tolist(), images.is_test[good])
    rejected |= {images.ids[good[i]]: f"duplicate of {images.ids[good[j]]}" for i, j in duplicates.items()}
    samples = good[unique]
    labels = np.array(images.labels)[samples]
    if missing := sorted(classes - set(labels)):
        raise UserError(
            f"dataset {name}: no image of class {missing[0]!r} can be read, or each is a duplicate of another's"
        )
    parts = stratified_split(
        labels,
        images.is_test[samples],
        validation=dataset.validation,
        test=dataset.test,
        max_holdout_fraction=dataset.max_holdout_fraction,
        limit=limit,
        seed=seed,
        name=name,
    )
    rows = pd.DataFrame({"id": np.array(images.ids)[samples], "label": labels, "split": parts})
    rows = rows[rows["split"] != ""].sort_values("id", ignore_index=True)
    return rows, pd.DataFrame(sorted(rejected.items()), columns=["id", "reason"])


def prepare(raw: Path, dataset: Images, rows: pd.DataFrame, folder: Path) -> ImagesMeta:
    """See `DataKind.prepare`: inputs uint8, N x C x H x W; targets int64, N."""
    images = open_raw(raw)
    classes = selected_classes(dataset, images.classes)
    number = {label: i for i, label in enumerate(classes)}
    position = {name: i for i, name in enumerate(images.ids)}
    check_ids(rows["id"], position, dataset.raw)
    shape = (images.channels, dataset.image_size, dataset.image_size)
    for part, members in rows.groupby("split"):
        indices = [position[name] for name in members["id"]]
        with create_array(folder / f"{part}_inputs.npy", np.uint8, (len(members), *shape)) as inputs:

            def fill(row: int, inputs: Bytes = inputs, indices: list[int] = indices) -> None:
                try:
                    inputs[row] = images.pixels(indices[row], dataset.image_size)
                except InvalidInput as error:
                    name = images.ids[indices[row]]
                    raise UserError(f"{name}: {error}; it was readable for the split: run `dvc repro split`") from None

            if isinstance(images, ImageArrays) and images.images.shape[1:] == shape:
                inputs[:] = images.images[indices]
            else:
                parallel_map(fill, range(len(members)), f"{part}: decoding")
        save_array(folder / f"{part}_targets.npy", members["label"].map(number).to_numpy(np.int64))
    train = np.load(folder / "train_inputs.npy", mmap_mode="r")
    mean, std = mean_and_std(train[start : start + 4096] for start in range(0, len(train), 4096))
    if min(std) == 1:  # all channels are constant
        raise UserError("every training image has the same colour in every pixel: there is nothing to learn from")
    return ImagesMeta(shape=list(shape), classes=classes, mean=mean, std=std)


def parallel_map(work: Callable[[int], Result], items: Sequence[int], title: str) -> list[Result]:
    """`work` of each item, in order, on all cores. Threads are enough: Pillow releases the GIL while it decodes."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF blocks; what cannot be read is reported anyway
        return list(tqdm(pool.map(work, items), total=len(items), desc=title, delay=1, disable=None, leave=False))


class ImageInput(DataKind[DatasetT, MetaT]):
    """A kind whose exports take images."""

    predictor_kind = "images"
    input_name = "images"

    def columns(self, transform: Transform) -> list[dict[str, str]]:
        """One column: the image file in base64."""
        return [{"name": "image", "type": "string"}]

    def example(self, transform: Transform, prepared: npt.NDArray[Any]) -> dict[str, Any]:
        """The image, (C, H, W), as PNG in base64."""
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(prepared.transpose(1, 2, 0).squeeze()).save(stream, "PNG")
        return {"image": base64.b64encode(stream.getvalue()).decode("ascii")}

    def requirements(self, transform: Transform) -> list[str]:
        return ["pillow"]


class ImagesKind(ImageInput[Images, ImagesMeta]):
    name = "images"
    meta_class = ImagesMeta
    split_rows = staticmethod(split_rows)
    prepare = staticmethod(prepare)

    def transform(self, meta: ImagesMeta) -> Transform:
        return meta.model_dump(include={"shape", "mean", "std"})


KIND = ImagesKind()
