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

from tests.clone import PROJECT, Clone, executed, keep_experiments, running
from tests.demo.test_demo import free_port
from tests.pipeline.test_pipeline import runs

INSTALLED = "-o install -o .venv/installed -o .venv/installed-demo -o .venv/installed-dev"  # up to date for make


def make(clone: Clone, target: str) -> str:
    return clone(f"make {INSTALLED} {target}").stdout


@contextmanager
def serving(clone: Clone, target: str, log: Path) -> Iterator[str]:
    """`make demo` or `make ui` until the block ends; gives the address, once its page is there."""
    port = free_port()
    with log.open("w") as output, running(
        f"make {INSTALLED} {target} PORT={port}".split(), cwd=clone.folder, env=clone.environment,
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


def test_make_quick(clone: Clone) -> None:
    """All stages run in a temporary copy: the workspace is unchanged, the runs are in its MLflow store."""
    keep_experiments(clone, ["hours_logistic"])
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m 'a small project'")
    head = clone("git rev-parse HEAD").stdout
    output = make(clone, "quick")
    assert "Done; the workspace is unchanged" in output
    assert clone("git status --porcelain").stdout == ""
    assert clone("git rev-parse HEAD").stdout == head
    found = {
        (run.info.run_name, run.data.params["limit"]) for run in runs(clone) if run.data.tags["type"] == "experiment"
    }
    assert found == {("hours_logistic", "1000")}
    assert clone("dvc exp list --name-only").stdout.strip()


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
