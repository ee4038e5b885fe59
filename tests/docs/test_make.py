"""The targets of the Makefile that run the project, in a copy of it: `make` itself runs them, without `install`.

What they would install is the tests' environment. `make lint`, `make types` and `make test` are run by .ci/run.
"""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clone import PROJECT, Clone, running
from tests.demo.test_demo import free_port
from tests.pipeline.test_pipeline import executed, runs

INSTALLED = "-o install -o .venv/installed -o .venv/installed-demo -o .venv/installed-dev"  # up to date for make


def environment(clone: Clone) -> dict[str, str]:
    """The command `torchprimer` of the tests' environment runs the copy's code."""
    return clone.environment | {"PYTHONPATH": str(clone.folder / "src")}


def make(clone: Clone, target: str) -> str:
    return clone(f"make {INSTALLED} {target}", **environment(clone)).stdout


@contextmanager
def serving(clone: Clone, target: str, log: Path) -> Iterator[str]:
    """`make demo` or `make ui` until the block ends; gives the address, once its page is there."""
    port = free_port()
    with log.open("w") as output, running(
        f"make {INSTALLED} {target} PORT={port}".split(), cwd=clone.folder, env=environment(clone),
        stdout=output, stderr=output, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10).close()
                except OSError:
                    time.sleep(0.2)
                else:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGINT)  # Ctrl-C


def test_make_help() -> None:
    done = subprocess.run("make help", shell=True, cwd=PROJECT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z]+):.*## ", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"^  make (\w+)  ", done.stdout, re.MULTILINE) == targets


def test_make_repro(unchanged: Clone) -> None:
    output = make(unchanged, "repro")
    assert executed(output) == set()
    assert "Data and pipelines are up to date." in output
    assert "nothing to do" in output  # `torchprimer sync`
    assert "reports/index.html" in output


def test_make_quick(small_project: Clone) -> None:
    """All stages run in a temporary copy: the workspace is unchanged, the runs are in its MLflow store."""
    head, count = small_project("git rev-parse HEAD").stdout, len(runs(small_project))
    output = make(small_project, "quick")
    assert "Done; the workspace is unchanged" in output
    assert small_project("git status --porcelain").stdout == ""
    assert small_project("git rev-parse HEAD").stdout == head
    limits = {run.data.params["limit"] for run in runs(small_project)[count:] if run.data.tags["type"] == "experiment"}
    assert limits == {"1000"}
    assert small_project("dvc exp list --name-only").stdout.strip()


def test_make_docs(unchanged: Clone) -> None:
    before = (unchanged.folder / "docs" / "experiments.md").read_text("utf-8")
    make(unchanged, "docs")
    assert (unchanged.folder / "docs" / "experiments.md").read_text("utf-8") != before  # the reduced scores


def test_make_demo(reduced_project: Clone, tmp_path: Path) -> None:
    with (
        serving(reduced_project, "demo", tmp_path / "log") as address,
        urllib.request.urlopen(address, timeout=30) as page,
    ):
        assert "torchprimer" in page.read().decode()


def test_make_ui(reduced_project: Clone, tmp_path: Path) -> None:
    with (
        serving(reduced_project, "ui", tmp_path / "log") as address,
        urllib.request.urlopen(address, timeout=30) as page,
    ):
        assert "MLflow" in page.read().decode()
