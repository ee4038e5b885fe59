"""`torchprimer repro` does what `dvc repro` does, in a small project; the whole pipeline is in tests/pipeline."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.runner.conftest import Toy

MakeToy = Callable[[str], Toy]
FIVE = {name: {} for name in "abcde"}


@pytest.fixture
def toy(make_toy: MakeToy) -> Toy:
    return make_toy("toy")


@pytest.mark.parametrize("jobs", [1, 3])
def test_dvc_lock_is_that_of_dvc_to_the_byte(make_toy: MakeToy, jobs: int) -> None:
    ours, theirs = make_toy("ours"), make_toy("theirs")
    for toy in (ours, theirs):
        toy.write(a={"seconds": 0.5}, b={}, c={"seconds": 0.2})
    ours(f"torchprimer repro --jobs {jobs}")
    theirs("dvc repro")
    assert ours.lock == theirs.lock
    assert (ours.folder / "all.txt").read_text() == "a\nb\nc\ndone\n"
    assert "up to date" in ours("dvc repro").stdout
    assert "up to date" in ours("dvc status").stdout
    assert "up to date" in ours("torchprimer repro").stdout
    assert ours.started() == theirs.started() == ["a", "b", "c"]
    for toy in (ours, theirs):
        toy.write(a={"seconds": 0.5}, b={"text": "new"}, c={"seconds": 0.2}, d={})
    ours("torchprimer repro")
    theirs("dvc repro")
    assert ours.lock == theirs.lock
    assert ours.started() == theirs.started() == ["b", "d"]
    for toy in (ours, theirs):  # back: from the run cache
        toy.write(a={"seconds": 0.5}, b={}, c={"seconds": 0.2}, d={})
    assert "make@b: restored" in ours("torchprimer repro").stdout
    theirs("dvc repro")
    assert ours.lock == theirs.lock
    assert ours.started() == theirs.started() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("make@b", ["b"]),
        ("count", ["a", "b", "c", "d", "e"]),
        ("make@a count@b", ["a", "b"]),
        ("--single-item make@c make@a", ["a", "c"]),
        ("c", ["c"]),  # a bare name: all of its stages
    ],
)
def test_targets(toy: Toy, arguments: str, expected: list[str]) -> None:
    toy.write(**FIVE)
    toy(f"torchprimer repro {arguments}")
    assert toy.started() == expected


def test_force_and_downstream(toy: Toy) -> None:
    toy.write(**FIVE)
    toy("torchprimer repro")
    toy.started()
    toy("torchprimer repro --force make@a")
    assert toy.started() == ["a"]
    toy.write(**FIVE | {"b": {"text": "new"}, "c": {"text": "new"}})
    toy("torchprimer repro --downstream make@b")
    assert toy.started() == ["b"]
    assert "new" in (toy.folder / "all.txt").read_text()


def test_a_name_that_is_no_stage(toy: Toy) -> None:
    toy.write(**FIVE)
    error = toy("torchprimer repro mke", code=1).stderr
    assert error == "torchprimer: no stage 'mke' in dvc.yaml, and no stage of that name. Did you mean 'make'?\n"
    assert toy.started() == []


def test_what_fails_is_shown_and_the_others_end(toy: Toy) -> None:
    toy.write(a={"fails": True, "seconds": 0.5}, b={"seconds": 1.5}, c={"seconds": 1.0}, d={"seconds": 1.0})
    done = toy("torchprimer repro --jobs 2", code=1)
    assert "make@a: exit code 3" in done.stdout
    assert "a cannot work" in done.stdout
    assert done.stderr == "torchprimer: failed: make@a\n"
    assert "make@b:" in toy.lock  # it ran beside it
    started = toy.started()
    assert set(started) < set("abcd")
    done = toy("torchprimer repro --keep-going", code=1)
    assert sorted([*started, *toy.started()]) == ["a", "a", "b", "c", "d"]
    assert "2 skipped" in done.stdout  # count@a and all
    toy.write(a={}, b={"seconds": 1.5}, c={"seconds": 1.0}, d={"seconds": 1.0})
    toy("torchprimer repro")
    assert toy.started() == ["a"]
    assert "up to date" in toy("dvc repro").stdout


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def processes_in(folder: Path) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_kill_9_leaves_no_process_and_loses_nothing(toy: Toy) -> None:
    toy.write(a={}, b={}, c={"seconds": 60}, d={"seconds": 60})
    with toy.start("torchprimer repro --jobs 2") as runner:
        wait_for(lambda: len(list((toy.folder / "started").glob("[cd].*"))) == 2)
        os.kill(runner.pid, signal.SIGKILL)
    wait_for(lambda: not processes_in(toy.folder), 10)
    toy.started()
    toy.write(a={}, b={}, c={}, d={})
    toy("torchprimer repro")
    assert toy.started() == ["c", "d"]
    assert "up to date" in toy("dvc repro").stdout


def test_ctrl_c_stops_the_stages_and_keeps_what_has_ended(toy: Toy) -> None:
    toy.write(a={}, b={}, c={"seconds": 60}, d={"seconds": 60})
    with toy.start("torchprimer repro --jobs 2") as runner:
        wait_for(lambda: len(list((toy.folder / "started").glob("[cd].*"))) == 2)
        os.killpg(runner.pid, signal.SIGINT)
        _, error = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert error == "torchprimer: interrupted; run the same command to continue\n"
    assert not processes_in(toy.folder)
    assert "make@a:" in toy.lock
    toy.started()
    toy.write(a={}, b={}, c={}, d={})
    toy("dvc repro")
    assert toy.started() == ["c", "d"]


def test_a_second_runner_says_that_there_is_a_first(toy: Toy) -> None:
    toy.write(a={"seconds": 20})
    with toy.start("torchprimer repro") as runner:
        wait_for(lambda: list((toy.folder / "started").glob("a.*")))
        assert "another `torchprimer repro` runs in this project" in toy("torchprimer repro", code=1).stderr
        assert "make@a" in toy("dvc stage list").stdout  # DVC's lock is free
        runner.terminate()
        runner.wait(30)


def test_a_dry_run_tells_the_plan_and_runs_nothing(toy: Toy) -> None:
    toy.write(a={"seconds": 1.0}, b={"seconds": 1.0})
    plan = toy("torchprimer repro --dry-run --jobs 2").stdout
    assert "5 stages" in plan
    assert "5 stages have not run here yet" in plan
    assert toy.started() == []
    toy("torchprimer repro")
    assert "up to date" in toy("torchprimer repro --dry-run").stdout
    plan = toy("torchprimer repro --dry-run --force --jobs 64").stdout
    assert "not known" not in plan
    assert "with 64 at a time about" in plan
