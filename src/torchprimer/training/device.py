"""Which device, and in which precision: decided once, before anything is trained."""

import os
import random

import numpy as np
import torch

from torchprimer.errors import UserError

# weights from which on bfloat16 is faster: of convolutions (LeNet-5 has fewer), of linear layers (so have MNIST's MLPs)
LARGE = {(torch.nn.Conv2d, torch.nn.ConvTranspose2d): 50_000, (torch.nn.Linear,): 1_000_000}


def select_device(name: str) -> torch.device:
    """`auto`: this machine's accelerator (`torch.accelerator`) if it has one, else the CPU; otherwise the one named.

    Raises:
        UserError: there is no such device here.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    kind, _, index = name.partition(":")
    available = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    count = torch.accelerator.device_count() if accelerator and kind == accelerator.type else 1
    if kind not in available or int(index or 0) >= count:
        found = "cpu only" if accelerator is None else f"cpu, {count} x {accelerator.type}"
        raise UserError(
            f"device: {name} was asked for, and this machine has {found}; set device: auto, or -S device=cpu"
        )
    return torch.device(name)


def select_precision(name: str, device: torch.device, model: torch.nn.Module) -> torch.dtype:
    """`auto`: bfloat16 where the hardware multiplies bfloat16 (a GPU that says so, a CPU with AMX or AVX512_BF16).

    Small models keep float32: what they would gain is less than what converting back and forth costs. So do, on a CPU,
    those with depthwise convolutions: EfficientNet-Lite0 took 1.8 times as long in bfloat16.
    """
    if name == "auto":
        if not any(_weights(model, kinds) >= enough for kinds, enough in LARGE.items()):
            return torch.float32
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
            fast = device.type == "cpu" and has and not _has_depthwise(model)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bf16": torch.bfloat16}[name]


def seed_everything(seed: int) -> None:
    """Makes all that follows repeatable: same seed, same machine, same weights to the bit."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may differ from run to run
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costly, never read
    torch.backends.cudnn.benchmark = False


def _weights(model: torch.nn.Module, kinds: tuple[type[torch.nn.Module], ...]) -> int:
    """Weights in all layers of these kinds."""
    return sum(layer.get_parameter("weight").numel() for layer in model.modules() if isinstance(layer, kinds))


def _has_depthwise(model: torch.nn.Module) -> bool:
    """Whether a convolution looks at each channel by itself."""
    return any(
        isinstance(layer, torch.nn.Conv2d) and layer.groups == layer.in_channels > 1 for layer in model.modules()
    )
