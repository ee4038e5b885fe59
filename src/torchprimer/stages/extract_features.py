"""Runs all images of a dataset once through the frozen layers of a trained model: data/prepared/F/, float32 (N, F).

A classifier trained on these features does not compute the convolutions again in every epoch. The feature extractor is
saved beside them as ONNX: `export` prepends it to the classifier, so that the export takes images.
"""

import copy
import shutil

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.meta import FeaturesMeta
from torchprimer.datasets.storage import SAMPLES_FILE, create_array, load_meta, load_split, write_meta
from torchprimer.errors import UserError
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.params import Params
from torchprimer.training.device import select_device

BATCH = 256  # images at a time
NUM_PARITY_SAMPLES = 100  # images of the test split, saved for the parity check of exports


def run(params: Params, name: str) -> None:
    features = params.features[name]
    torch.set_num_threads(params.threads)
    source = paths.prepared(features.dataset)
    model, record = models.load(paths.model(features.experiment))
    data, device = load_meta(source), select_device(params.device)
    extractor = Extractor(model).eval()
    examples = load_split(source, "test").inputs[:NUM_PARITY_SAMPLES]
    try:  # on the meta device, which computes shapes alone: no other cause, such as a lack of memory, can raise here
        width = copy.deepcopy(extractor).to("meta")(examples[:1].to("meta")).shape[1]
    except (RuntimeError, AssertionError):  # other channels, too small for its layers, a transformer's patches
        raise UserError(
            f"features.{name}: {features.experiment} was trained on images of {record.data.shape} (channels, height, "
            f"width) and cannot take those of {features.dataset}, {data.shape}: use the same image_size and channels "
            "for both"
        ) from None
    with torch.inference_mode(), atomic_write(paths.prepared(name)) as folder:
        folder.mkdir()
        exported = folder / "extractor"
        exported.mkdir()
        export_onnx(extractor, examples[:2], exported / "model.onnx", ("images", "features"))
        check_parity(extractor, exported / "model.onnx", examples, classes=False)
        np.save(exported / "images.npy", examples.numpy())
        extractor.to(device)
        for split in ("train", "validation", "test"):
            inputs = load_split(source, split).inputs
            with create_array(folder / f"{split}_inputs.npy", np.float32, (len(inputs), width)) as rows:
                for start in tqdm(range(0, len(inputs), BATCH), desc=f"{name}: {split}", disable=None, leave=False):
                    batch = inputs[start : start + BATCH].to(device)
                    rows[start : start + BATCH] = extractor(batch).cpu().numpy()
            shutil.copyfile(source / f"{split}_targets.npy", folder / f"{split}_targets.npy")
        shutil.copyfile(source / SAMPLES_FILE, folder / SAMPLES_FILE)
        meta = FeaturesMeta(
            shape=[width], dataset=features.dataset, experiment=features.experiment, image_shape=data.shape,
            **data.model_dump(include={"task", "classes", "held_out", "raw", "source"}),
        )  # fmt: skip
        write_meta(folder, meta)
    print(f"{name}: {width:,} features of each image of {features.dataset}, from {features.experiment}")


class Extractor(nn.Module):
    """Images as prepared, uint8 (N, C, H, W) -> the inputs of the model's last layers, float32 (N, F)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.model.net.extract(self.model.normalize(images))  # type: ignore[operator,union-attr]
        return rows.float()
