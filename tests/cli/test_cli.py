"""What a person types: help, typing mistakes, a Python without the packages."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROJECT, clean_environment, running
from torchprimer.cli.app import ALONE, STAGES
from torchprimer.cli.usage import COMMANDS


def torchprimer(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "src" / "torchprimer"), *arguments],
        cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "required: COMMAND"),
        (("trian", "mnist_cnn"), "Did you mean 'train'?"),
        (("train", "mnist_cn"), "Did you mean 'mnist_cnn'?"),
        (("split", "mnits"), "Did you mean 'mnist'?"),
        (("train",), "required: ITEM"),
        (("train", "mnist_cnn", "--fast"), "unrecognized arguments: --fast"),
        (("baseline", "mnits"), "Did you mean 'mnist'?"),
        (("extract_features", "none_of_that_name"), "no 'none_of_that_name' under features: in params.yaml"),
        (("crossvalidate", "diabetes_tund"), "Did you mean 'diabetes_tuned'?"),
        (("add-photos", "nowhere.zip"), "nowhere.zip does not exist"),
        (("add-data", "nowhere.csv", "--name", "own"), "nowhere.csv does not exist"),
        (("add-data", "nowhere.csv"), "required: --name"),
        (("add-data", "--name", "own"), "required: FILE"),
        (("add-dat", "nowhere.csv"), "Did you mean 'add-data'?"),
        (("predct", "mnist_cnn"), "Did you mean 'predict'?"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], expected: str) -> None:
    done = torchprimer(*arguments)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


def test_verbose_shows_where() -> None:
    done = torchprimer("train", "mnist_cn", "-v")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "Did you mean 'mnist_cnn'?" in done.stderr


def test_outside_a_project(tmp_path: Path) -> None:
    done = torchprimer("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "no dvc.yaml in" in done.stderr


@pytest.mark.parametrize("stage", ["preprocess", "evaluate"])
def test_a_stage_before_its_turn(tmp_path: Path, stage: str) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, tmp_path / name)
    item = "mnist" if stage == "preprocess" else "mnist_cnn"
    done = torchprimer(stage, item, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No such file" in line
    assert line.endswith(f": `dvc repro {stage}@{item}` runs what comes before it, too")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "mnist_cnn"), "interrupted; the same command goes on from the last finished epoch"),
        (("split", "mnist"), "interrupted; the same command starts it anew"),
        (("list",), "interrupted"),
    ],
)
def test_interrupted(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """While it reads params.yaml, which here is a pipe that nobody writes to."""
    (tmp_path / "dvc.yaml").touch()
    os.mkfifo(tmp_path / "params.yaml")
    with running(
        [sys.executable, str(PROJECT / "src" / "torchprimer"), *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        writer = None
        while writer is None and process.poll() is None:
            with contextlib.suppress(OSError):  # until somebody reads
                writer = os.open(tmp_path / "params.yaml", os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said) == (130, "", f"torchprimer: {expected}\n")
    assert writer is not None
    os.close(writer)


def test_help_names_every_command_and_each_has_an_example() -> None:
    done = torchprimer("--help")
    assert done.returncode == 0
    assert "_track" not in done.stdout
    assert {"list", "show", "predict", "generate", "add-photos", "add-data", "sync"} <= set(COMMANDS)
    for command in (*ALONE, *STAGES, *COMMANDS):
        assert f"\n  {command} " in done.stdout
        more = torchprimer(command, "--help")
        assert more.returncode == 0
        _, examples = more.stdout.split("\nexamples:\n")
        assert f"  torchprimer {command}" in examples


def test_python_without_the_packages_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(PROJECT / "src" / "torchprimer"), "check"],
        cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "has no package" in done.stderr
    assert "make install" in done.stderr
    assert "Traceback" not in done.stderr
