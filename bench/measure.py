"""What a line of the table is, and how two sides are compared: turn by turn, the fastest turn of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Turn = TypeVar("Turn")


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line, and a folder that is deleted at the end."""

    temporary: Path
    repeat: int
    epochs: int
    photos: Path | None


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
    """A line with two sides; `fair`: whether both reached the same, without which no speed counts."""
    return Result(name, ours, reference, at_least, fair and reference / ours >= at_least, note)


def within(name: str, seconds: float, at_most: float, note: str) -> Result:
    """A line with a number of seconds for its target."""
    return Result(name, seconds, None, at_most, seconds <= at_most, note)


def take_turns(ours: Callable[[], Turn], reference: Callable[[], Turn], repeat: int) -> tuple[list[Turn], list[Turn]]:
    """Both sides `repeat` times, ours first in one round and last in the next."""
    mine: list[Turn] = []
    theirs: list[Turn] = []
    for round_number in range(repeat):
        if round_number % 2 == 0:
            mine.append(ours())
            theirs.append(reference())
        else:
            theirs.append(reference())
            mine.append(ours())
    return mine, theirs


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
