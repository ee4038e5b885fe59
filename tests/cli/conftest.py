"""A small finished experiment: fitted to three rows, with all its files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment

STAGES = (
    "download hours", "split hours", "preprocess hours", "train hours_logistic", "evaluate hours_logistic",
    "export hours_logistic", "baseline hours",
)  # fmt: skip


@pytest.fixture(scope="session")
def finished_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose experiment hours_logistic has been trained, evaluated and exported. Tests work on copies."""
    folder = tmp_path_factory.mktemp("hours")
    (folder / "data").mkdir()
    for name in ("dvc.yaml", "params.yaml", "data/catalog.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for stage in STAGES:
        command = [sys.executable, str(folder / "src" / "torchprimer"), *stage.split()]
        subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=True)
    return folder


@pytest.fixture
def hours(finished_hours: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished_hours, tmp_path / "project"))
