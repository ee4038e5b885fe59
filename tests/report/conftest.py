"""The project as git has it: working copies may have other metrics after a `dvc repro`."""

import subprocess
from pathlib import Path

import pytest

from tests.clone import PROJECT
from torchprimer import paths


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the committed params.yaml, metrics and docs; the current directory."""
    files = ("dvc.yaml", "params.yaml", "data/catalog.yaml", "metrics", "docs", "README.md", "README.zh-CN.md")
    archive = subprocess.run(["git", "archive", "HEAD", *files], cwd=PROJECT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    return tmp_path
