"""Which of the stages that could run starts next, by the length of what waits for it; knows no DVC and no clock."""

import heapq
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

DEFAULT_SECONDS = 3.0  # of a stage that has not run yet


@dataclass
class Schedule:
    """The order of the stages of a pipeline: those with the longest remaining path first (critical path method).

    Args:
        needs: stage -> the stages that must have ended before it.
        seconds: expected duration of a stage, where it is known.
    """

    needs: Mapping[str, Set[str]]
    seconds: Mapping[str, float]
    remaining: dict[str, float] = field(init=False)  # seconds from the start of a stage to the end of the pipeline

    def __post_init__(self) -> None:
        """Computes the remaining paths, from the last stages to the first."""
        self.next_stages: dict[str, list[str]] = {name: [] for name in self.needs}
        for name, needed in self.needs.items():
            for earlier in needed:
                self.next_stages[earlier].append(name)
        self.remaining = {}
        for name in reversed(self.in_order()):
            after = max((self.remaining[later] for later in self.next_stages[name]), default=0.0)
            self.remaining[name] = self.duration(name) + after

    def duration(self, name: str) -> float:
        """Expected seconds of a stage."""
        return self.seconds.get(name, DEFAULT_SECONDS)

    def in_order(self) -> list[str]:
        """All stages, each after those that it needs."""
        open_needs = {name: len(needed) for name, needed in self.needs.items()}
        order = [name for name, count in open_needs.items() if not count]
        for name in order:
            for later in self.next_stages[name]:
                open_needs[later] -= 1
                if not open_needs[later]:
                    order.append(later)
        return order

    def by_priority(self, names: Iterable[str]) -> list[str]:
        """The stages with the longest remaining path first; equal ones in the order of the pipeline."""
        return sorted(names, key=lambda name: -self.remaining[name])

    def dependents(self, name: str) -> set[str]:
        """All stages that directly or indirectly need a stage."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = set(self.next_stages[waiting.pop()]) - found
            found |= new
            waiting.extend(new)
        return found

    def simulate(self, jobs: int) -> list[tuple[float, float, str]]:
        """Start and end of each stage, in seconds, if `jobs` of them ran at a time, in the order of their starts."""
        open_needs = {name: len(needed) for name, needed in self.needs.items()}
        ready = [
            (-self.remaining[name], position, name) for position, name in enumerate(self.needs) if not open_needs[name]
        ]
        heapq.heapify(ready)
        running: list[tuple[float, int, str]] = []
        now, position = 0.0, len(self.needs)
        plan = []
        while ready or running:
            while ready and len(running) < jobs:
                _, order, name = heapq.heappop(ready)
                heapq.heappush(running, (now + self.duration(name), order, name))
                plan.append((now, now + self.duration(name), name))
            now, _, ended = heapq.heappop(running)
            for later in self.next_stages[ended]:
                open_needs[later] -= 1
                if not open_needs[later]:
                    position += 1
                    heapq.heappush(ready, (-self.remaining[later], position, later))
        return plan
