"""Everything before the first epoch: seed, device, precision, model, initial weights, and the record of them."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer import models
from torchprimer.datasets.storage import load_meta
from torchprimer.loops import get_loop
from torchprimer.training.device import local_device, make_reproducible, select_device, select_precision
from torchprimer.training.fingerprint import fingerprint, hash_path
from torchprimer.training.initialization import initialize
from torchprimer.training.launch import world_size
from torchprimer.training.memory import check_memory
from torchprimer.training.transfer import TransferReport, freeze, load_initial_weights

if TYPE_CHECKING:
    from torchprimer.params import Params


@dataclass(frozen=True)
class Setup:
    """A model before its first epoch, on the CPU, with its initial weights, and what it is made from."""

    model: nn.Sequential
    device: torch.device
    precision: torch.dtype
    record: models.Record
    transfer: TransferReport


def set_up(params: "Params", name: str, prepared: Path, init_from: Path, project: Path) -> Setup:
    """Builds the model of experiment `name`, seeded, from PyTorch's random state on.

    Args:
        init_from: file or folder of weights of another model; not read for `init_from: scratch`.
        project: folder of dvc.yaml, which names the code that decides the weights.

    Raises:
        UserError: the model does not fit its data, its initial weights, the device or the memory.
    """
    experiment, meta = params.resolve(name), load_meta(prepared)
    uses_numpy = get_loop(experiment.loop).USES_NUMPY
    device = torch.device("cpu") if uses_numpy else local_device(select_device(params.device))
    check_memory(experiment, meta, device)
    make_reproducible(params.seed, params.threads)
    model = models.build(experiment, meta)
    precision = torch.float64 if uses_numpy else select_precision(params.precision, device, model)
    run = models.RunSettings(
        seed=params.seed, limit=params.limit, device=str(device), precision=str(precision).removeprefix("torch."),
        processes=world_size(), threads=params.threads,
    )  # fmt: skip
    record = models.Record(
        experiment=name, params=experiment, run=run, data=meta, data_digest=hash_path(prepared / "meta.json"),
        init_from_digest=hash_path(init_from), versions={p: metadata.version(p) for p in ("torch", "numpy")},
    )  # fmt: skip
    record = record.model_copy(update={"fingerprint": fingerprint(record, project)})
    initialize(model, getattr(experiment, "initialization", "default"))
    transfer = load_initial_weights(model, experiment.init_from, init_from)
    freeze(model, getattr(experiment, "freeze", []))
    return Setup(model, device, precision, record, transfer)
