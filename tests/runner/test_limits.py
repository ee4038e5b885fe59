"""What keeps stages from running at the same time."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.runner.conftest import Toy
from torchprimer.errors import UserError
from torchprimer.runner import limits
from torchprimer.runner.limits import Limits, usable_cores, visible_gpus


def no_device(_name: str) -> bool:
    return False


def on_gpu(name: str) -> bool:
    return name.startswith("train")


def test_memory_of_the_last_run() -> None:
    free = psutil.virtual_memory().available
    limited = Limits([], {"a": free // 2, "b": free, "c": free // 100}, no_device, None)
    assert limited.may_start("b", [])  # alone, every stage may
    assert not limited.may_start("b", ["a"])
    assert limited.may_start("c", ["a"])
    assert limited.may_start("of which nothing is known", ["a"])


def test_each_gpu_has_one_stage_at_a_time() -> None:
    limited = Limits([], {}, on_gpu, ["3", "5"])
    assert limited.start("train@a") == {"CUDA_VISIBLE_DEVICES": "3"}
    assert limited.start("split@a") == {}
    assert limited.start("train@b") == {"CUDA_VISIBLE_DEVICES": "5"}
    assert not limited.may_start("train@c", ["train@a", "train@b"])
    assert limited.may_start("split@c", ["train@a", "train@b"])
    limited.end("train@a")
    assert limited.may_start("train@c", ["train@b"])
    assert limited.start("train@c") == {"CUDA_VISIBLE_DEVICES": "3"}


def test_without_a_gpu_stages_of_a_device_run_side_by_side() -> None:
    limited = Limits([], {}, on_gpu, [])
    assert limited.start("train@a") == {}
    assert limited.may_start("train@b", ["train@a"])


@pytest.mark.parametrize(("visible", "expected"), [("", []), ("2", ["2"]), ("0, GPU-8932f937", ["0", "GPU-8932f937"])])
def test_visible_gpus(monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == expected


@pytest.mark.parametrize("limit", ["train", "train=", "=2", "train@*=0", "train@*=-1", "train@*=two"])
def test_a_limit_that_is_none(limit: str) -> None:
    with pytest.raises(UserError, match=r"write PATTERN=N"):
        Limits([limit], {}, no_device, None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs the affinity of Linux")
def test_cores_that_the_process_may_use() -> None:
    core = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{core}]); from torchprimer.runner.limits import *; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(("content", "expected"), [("150000 100000", 2), ("10000 100000", 1), ("max 100000", None)])
def test_the_quota_of_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, expected: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(content)
    monkeypatch.setattr(limits, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(8), raising=False)
    assert usable_cores() == (expected or 8)


def test_at_most_so_many_of_a_pattern(make_toy: Callable[[str], Toy]) -> None:
    toy = make_toy("toy")
    toy.write(**{name: {"seconds": 0.5} for name in "abcd"})
    lines = toy("torchprimer repro --jobs 4 --limit 'make@*=2'").stdout.splitlines()
    running = most = 0
    for line in lines:
        if line.startswith("make@"):
            running += 1 if line.endswith("started") else -1
            most = max(most, running)
    assert most == 2
    starts = [float(file.read_text()) for file in sorted((toy.folder / "started").glob("*"), key=os.path.getmtime)]
    assert [later - earlier > 0.4 for earlier, later in pairwise(starts)][1]
