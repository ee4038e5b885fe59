"""Refuses a training run that cannot fit into memory, before anything is allocated."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer import models
from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import Experiment

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
SMALL = 2048  # widths and batches up to this fit everywhere: no estimate, whose imports take a second


def check_memory(experiment: "Experiment", meta: "Meta", device: torch.device) -> None:
    """Raises UserError if a lower estimate of what a training run needs exceeds the memory of the machine."""
    samples = meta.samples.get("train", 1)
    batch = min(getattr(experiment, "batch_size", None) or samples, samples)
    values = experiment.model_dump(exclude={"epochs", "batch_size", "samples_per_epoch", "early_stopping", "scheduler"})
    flat = [size for value in values.values() for size in (value if isinstance(value, list) else [value])]
    if max([batch, *(size for size in flat if isinstance(size, int))]) <= SMALL:
        return
    limit, needed = memory_limit(device), _estimate(experiment, meta, batch)
    if needed > limit:
        raise UserError(
            f"model {experiment.model}: weights, gradients and activations of a batch need {_gigabytes(needed)}, and "
            f"{'this machine' if device.type == 'cpu' else device} has {_gigabytes(limit)}: choose smaller layers or a "
            "smaller batch_size"
        )


def memory_limit(device: torch.device) -> int:
    """Bytes of memory: of the GPU, or of the machine or the container (cgroup) that this process runs in."""
    import psutil

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limits = [Path(file).read_text().strip() for file in CGROUP_LIMITS if Path(file).is_file()]
    return min([int(psutil.virtual_memory().total), *(int(limit) for limit in limits if limit.isdigit())])


def _estimate(experiment: "Experiment", meta: "Meta", batch: int) -> float:
    """Bytes, 4 for each weight, its gradient, and each output of a layer for one batch; infinite if beyond 64 bits."""
    random_state = torch.get_rng_state()
    try:
        with torch.device("meta"):  # computes shapes alone
            model = models.build(experiment, meta)
        weights = sum(parameter.numel() for parameter in model.parameters())
        return 4 * (2 * weights + _count_activations(model, meta, batch))
    except (RuntimeError, OverflowError) as error:
        if "overflow" in str(error).lower() or isinstance(error, OverflowError):
            return math.inf
        raise
    finally:
        torch.set_rng_state(random_state)


def _count_activations(model: nn.Sequential, meta: "Meta", batch: int) -> int:
    """Elements of the outputs of all layers for one batch; 0 if shapes depend on values, as with texts."""
    total = 0

    def add(_layer: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        total += output.numel() if isinstance(output, torch.Tensor) else 0

    inputs = torch.empty(batch, *meta.shape, dtype=getattr(torch, meta.dtype), device="meta")
    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(add)
    try:
        getattr(model.get_submodule("net"), "training_pass", model)(inputs)
    except NotImplementedError:  # the values decide the shapes
        return 0
    return total


def _gigabytes(size: float) -> str:
    return "more than 8 EiB" if math.isinf(size) else f"{size / 2**30:,.1f} GiB"
