"""A line of the table, and the comparison of two sides: they run in turns, the fastest turn of each side counts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Measurement = TypeVar("Measurement")


@dataclass(frozen=True)
class Options:
    """The options of the command line, and a folder that is deleted at the end.

    Attributes:
        photos: a zip or folder of photos; None: enlarged images of CIFAR-10.
        limit: at most so many samples of each split, so many photos and texts; None: all. For tests: with a limit
            the numbers mean nothing.
        whole: the line `pipeline` runs all epochs on all samples.
    """

    temporary: Path
    repeat: int
    epochs: int
    photos: Path | None = None
    limit: int | None = None
    whole: bool = False

    @property
    def warm_up_rounds(self) -> int:
        """Rounds of a command before the first that counts."""
        return 0 if self.limit else 1


@dataclass(frozen=True)
class Result:
    """One line. `ratio` is the reference's seconds over ours: 2 is twice as fast as the reference."""

    name: str
    ours: float  # seconds
    reference: float | None  # seconds; None: the target is a number of seconds
    target: float
    ok: bool
    note: str

    @property
    def ratio(self) -> float | None:
        return self.reference / self.ours if self.reference is not None else None

    def as_dict(self) -> dict[str, str | float | None]:
        unit = "ratio at least" if self.reference is not None else "seconds at most"
        numbers = {"ours_seconds": self.ours, "reference_seconds": self.reference, "ratio": self.ratio}
        rounded = {key: None if value is None else round(value, 3) for key, value in numbers.items()}
        return {"name": self.name, **rounded, unit: round(self.target, 3), "ok": self.ok, "note": self.note}

    def cells(self) -> tuple[str, ...]:
        reference = "" if self.reference is None else f"{self.reference:.2f} s"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        target = f"<= {self.target:g} s" if self.ratio is None else f">= {self.target:.3g}"
        verdict = "ok" if self.ok else "short"
        return self.name, f"{self.ours:.2f} s", reference, ratio, target, verdict, self.note


def compare(name: str, ours: float, reference: float, at_least: float, note: str, *, fair: bool = True) -> Result:
    """A line with two sides; `fair`: both reached the same result. If they did not, the line misses its target."""
    return Result(name, ours, reference, at_least, fair and reference / ours >= at_least, note)


def within(name: str, seconds: float, at_most: float, note: str) -> Result:
    """A line whose target is a number of seconds."""
    return Result(name, seconds, None, at_most, seconds <= at_most, note)


def take_turns(
    ours: Callable[[], Measurement], reference: Callable[[], Measurement], repeat: int
) -> tuple[list[Measurement], list[Measurement]]:
    """Runs both sides `repeat` times; our side is first in one round and last in the next."""
    ours_results: list[Measurement] = []
    reference_results: list[Measurement] = []
    for round_number in range(repeat):
        if round_number % 2 == 0:
            ours_results.append(ours())
            reference_results.append(reference())
        else:
            reference_results.append(reference())
            ours_results.append(ours())
    return ours_results, reference_results


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
