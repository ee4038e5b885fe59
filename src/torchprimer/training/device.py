"""Device, precision and random seed of a training run."""

import os
import random

import numpy as np
import torch

from torchprimer.errors import UserError
from torchprimer.training.launch import world_size

# minimum number of weights in layers of these types for bf16 to pay off (LeNet-5 and the MLPs for MNIST have fewer)
BF16_MIN_WEIGHTS = {(torch.nn.Conv2d, torch.nn.ConvTranspose2d): 50_000, (torch.nn.Linear,): 1_000_000}


def select_device(name: str) -> torch.device:
    """The device called `name`, UserError if it is missing; `auto`: the accelerator if there is one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    kind, _, index = name.partition(":")
    count = torch.accelerator.device_count() if accelerator and kind == accelerator.type else 1
    if kind not in ("cpu", accelerator and accelerator.type) or int(index or 0) >= count:
        devices = f"cpu, {count} x {accelerator.type}" if accelerator else "cpu only"
        raise UserError(
            f"device: {name} is not available, this machine has {devices}; set device: auto, or -S device=cpu"
        )
    return torch.device(name)


def local_device(device: torch.device) -> torch.device:
    """The device of this process: with torchrun an accelerator for each, and UserError if there are too few."""
    if world_size() == 1 or device.type == "cpu":
        return device
    count, processes = torch.accelerator.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if processes > count:
        raise UserError(
            f"processes: {processes} processes need a {device.type} device each, this machine has {count}; "
            f"set processes: {count}"
        )
    return torch.device(device.type, int(os.environ["LOCAL_RANK"]))


def select_precision(name: str, device: torch.device, model: torch.nn.Module) -> torch.dtype:
    """The dtype called `name`; `auto`: bfloat16 if supported natively (by the GPU, by AMX or AVX512_BF16 of the CPU).

    Small models stay in float32: conversions would cost more than bfloat16 saves. So do models with depthwise
    convolutions on a CPU: EfficientNet-Lite0 took 1.8 times as long in bfloat16.
    """
    if name == "auto":
        if not any(_count_weights(model, kinds) >= minimum for kinds, minimum in BF16_MIN_WEIGHTS.items()):
            return torch.float32
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has_bf16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
            convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
            depthwise = any(layer.groups == layer.in_channels > 1 for layer in convolutions)
            fast = device.type == "cpu" and has_bf16 and not depthwise
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bf16": torch.bfloat16}[name]


def make_reproducible(seed: int, threads: int) -> None:
    """Seeds all random numbers, and makes later computations bit-reproducible on the same kind of CPU or GPU.

    Args:
        threads: of PyTorch on the CPU. Another number may give other roundings.
    """
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may differ from run to run
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # filling is slow
    torch.backends.cudnn.benchmark = False


def _count_weights(model: torch.nn.Module, kinds: tuple[type[torch.nn.Module], ...]) -> int:
    return sum(layer.get_parameter("weight").numel() for layer in model.modules() if isinstance(layer, kinds))
