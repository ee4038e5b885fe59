"""Damaged or missing files of an experiment: one line that names the file and the command that restores it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.clone import PROJECT, clean_environment
from torchprimer import paths
from torchprimer.cli.app import main

DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(bytes(range(256)) * 4),
    "other": lambda file: file.write_bytes(b"[1]"),
}
TYPES = {
    "a text": lambda file: file.write_bytes(b'{"parameters": "many", "accuracy": "high"}'),
    "a list": lambda file: file.write_bytes(b'{"parameters": [2], "accuracy": [1.0]}'),
}
TABLES = {
    "other columns": lambda file: file.write_bytes(file.read_bytes().replace(b"epoch", b"hcope")),
    "a text": lambda file: file.write_bytes(file.read_bytes().replace(b"\n9,", b"\n9,x")),
    "a gap": lambda file: file.write_bytes(file.read_bytes().replace(b"\n9,", b"\n,")),
    "no rows": lambda file: file.write_bytes(file.read_bytes().splitlines(keepends=True)[0]),
}
MISSING = {"missing": lambda file: file.unlink()}
RETRAIN = "`dvc repro train@hours_logistic`"
EXPORT = "export it again (dvc repro export@hours_logistic)"
CASES = [
    ("models/hours_logistic/model.safetensors", "show hours_logistic", RETRAIN, {**DAMAGES, **MISSING}),
    ("models/hours_logistic/model.safetensors", "show hours_logistic net.1.weight", RETRAIN, {**DAMAGES, **MISSING}),
    ("models/hours_logistic/model.safetensors", "export hours_logistic", RETRAIN, DAMAGES),
    ("models/hours_logistic/experiment.json", "show hours_logistic", RETRAIN, DAMAGES),
    ("models/hours_logistic/experiment.json", "evaluate hours_logistic", RETRAIN, DAMAGES),
    ("models/hours_logistic/experiment.json", "list", RETRAIN, DAMAGES),
    ("metrics/hours_logistic/train.json", "list", RETRAIN, DAMAGES | TYPES),
    ("metrics/hours_logistic/train.json", "export hours_logistic", RETRAIN, DAMAGES | TYPES),
    ("metrics/hours_logistic/timing.json", "list", "delete it", DAMAGES),  # DVC does not track it
    ("metrics/hours_logistic/test.json", "export hours_logistic", "`dvc repro evaluate@hours_logistic`", TYPES),
    ("metrics/hours_logistic/test.json", "report", "`dvc repro evaluate@hours_logistic`", TYPES),
    ("metrics/hours_logistic/history.csv", "evaluate hours_logistic", RETRAIN, DAMAGES | TABLES),
    ("metrics/hours_logistic/history.csv", "report", RETRAIN, DAMAGES | TABLES),
    ("models/hours_logistic/samples.npy", "evaluate hours_logistic", RETRAIN, DAMAGES),
    ("metrics/baselines/hours.json", "report", "`dvc repro baseline@hours`", DAMAGES | {
        "a number": lambda file: file.write_bytes(b'{"dummy": 1}'), **TYPES}),
    ("metrics/hours_logistic/test.json", "show hours_logistic", "`dvc repro evaluate@hours_logistic`", DAMAGES),
    ("models/hours_logistic.export/model.json", "show hours_logistic", "`dvc repro export@hours_logistic`", DAMAGES),
    ("models/hours_logistic.export/model.json", "predict hours_logistic hours=2", EXPORT, DAMAGES),
    ("models/hours_logistic.export/model.onnx", "predict hours_logistic hours=2", EXPORT, DAMAGES),
    ("models/hours_logistic.export/model.onnx", "generate hours_logistic out.png", EXPORT, DAMAGES),
    ("models/hours_logistic.export/model.onnx", "predict hours_logistic hours=2", "(dvc repro export@hours_logistic)",
     MISSING),
    ("models/hours_logistic.export/model.json", "predict hours_logistic hours=2",
     "is not exported yet: dvc repro export@hours_logistic", MISSING),
]  # fmt: skip


@pytest.mark.parametrize(("file", "command", "remedy", "damages"), CASES)
def test_damaged_file(
    hours: Path, file: str, command: str, remedy: str, damages: dict[str, Callable[[Path], object]],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(hours)
    np.save(hours / "models" / "hours_logistic" / "samples.npy", np.zeros((2, 3)))  # as of a GAN
    paths.project.cache_clear()
    content = (hours / file).read_bytes()
    folder = str(Path(file).parent)
    for damage, apply in damages.items():
        (hours / file).write_bytes(content)
        apply(hours / file)
        code = main(command.split())
        message = capsys.readouterr().err
        assert (code, len(message.splitlines())) == (1, 1), f"{damage}: {message}"
        assert message.startswith("torchprimer: ")
        assert remedy in message
        assert folder in message or damage == "missing"
    (hours / file).write_bytes(content)
    assert main(command.split()) == (0 if "generate" not in command else 1)  # it is not a generator
    paths.project.cache_clear()


def test_damaged_file_without_a_traceback_in_its_own_process(hours: Path) -> None:
    (hours / "models" / "hours_logistic" / "model.safetensors").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, str(PROJECT / "src" / "torchprimer"), "show", "hours_logistic"],
        cwd=hours, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "torchprimer: models/hours_logistic/model.safetensors cannot be read (Error while deserializing header: header "
        "too small): `dvc repro train@hours_logistic` restores it from DVC's cache, or trains the model again"
    ]
