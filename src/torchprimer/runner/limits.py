"""What keeps stages from running at the same time: memory, GPUs, and limits that the user sets."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import psutil

from torchprimer.errors import UserError

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of CPU time in a period, and the period; of cgroup v2
MEMORY_SHARE = 0.9  # of the memory that is free when the run starts


class Limits:
    """Decides whether a stage may start beside those that run, and on which GPU.

    Args:
        limits: PATTERN=N: at most N stages whose names match the pattern.
        peak_memory: stage -> bytes that it needed when it last ran.
        on_gpu: whether a stage uses a GPU, where there is one.
        gpus: names for CUDA_VISIBLE_DEVICES; each is used by one stage at a time. None: GPUs are not assigned.
    """

    def __init__(
        self,
        limits: Sequence[str],
        peak_memory: Mapping[str, int],
        on_gpu: Callable[[str], bool],
        gpus: Sequence[str] | None,
    ) -> None:
        self.patterns = dict(map(_parse, limits))
        self.peak_memory, self.on_gpu = peak_memory, on_gpu
        self.memory = MEMORY_SHARE * psutil.virtual_memory().available
        self.free_gpus = list(gpus or [])
        self.assigned: dict[str, str] = {}
        self.has_gpus = bool(gpus)

    def may_start(self, name: str, running: Collection[str]) -> bool:
        """Whether `name` may start; alone, every stage may."""
        if not running:
            return True
        if self.has_gpus and self.on_gpu(name) and not self.free_gpus:
            return False
        if sum(self.peak_memory.get(stage, 0) for stage in (*running, name)) > self.memory:
            return False
        return all(
            not fnmatchcase(name, pattern) or sum(fnmatchcase(other, pattern) for other in running) < most
            for pattern, most in self.patterns.items()
        )

    def start(self, name: str) -> dict[str, str]:
        """Environment variables of a stage that starts now."""
        if not (self.free_gpus and self.on_gpu(name)):
            return {}
        self.assigned[name] = self.free_gpus.pop(0)
        return {"CUDA_VISIBLE_DEVICES": self.assigned[name]}

    def end(self, name: str) -> None:
        """Returns the GPU of a stage that has ended."""
        if name in self.assigned:
            self.free_gpus.append(self.assigned.pop(name))


def _parse(limit: str) -> tuple[str, int]:
    pattern, _, number = limit.rpartition("=")
    if not pattern or not number.isdecimal() or int(number) < 1:
        raise UserError(f"--limit {limit}: write PATTERN=N with N of 1 or more, for example 'train@*=2'")
    return pattern, int(number)


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that processes of this one may use, as CUDA_VISIBLE_DEVICES names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def usable_cores() -> int:
    """The cores that this process may use, by its affinity and, in a container, by its quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        pass
    return cores
