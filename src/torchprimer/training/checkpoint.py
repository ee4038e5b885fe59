"""Checkpoints: the complete state of a training run after an epoch, from which an interrupted one resumes."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch

from torchprimer.atomic import atomic_write, remove

MAX_OVERHEAD = 0.05  # maximum fraction of the time for writing; after very short epochs nothing is written


class Checkpoint:
    """The checkpoint file of a training run; a resumed run ends with bit-identical weights to an uninterrupted one.

    `file`: None writes nothing. `parts`: objects with `state_dict` and `load_state_dict`, by name.
    """

    def __init__(self, file: Path | None, parts: dict[str, Any], device: torch.device) -> None:
        self.file, self.parts, self.device = file, parts, device
        self._next_write = 0.0

    def load(self) -> dict[str, Any]:
        """Restores the state, and returns the `progress` of the last `save`; {} if there was none.

        An unreadable file (a power cut, a full disk) is deleted with a message: the training starts from the beginning.
        """
        if self.file is None or not self.file.is_file():
            return {}
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
            parts = {name: state["parts"][name] for name in self.parts}
            random, device_random, progress = state["random"], state["device_random"], dict(state["progress"])
        except Exception as error:  # a damaged file can raise anything
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"checkpoint {self.file} cannot be read ({reason}): deleted, the training starts from the beginning")
            remove(self.file)
            return {}
        for name, part in self.parts.items():
            part.load_state_dict(parts[name])
        torch.set_rng_state(random)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).set_rng_state(device_random, self.device)
        return progress

    def save(self, **progress: Any) -> None:
        """Writes the state with `progress` (history, best weights), atomically."""
        started = time.perf_counter()
        if self.file is None or started < self._next_write:
            return
        on_cpu, parts = self.device.type == "cpu", {name: part.state_dict() for name, part in self.parts.items()}
        device_random = None if on_cpu else torch.get_device_module(self.device).get_rng_state(self.device)
        random = torch.get_rng_state()
        state = {"parts": parts, "random": random, "device_random": device_random, "progress": progress}
        with atomic_write(self.file) as partial:
            torch.save(state, partial)
        ended = time.perf_counter()
        self._next_write = ended + (ended - started) * (1 / MAX_OVERHEAD - 1)


@contextlib.contextmanager
def in_use(file: Path) -> Iterator[None]:
    """Marks a checkpoint file as in use by this process, so that no other training run deletes it."""
    marker = file.with_name(f".{file.name}.{os.getpid()}.in_use")
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    try:
        yield
    finally:
        marker.unlink(missing_ok=True)


def prune(file: Path) -> None:
    """Deletes the checkpoint of a completed training, and those of the same experiment with abandoned settings.

    Those that a running process uses remain. `file` is named EXPERIMENT-FINGERPRINT.pt.
    """
    remove(file)
    experiment = file.stem.rpartition("-")[0]
    abandoned = set(file.parent.glob(f"{experiment}-*.pt"))
    for marker in file.parent.glob(f".{experiment}-*.in_use"):
        name, pid, _ = marker.name.removeprefix(".").rsplit(".", 2)
        if psutil.pid_exists(int(pid)):
            abandoned.discard(file.with_name(name))
        else:
            remove(marker)
    for other in abandoned:
        remove(other)
