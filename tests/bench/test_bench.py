"""Every line of the bench runs, on a few samples: its numbers mean nothing here, its commands and data are real."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.__main__ import LINES, LONG, main
from bench.measure import Options
from tests.clone import Clone, keep_experiments
from torchprimer import paths

SAMPLES = 64
EXPERIMENTS = ("mnist_mlp", "mnist_cnn", "reviews_bow", "dogs_vs_cats_cnn")  # those that the lines measure


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many JPEGs as the bench asks for, in a folder for each of two classes."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(SAMPLES):
        file = folder / ("cat", "dog")[i % 2] / f"{i}.jpg"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, real_raw: Callable[[str], Path], photos: Path) -> Options:
    """One folder for all lines: they share the prepared data."""
    temporary = tmp_path_factory.mktemp("bench")
    (temporary / "raw").mkdir()
    for source in ("mnist", "reviews"):
        shutil.copytree(real_raw(source), temporary / "raw" / source)
    return Options(temporary, repeat=1, epochs=1, photos=photos, limit=SAMPLES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path) -> Path:
    """A copy of the project with four experiments: the lines copy it in their turn, and DVC takes less time."""
    clone = Clone(tmp_path_factory.mktemp("project"), dvc_cache)
    keep_experiments(clone, EXPERIMENTS)
    return clone.folder


@pytest.mark.parametrize("line", [line for line in LINES if line not in LONG])
def test_line_is_measured(options: Options, project: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    paths.project.cache_clear()
    result = LINES[line](options)
    assert result.name == line
    assert result.ours > 0
    assert result.ratio is None or result.ratio > 0
    if line in ("train", "evaluate", "export"):
        assert (options.temporary / "project" / "mlflow.db").is_file()


def test_both_commands_run_the_same_pipeline(options: Options, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_experiments(clone, ["hours_logistic"])
    monkeypatch.chdir(clone.folder)
    paths.project.cache_clear()
    result = LINES["pipeline"](options)
    assert result.note.startswith("two jobs against dvc repro, limit=64, epochs=1; with one job")
    assert "DIFFER" not in result.note
    assert result.ours > 0
    assert result.reference
    assert not list(options.temporary.glob("pipeline-*"))


def test_the_table_and_the_results_of_a_command(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    command = f"photos preprocess --limit {SAMPLES} --repeat 1 --photos {photos} --output {output}"
    assert main(command.split()) in (0, 1)
    table = capsys.readouterr().out
    results = json.loads(output.read_text())["lines"]
    assert [result["name"] for result in results] == ["photos", "preprocess"]
    assert results[0]["note"] == f"{SAMPLES} photos of 128 x 128, of --photos"
    for result in results:
        assert f"{result['ours_seconds']:.2f} s" in table
        assert result["ok"] == (result["ratio"] >= result["ratio at least"])


def test_a_mistake_on_the_command_line_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist_cn"]) == 2
    assert "no line 'mnist_cn'" in capsys.readouterr().err
    assert main(["photos", "--repeat", "0"]) == 2
    assert capsys.readouterr().err == "bench: --repeat 0: must be 1 or more\n"


def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make install` does not install what only the reference needs."""
    monkeypatch.setitem(sys.modules, "jieba", None)
    assert main(["tokenizing"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "bench: no package 'jieba': `make bench` installs it"
