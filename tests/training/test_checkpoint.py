"""Checkpoints and atomic writes: damaged files, abandoned settings, files of killed processes, data on the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from torchprimer.atomic import atomic_write
from torchprimer.training.checkpoint import Checkpoint, in_use, prune

CPU = torch.device("cpu")


def dead_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "other content"])
def test_a_damaged_checkpoint_is_named_and_deleted(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The training starts from the beginning, with the weights and the random state that it had."""
    file = tmp_path / "mnist_mlp-0123.pt"
    Checkpoint(file, {"model": nn.Linear(2, 2)}, CPU).save(history=[{"epoch": 1}])
    content = file.read_bytes()
    file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "garbage": b"\x80no"}.get(damage, b""))
    if damage == "other content":
        torch.save({"weights": torch.zeros(1)}, file)
    model = nn.Linear(2, 2)
    weights, random_state = model.weight.detach().clone(), torch.get_rng_state()
    assert Checkpoint(file, {"model": model}, CPU).load() == {}
    output = capsys.readouterr().out
    assert output.startswith(f"checkpoint {file} cannot be read (")
    assert output.endswith("): deleted, the training starts from the beginning\n")
    assert output.count("\n") == 1
    assert not file.exists()
    assert torch.equal(model.weight, weights)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_checkpoints_of_abandoned_settings_are_deleted(tmp_path: Path) -> None:
    """When a training is complete. Not those of other experiments, nor those that a running process uses."""
    names = ("mnist-1111.pt", "mnist-2222.pt", "mnist-3333.pt", "mnist_cnn-1111.pt")
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / f".mnist-2222.pt.{dead_process()}.in_use").touch()
    with in_use(tmp_path / "mnist-3333.pt"):
        prune(tmp_path / "mnist-1111.pt")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mnist-3333.pt", "mnist_cnn-1111.pt"]


def test_partial_files_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    """Files and folders, those of running processes excepted."""
    dead = dead_process()
    (tmp_path / f".state.pt.{dead}.partial").touch()
    (tmp_path / f".folder.{dead}.partial").mkdir()
    (tmp_path / f".folder.{dead}.partial" / "half").touch()
    running = tmp_path / f".state.pt.{os.getppid()}.partial"
    running.touch()
    with atomic_write(tmp_path / "state.pt") as file:
        file.write_text("complete")
    assert {path.name for path in tmp_path.iterdir()} == {"state.pt", running.name}


def test_content_is_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and folder, then the folder of the new name; without that a power cut can leave an empty file."""
    synced = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, target.exists()))

    monkeypatch.setattr(os, "fsync", record)
    target = tmp_path / "model"
    with atomic_write(target) as partial:
        (partial / "inside").mkdir(parents=True)
        (partial / "inside" / "weights").write_text("1")
    name = f".model.{os.getpid()}.partial"
    assert synced == [("weights", False), ("inside", False), (name, False), (tmp_path.name, True)]
