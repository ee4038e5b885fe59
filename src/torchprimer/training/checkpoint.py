"""The whole state of a training after an epoch, so that an interrupted one goes on as if nothing had happened."""

from pathlib import Path
from typing import Any

import torch

from torchprimer.files import replacing


def save_checkpoint(file: Path, parts: dict[str, Any], device: torch.device, progress: dict[str, Any]) -> None:
    """Writes the state of each part, the random state, and `progress` (history, best so far); whole or not at all.

    Args:
        parts: models, optimisers, schedulers: whatever has `state_dict` and `load_state_dict`, by name.
    """
    state = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "random": torch.get_rng_state(),
        "device_random": _device_random(device).get_rng_state(device) if device.type != "cpu" else None,
        "progress": progress,
    }
    with replacing(file) as partial:
        torch.save(state, partial)


def load_checkpoint(file: Path, parts: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Puts everything back as it was and returns `progress`."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    torch.set_rng_state(state["random"])
    if device.type != "cpu":
        _device_random(device).set_rng_state(state["device_random"], device)
    progress: dict[str, Any] = state["progress"]
    return progress


def _device_random(device: torch.device) -> Any:
    """torch.cuda, torch.mps ...: the module that holds a device's random state."""
    return torch.get_device_module(device)
