"""Model families, a file each: models are built from an experiment, saved to a folder, loaded from that folder alone.

A model takes inputs as prepared and returns logits (regression: standardised values). Images arrive as uint8:
`normalize`, the first layer, holds mean and standard deviation of the training split, so that they are part of the
weights and of every export.
"""

from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from torchprimer.datasets.meta import AnyMeta, ImagesMeta, Meta
from torchprimer.errors import UserError
from torchprimer.params.experiments import AnyExperiment, Experiment
from torchprimer.tasks import get_task

WEIGHTS, RECORD = "model.safetensors", "experiment.json"


class Normalize(nn.Module):
    """uint8 images (N, C, H, W) -> float32, (pixel / 255 - mean) / std per channel."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.to(torch.float32, copy=True)
        return pixels.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)  # in place: a third of the time


class RunSettings(BaseModel):
    """What decided the weights besides the experiment: run control, device, precision, processes and threads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    limit: int | None
    device: str
    precision: str
    processes: int
    threads: int  # of PyTorch in each process: sums over other parts round differently


class Record(BaseModel):
    """experiment.json beside the weights: everything that the model was trained with. Digests are SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    params: AnyExperiment  # its entry of params.yaml with the run control applied
    run: RunSettings
    data: AnyMeta  # meta.json of its dataset
    data_digest: str  # of meta.json
    init_from_digest: str  # of the initial weights
    versions: dict[str, str]
    fingerprint: str = ""  # of everything that decides the weights


def get_family(name: str) -> ModuleType:
    """The module of a model family, named as `model` in params.yaml.

    It has `build`: (experiment, meta, number of outputs) -> the net, with new weights from PyTorch's random state.
    Optional are:
        NORMALIZED_INPUT: False if the net takes no normalised images but, as a GAN, noise.
        NORMALIZATION: mean and std that published weights expect; without it, those of the training split.
        epoch_probe: (model, meta, train_split) -> further values for the history after each epoch.
    """
    return import_module(f"{__name__}.{name}")


def build(experiment: Experiment, meta: Meta) -> nn.Sequential:
    """The model of an experiment, with new weights; raises UserError if the architecture does not fit the data."""
    family = get_family(experiment.model)
    net: nn.Module = family.build(experiment, meta, get_task(experiment.task).output_size(experiment, meta))
    if not isinstance(meta, ImagesMeta) or not getattr(family, "NORMALIZED_INPUT", True):
        return nn.Sequential(OrderedDict(net=net))
    mean, std = getattr(family, "NORMALIZATION", (meta.mean, meta.std))
    return nn.Sequential(OrderedDict(normalize=Normalize(mean, std), net=net))


def save(weights: dict[str, torch.Tensor], record: Record, folder: Path) -> None:
    """Writes weights and record into an existing folder."""
    from safetensors.torch import save_file

    save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", "utf-8")


def load(folder: Path) -> tuple[nn.Sequential, Record]:
    """A trained model, in eval mode on the CPU, and its record; UserError if the weights are damaged or missing."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record = load_record(folder)
    model = build(record.params, record.data)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: tensors of another model
        raise _damaged(folder, WEIGHTS, error) from None
    return model.eval(), record


def load_record(folder: Path) -> Record:
    """The record of the model in a folder; UserError if it is damaged, FileNotFoundError before the training."""
    try:
        return Record.model_validate_json((folder / RECORD).read_text("utf-8"))
    except ValueError as error:
        raise _damaged(folder, RECORD, error) from None


def load_arrays(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays that a training saved beside the weights, by name; UserError if one is damaged."""
    arrays = {}
    for file in folder.glob("*.npy"):
        try:
            arrays[file.stem] = np.array(np.lib.format.open_memmap(file, mode="r"))
        except ValueError as error:  # truncated, not an array, or one of Python objects, which are never unpickled
            raise _damaged(folder, file.name, error) from None
    return arrays


def _damaged(folder: Path, name: str, error: Exception) -> UserError:
    reason = (str(error) or type(error).__name__).splitlines()[0].strip(" :")
    remedy = f"`dvc repro train@{folder.name}` restores it from DVC's cache, or trains the model again"
    return UserError(f"models/{folder.name}/{name} cannot be read ({reason}): {remedy}")
