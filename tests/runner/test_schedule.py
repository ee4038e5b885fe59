"""The order of stages, on graphs whose best order can be found by hand or by trying all."""

import itertools
import random

import pytest

from torchprimer.runner.schedule import DEFAULT_SECONDS, Schedule

DIAMOND = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}


def test_the_longest_remaining_path_comes_first() -> None:
    schedule = Schedule(DIAMOND, {"a": 1, "b": 2, "c": 5, "d": 1})
    assert schedule.remaining == {"a": 7, "b": 3, "c": 6, "d": 1}
    assert schedule.by_priority(["b", "c"]) == ["c", "b"]
    assert schedule.dependents("b") == {"d"}
    assert schedule.dependents("a") == {"b", "c", "d"}


def test_a_stage_without_a_record_counts_a_default() -> None:
    assert Schedule(DIAMOND, {}).remaining["a"] == 3 * DEFAULT_SECONDS


def test_the_plan_of_a_diamond() -> None:
    schedule = Schedule(DIAMOND, {"a": 1, "b": 2, "c": 5, "d": 1})
    assert schedule.simulate(1) == [(0, 1, "a"), (1, 6, "c"), (6, 8, "b"), (8, 9, "d")]
    assert schedule.simulate(2) == [(0, 1, "a"), (1, 6, "c"), (1, 3, "b"), (6, 7, "d")]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_plans_keep_the_order_and_are_near_the_best(seed: int, jobs: int) -> None:
    """Graham 1969: a list schedule takes at most 2 - 1/jobs times the best; the best is found by trying all orders."""
    rng = random.Random(seed)
    names = [f"s{i}" for i in range(6)]
    needs = {name: {other for other in names[:i] if rng.random() < 0.3} for i, name in enumerate(names)}
    seconds = {name: float(rng.randint(1, 9)) for name in names}
    plan = Schedule(needs, seconds).simulate(jobs)
    ends = {name: end for _, end, name in plan}
    assert sorted(ends) == names
    for start, end, name in plan:
        assert end - start == seconds[name]
        assert all(ends[needed] <= start for needed in needs[name])
        assert sum(other <= start < until for other, until, _ in plan) <= jobs

    def length(order: tuple[str, ...]) -> float:
        free, ended = [0.0] * jobs, dict[str, float]()
        for name in order:
            if not needs[name] <= ended.keys():
                return float("inf")
            worker = free.index(min(free))
            ended[name] = max([free[worker], *(ended[needed] for needed in needs[name])]) + seconds[name]
            free[worker] = ended[name]
        return max(ended.values())

    best = min(map(length, itertools.permutations(names)))
    assert best <= max(ends.values()) <= (2 - 1 / jobs) * best
