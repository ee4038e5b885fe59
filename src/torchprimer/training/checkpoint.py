"""The whole state of a training after an epoch, so that an interrupted one goes on as if nothing had happened."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchprimer.files import replacing
from torchprimer.training.optimizers import Scheduler


def save_checkpoint(
    file: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
    device: torch.device,
    progress: dict[str, Any],
) -> None:
    """Writes model, optimiser, scheduler, random state and `progress` (history, best so far); whole or not at all."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "random": torch.get_rng_state(),
        "device_random": _device_random(device).get_rng_state(device) if device.type != "cpu" else None,
        "progress": progress,
    }
    with replacing(file) as partial:
        torch.save(state, partial)


def load_checkpoint(
    file: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
    device: torch.device,
) -> dict[str, Any]:
    """Puts everything back as it was and returns `progress`."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler:
        scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["random"])
    if device.type != "cpu":
        _device_random(device).set_rng_state(state["device_random"], device)
    progress: dict[str, Any] = state["progress"]
    return progress


def _device_random(device: torch.device) -> Any:
    """torch.cuda, torch.mps ...: the module that holds a device's random state."""
    return torch.get_device_module(device)
