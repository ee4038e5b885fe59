"""The command line: help, usage errors, interrupts, a Python without the packages."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment, running
from torchprimer.stages import STAGES

COMMANDS = ("list", "show", "predict", "generate", "demo", "add-photos", "add-data", "ui", "sync", *STAGES)


def torchprimer(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "src" / "torchprimer"), *arguments],
        cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("trian", "mnist_cnn"), "Did you mean 'train'?"),
        (("train", "mnist_cn"), "Did you mean 'mnist_cnn'?"),
        (("split", "mnits"), "Did you mean 'mnist'?"),
        (("train",), "Missing argument 'ITEM'. (see torchprimer train --help)"),
        (("train", "mnist_cnn", "--fast"), "No such option: --fast (see torchprimer train --help)"),
        (("predict", "mnist_cnn", "x.png", "--tpo", "3"), "No such option: --tpo (Possible options: --out, --top)"),
        (("predict", "mnist_cnn", "x.png", "--json", "--csv"), "--json and --csv exclude each other: choose one"),
        (("ui", "--port", "http"), "Invalid value for '--port': "),
        (("baseline", "mnits"), "Did you mean 'mnist'?"),
        (("extract_features", "none_of_that_name"), "no 'none_of_that_name' under features: in params.yaml"),
        (("crossvalidate", "diabetes_tund"), "Did you mean 'diabetes_tuned'?"),
        (("add-photos", "nowhere.zip"), "nowhere.zip does not exist"),
        (("add-data", "nowhere.csv", "--name", "mine"), "nowhere.csv does not exist"),
        (("add-data", "nowhere.csv"), "Missing option '--name'. (see torchprimer add-data --help)"),
        (("add-data", "--name", "mine"), "Missing argument 'FILE'."),
        (("add-dat", "nowhere.csv"), "Did you mean 'add-data'?"),
        (("predct", "mnist_cnn"), "Did you mean 'predict'?"),
    ],
)
def test_errors_are_one_line(arguments: tuple[str, ...], expected: str) -> None:
    done = torchprimer(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("torchprimer: ")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_before_and_after_the_command(option: str) -> None:
    expected = torchprimer("list", "reviews")
    assert (expected.returncode, expected.stderr) == (0, "")
    for arguments in ((option, "list", "reviews"), ("list", option, "reviews"), ("list", "reviews", option)):
        done = torchprimer(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, "")
    for arguments in ((option, "train", "mnist_cn"), ("train", "mnist_cn", option)):
        done = torchprimer(*arguments)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "Did you mean 'mnist_cnn'?" in done.stderr
    done = torchprimer("list", "--", option)  # behind -- it is the name of a dataset
    assert (done.returncode, done.stderr.partition(";")[0]) == (
        1,
        f"torchprimer: no experiment on a dataset '{option}'",
    )


def test_outside_a_project(tmp_path: Path) -> None:
    done = torchprimer("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "no dvc.yaml in" in done.stderr


@pytest.mark.parametrize("stage", ["preprocess", "evaluate"])
def test_missing_files_of_an_earlier_stage(tmp_path: Path, stage: str) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, tmp_path / name)
    item = "mnist" if stage == "preprocess" else "mnist_cnn"
    done = torchprimer(stage, item, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No such file" in line
    assert line.endswith(f": `dvc repro {stage}@{item}` also runs the stages before it")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "mnist_cnn"), "interrupted; run the same command to resume from the last completed epoch"),
        (("split", "mnist"), "interrupted; run the same command to start it again"),
        (("list",), "interrupted"),
    ],
)
def test_interrupted(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    """While the command reads params.yaml, which here is a pipe without a writer."""
    (tmp_path / "dvc.yaml").touch()
    os.mkfifo(tmp_path / "params.yaml")
    with running(
        [sys.executable, str(PROJECT / "src" / "torchprimer"), *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        writer = None
        while writer is None and process.poll() is None:
            with contextlib.suppress(OSError):  # until the command opens the pipe
                writer = os.open(tmp_path / "params.yaml", os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", f"torchprimer: {expected}\n")
    assert writer is not None
    os.close(writer)


def test_help_names_every_command_and_each_has_an_example() -> None:
    done = torchprimer("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert (torchprimer().returncode, torchprimer().stdout) == (0, done.stdout)
    assert "_track" not in done.stdout
    for command in COMMANDS:
        assert f"│ {command} " in done.stdout
        details = torchprimer(command, "--help")
        assert (details.returncode, details.stderr) == (0, "")
        assert f" torchprimer {command}" in details.stdout.partition(" Example")[2]


def test_help_imports_little() -> None:
    """The command line imports what a command needs when the command runs."""
    command = [sys.executable, str(PROJECT / "src" / "torchprimer"), "--help"]
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"typer", "torchprimer"} <= imported
    assert not imported & {"torch", "mlflow", "pandas", "numpy", "pydantic", "sklearn", "matplotlib", "onnxruntime"}


def test_a_closed_pipe_is_not_an_error() -> None:
    """`torchprimer ... | head`."""
    for arguments in (("list",), ("--help",), ("train", "--help")):
        with running(
            [sys.executable, str(PROJECT / "src" / "torchprimer"), *arguments], cwd=PROJECT,
            env=clean_environment() | {"PYTHONUNBUFFERED": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stderr
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


def test_python_without_the_packages_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(PROJECT / "src" / "torchprimer"), "check"],
        cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "has no package" in done.stderr
    assert "make install" in done.stderr
    assert "Traceback" not in done.stderr
