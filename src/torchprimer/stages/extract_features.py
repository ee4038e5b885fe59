"""Runs all images of a dataset once through the frozen part of a trained model: data/prepared/F/, float32 N x F.

What then trains on them trains a classifier alone, without paying for the convolutions again in every epoch. Beside the
features lies what made them, as ONNX: `export` puts it in front of that classifier, so that it takes images.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.meta import FeaturesMeta
from torchprimer.datasets.storage import SAMPLES_FILE, load_meta, load_split, write_meta
from torchprimer.errors import UserError
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.params import Params
from torchprimer.training.device import select_device

BATCH = 256  # images at a time
KEPT = 100  # images of the test split, to prove an exported model on


def run(params: Params, name: str) -> None:
    features = params.features[name]
    source = paths.prepared(features.dataset)
    model, record = models.load(paths.model(features.experiment))
    data, trained_on = load_meta(source), record.data
    device = select_device(params.device)
    extractor = Extractor(model).eval()
    examples = load_split(source, "test").inputs[:KEPT]
    try:
        with torch.inference_mode():
            width = extractor(examples[:1]).shape[1]
    except (RuntimeError, AssertionError):  # other channels, too small for its layers, a transformer's patches
        raise UserError(
            f"features.{name}: {features.experiment} was trained on images of {trained_on.shape} (channels, height, "
            f"width) and cannot take those of {features.dataset}, {data.shape}: prepare both alike"
        ) from None
    with torch.inference_mode(), atomic_write(paths.prepared(name)) as folder:
        folder.mkdir()
        keep(extractor, examples, folder / "extractor")
        extractor.to(device)
        for part in ("train", "validation", "test"):
            inputs = load_split(source, part).inputs
            rows = np.lib.format.open_memmap(
                folder / f"{part}_inputs.npy", mode="w+", dtype=np.float32, shape=(len(inputs), width)
            )
            for start in tqdm(range(0, len(inputs), BATCH), desc=f"{name}: {part}", disable=None, leave=False):
                batch = inputs[start : start + BATCH].to(device)
                rows[start : start + BATCH] = extractor(batch).cpu().numpy()
            rows.flush()
            shutil.copyfile(source / f"{part}_targets.npy", folder / f"{part}_targets.npy")
        shutil.copyfile(source / SAMPLES_FILE, folder / SAMPLES_FILE)
        write_meta(
            folder,
            FeaturesMeta(
                **data.model_dump(include={"task", "classes", "held_out", "raw", "source"}),
                shape=[width],
                dataset=features.dataset,
                experiment=features.experiment,
                image_shape=data.shape,
            ),
        )
    print(f"{name}: {width:,} features of each image of {features.dataset}, as {features.experiment} sees them")


class Extractor(nn.Module):
    """Images as prepared (uint8, N x C x H x W) -> what the model's last layers get to see, float32, N x F."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.model.net.extract(self.model.normalize(images))  # type: ignore[operator,union-attr]
        return rows.float()


def keep(extractor: Extractor, images: torch.Tensor, folder: Path) -> None:
    """Writes model.onnx, images in, features out, and `images`, which it was proven on, images.npy."""
    folder.mkdir()
    export_onnx(extractor, images[:2], folder / "model.onnx", ("images", "features"))
    check_parity(extractor, folder / "model.onnx", images, classes=False)
    np.save(folder / "images.npy", images.numpy())
