"""Two processes of torchrun: random numbers of their own, the same weights, no port that other users can reach."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment

PROGRAM = """
import json, os, sys
from pathlib import Path
from training.launch import launch_torchrun, rank
if (code := launch_torchrun(2)) is not None:
    sys.exit(code)
import psutil, torch
from torch import nn
from tests.objects import make_experiment
from torchprimer.datasets.storage import SplitArrays
from torchprimer.loops.supervised import train

torch.manual_seed(5)
model = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 2))
masks = []

def record_mask(layer, inputs, output):
    if layer.training:
        masks.append((output != 0).tolist())

model[0].register_forward_hook(record_mask)
data = SplitArrays(torch.ones(8, 64), torch.arange(8) % 2)
stop = int(sys.argv[2])

def on_epoch(row):
    if row["epoch"] == stop:
        sys.exit(0)

checkpoint = Path(sys.argv[1]) / "state.pt"
result = train(
    model, data, data, make_experiment(model="linear", epochs=3), device=torch.device("cpu"), precision=torch.float32,
    on_epoch=on_epoch, checkpoint=checkpoint,
)
listening = [c.laddr.port for c in psutil.Process(os.getppid()).net_connections("tcp") if c.status == "LISTEN"]
content = {"masks": masks, "weights": result.weights["1.weight"].tolist(), "listening": listening}
(Path(sys.argv[1]) / f"{rank()}.json").write_text(json.dumps(content))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that starts itself with torchrun, as the command does."""
    folder = tmp_path / "program"
    (folder / "training").mkdir(parents=True)
    (folder / "__main__.py").write_text(PROGRAM)
    shutil.copy(PROJECT / "src" / "torchprimer" / "training" / "launch.py", folder / "training")
    return folder


def run(program: Path, out: Path, stop: int = 0) -> list[dict[str, list[object]]]:
    """What each process has written."""
    environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])}
    command = [sys.executable, str(program), str(out), str(stop)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(2)] if not stop else []


def test_processes_draw_different_numbers_and_agree_on_the_weights(program: Path, tmp_path: Path) -> None:
    """Dropout masks of rank 0 and 1 were equal: their shards were augmented and dropped out alike."""
    first, second = run(program, tmp_path)
    assert first["weights"] == second["weights"]
    assert len(first["masks"]) == len(second["masks"]) == 3
    for one, other in zip(first["masks"], second["masks"], strict=True):
        assert one != other
    assert first["listening"] == []  # torchrun's TCP store unpickles what anybody sends to its port


def test_an_interrupted_training_of_two_processes_ends_with_the_same_weights(program: Path, tmp_path: Path) -> None:
    """With dropout, too: the random numbers of rank 1 follow from the seed and the epoch."""
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    resumed.mkdir()
    expected = run(program, whole)
    run(program, resumed, stop=1)
    assert (resumed / "state.pt").is_file()
    assert [result["weights"] for result in run(program, resumed)] == [result["weights"] for result in expected]
