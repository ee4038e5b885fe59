"""The whole state of a training after an epoch, so that an interrupted one goes on as if nothing had happened."""

import time
from pathlib import Path
from typing import Any

import torch

from torchprimer.atomic import atomic_write


class Checkpoint:
    """Where the state of a training is kept while it runs.

    A training of one process that goes on from it ends with the same weights, to the bit, as one that was never
    interrupted. Of several processes only the first one's random state is kept, so there it holds without dropout.
    """

    SHARE = 0.05  # of the time, at most, goes into writing: after an epoch of milliseconds it may be left out

    def __init__(self, file: Path | None, parts: dict[str, Any], device: torch.device) -> None:
        """`file`: None keeps nothing. `parts`: whatever has `state_dict` and `load_state_dict`, by name."""
        self.file, self.parts, self.device = file, parts, device
        self._due = 0.0

    def load(self) -> dict[str, Any]:
        """Puts everything back as it was; the `progress` of the last `save`, empty if there was none."""
        if self.file is None or not self.file.is_file():
            return {}
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        torch.set_rng_state(state["random"])
        if self.device.type != "cpu":
            _device_random(self.device).set_rng_state(state["device_random"], self.device)
        progress: dict[str, Any] = state["progress"]
        return progress

    def save(self, **progress: Any) -> None:
        """Writes all of it, with `progress` (history, best so far), whole or not at all."""
        started = time.perf_counter()
        if self.file is None or started < self._due:
            return
        state = {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": torch.get_rng_state(),
            "device_random": None,
            "progress": progress,
        }
        if self.device.type != "cpu":
            state["device_random"] = _device_random(self.device).get_rng_state(self.device)
        with atomic_write(self.file) as partial:
            torch.save(state, partial)
        ended = time.perf_counter()
        self._due = ended + (ended - started) * (1 / self.SHARE - 1)


def _device_random(device: torch.device) -> Any:
    """torch.cuda, torch.mps ...: the module that holds a device's random state."""
    return torch.get_device_module(device)
