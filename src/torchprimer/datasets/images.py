"""Labelled images: raw files -> split -> uint8 arrays (N, C, H, W), decoded and scaled once, on all cores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.atomic import Json
from torchprimer.datasets.base import DataKind, DatasetT, MetaT
from torchprimer.datasets.csv_io import source_description
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.datasets.meta import ImagesMeta
from torchprimer.datasets.raw_images import RawImages, mean_and_std, open_arrays
from torchprimer.datasets.splits import check_ids, reject_duplicates, split_tables, stratified_split
from torchprimer.datasets.storage import create_array, save_array
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Images
from torchprimer.predictor.images import png_base64


def open_raw(folder: Path) -> RawImages:
    """Opens data/raw/X: by its source.json, or as photos (a zip or image files) if it has none."""
    if not folder.is_dir():
        raise UserError(f"no raw data in {folder}: define it under downloads:, or bring photos: torchprimer add-photos")
    if source_description(folder):
        return open_arrays(folder)
    zips = sorted(folder.glob("*.zip"))
    return ImageFolder(zips[0] if zips else folder)


def selected_classes(dataset: Images, available: Sequence[str]) -> list[str]:
    """The classes of a dataset, in the order of its raw source."""
    selected = dataset.classes.get(dataset.raw, available)
    for name in selected:
        if name not in available:
            known = f"{', '.join(available)}.{did_you_mean(name, available)}"
            raise UserError(f"raw data {dataset.raw} has no class {name!r}; it has: {known}")
    return [name for name in available if name in selected]


class ImageInput(DataKind[DatasetT, MetaT]):
    """A kind whose exports take images."""

    predictor_kind = "images"
    input_name = "images"

    def columns(self, transform: Json) -> list[dict[str, str]]:
        """One column: the image file in base64."""
        return [{"name": "image", "type": "string"}]

    def example(self, transform: Json, prepared: npt.NDArray[Any]) -> Json:
        """The image, (C, H, W), as PNG in base64."""
        return {"image": png_base64(prepared.transpose(1, 2, 0).squeeze())}

    def requirements(self, transform: Json) -> list[str]:
        return ["pillow"]


class ImagesKind(ImageInput[Images, ImagesMeta]):
    name = "images"
    meta_class = ImagesMeta

    def split_rows(
        self, raw: Path, dataset: Images, *, name: str, seed: int, limit: int | None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rejects images that cannot be decoded, duplicates, and images of two classes."""
        images = open_raw(raw)
        classes = set(selected_classes(dataset, images.classes))
        members = [i for i, label in enumerate(images.labels) if label in classes]
        examined = images.examine(members, f"{name}: reading")
        corrupt = {images.ids[i]: reason for i, (_, reason) in zip(members, examined, strict=True) if reason}
        if len(corrupt) > dataset.max_corrupt_fraction * len(members):
            listed = "; ".join([f"{file}: {reason}" for file, reason in corrupt.items()][:3])
            raise UserError(
                f"dataset {name}: {len(corrupt)} of {len(members)} images cannot be read, more than "
                f"max_corrupt_fraction: {dataset.max_corrupt_fraction:g} ({listed}{'; ...' * (len(corrupt) > 3)})"
            )
        readable = np.array([i for i in members if images.ids[i] not in corrupt], np.int64)
        hashes = [digest for digest, reason in examined if not reason]
        ids, labels = np.array(images.ids)[readable], np.array(images.labels)[readable]
        is_test = images.is_test[readable]
        unique, rejected = reject_duplicates(ids.tolist(), labels.tolist(), hashes, is_test)
        ids, labels, is_test = ids[unique], labels[unique], is_test[unique]
        if missing := sorted(classes - set(labels)):
            raise UserError(
                f"dataset {name}: no image of class {missing[0]!r} can be read, or each is a duplicate of another's"
            )
        sizes = dataset.model_dump(include={"validation", "test", "max_holdout_fraction"})
        splits = stratified_split(labels, is_test, **sizes, limit=limit, seed=seed, name=name)
        return split_tables(ids, labels, splits, images.skipped | corrupt | rejected)

    def prepare(self, raw: Path, dataset: Images, rows: pd.DataFrame, folder: Path) -> ImagesMeta:
        """Inputs uint8 (N, C, H, W); targets int64 (N,)."""
        images = open_raw(raw)
        classes = selected_classes(dataset, images.classes)
        position = {name: i for i, name in enumerate(images.ids)}
        check_ids(rows["id"], position, dataset.raw)
        shape = (images.channels, dataset.image_size, dataset.image_size)
        for split, members in rows.groupby("split"):
            with create_array(folder / f"{split}_inputs.npy", np.uint8, (len(members), *shape)) as inputs:
                images.read([position[name] for name in members["id"]], inputs, f"{split}: decoding")
            targets = [classes.index(label) for label in members["label"]]
            save_array(folder / f"{split}_targets.npy", np.array(targets, np.int64))
        train = np.load(folder / "train_inputs.npy", mmap_mode="r")
        mean, std = mean_and_std(train[start : start + 4096] for start in range(0, len(train), 4096))
        if min(std) == 1:  # all channels are constant
            raise UserError("every training image has the same colour in every pixel: there is nothing to learn from")
        return ImagesMeta(shape=list(shape), classes=classes, mean=mean, std=std)

    def transform(self, meta: ImagesMeta) -> Json:
        return meta.model_dump(include={"shape", "mean", "std"})


KIND = ImagesKind()
