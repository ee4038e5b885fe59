"""Fixtures of all tests: real data, downloaded once, and throw-away copies of the whole project."""

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.clone import PROJECT, SMALL_SET, Clone, keep_experiments, run_reduced, whole_pipeline
from torchprimer import params, paths
from torchprimer.sources import fetch

if TYPE_CHECKING:
    from torchprimer.predictor import Predictor

pytest_plugins = ["tests.browser"]  # the fixture `chromium`
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in background jobs of a shell; child processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # for the same reason
if "PYTEST_XDIST_WORKER" in os.environ:  # PyTorch's threads of several test processes would compete
    os.environ.setdefault("OMP_NUM_THREADS", "1")

FIRST = ["test_pipeline.py", "test_stock_dvc.py", "test_reruns_and_recovery.py", "test_extending.py", "test_bench.py"]

EXTENSIBLE_SET = ("iris_pca_softmax", "line_search", "mnist_autoencoder")  # the data of their tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that runs the reduced pipeline comes first, the other files that need its result come last.

    Each process of pytest-xdist takes one file after the other, in this order: no process waits for the reduced
    pipeline while there are tests that do not need it. Of these the longest files come first.
    """

    def rank(item: pytest.Item) -> int:
        if item.path.name in FIRST:
            return FIRST.index(item.path.name)
        return len(FIRST) + (item.path in last)

    last = {item.path for item in items if "reduced_project" in getattr(item, "fixturenames", ())}
    items.sort(key=rank)


@pytest.fixture(scope="session")
def dvc_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One DVC cache for all copies: a copy restores the downloads of the earlier ones."""
    return tmp_path_factory.mktemp("dvc_cache")


@pytest.fixture
def make_clone(tmp_path: Path, dvc_cache: Path) -> Callable[[], Clone]:
    """A function that makes a copy of the project; one test may need several."""

    def make() -> Clone:
        folder = tmp_path / f"clone{len(list(tmp_path.glob('clone*')))}"
        folder.mkdir()
        return Clone(folder, dvc_cache)

    return make


@pytest.fixture
def clone(make_clone: Callable[[], Clone]) -> Clone:
    return make_clone()


@pytest.fixture(scope="session")
def reduced_project(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path) -> Clone:
    """A copy of the project in which `torchprimer repro` has run the whole reduced pipeline; shared by all tests.

    With several test processes the first that needs it runs the pipeline, and the others copy its folder.
    """
    folder = tmp_path_factory.getbasetemp() / "reduced_project"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return whole_pipeline(folder, dvc_cache)
    original = folder.parents[1] / "reduced_project"
    with FileLock(f"{original}.lock"):
        if not original.exists():
            clone = whole_pipeline(folder, dvc_cache)
            shutil.copytree(folder, original, symlinks=True)
            (original / "location").write_text(str(folder))
            return clone
    shutil.copytree(original, folder, symlinks=True)
    old, new = (folder / "location").read_text(), str(folder)  # MLflow stores absolute paths
    (folder / "location").unlink()
    for file in folder.glob("mlartifacts/models/*/artifacts/MLmodel"):
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        content = "\n".join(database.iterdump()).replace(old, new)
    for file in folder.glob("mlflow.db*"):
        file.unlink()
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executescript(content)
    return Clone(folder)


@pytest.fixture
def unchanged(reduced_project: Clone) -> Iterator[Clone]:
    """The reduced pipeline; afterwards its tracked files are as before the test."""
    with reduced_project.restored():
        yield reduced_project


@pytest.fixture(scope="session")
def open_export(reduced_project: Clone) -> "Callable[[str], Predictor]":
    """A function that opens the export of an experiment; each is opened once."""
    from torchprimer.predictor import Predictor

    opened: dict[str, Predictor] = {}

    def get(name: str) -> Predictor:
        if name not in opened:
            opened[name] = Predictor(reduced_project.folder / "models" / f"{name}.export")
        return opened[name]

    return get


@pytest.fixture
def in_the_clone(reduced_project: Clone, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the reduced pipeline, as the working directory."""
    monkeypatch.chdir(reduced_project.folder)
    paths.project.cache_clear()
    return reduced_project.folder


@pytest.fixture(scope="session")
def shared_small_project(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy of the project with the experiments of SMALL_SET and their data alone, run through, reduced."""
    cache = tmp_path_factory.mktemp("small_cache")  # its own: MLflow hears nothing of stages that a run cache restores
    clone = Clone(tmp_path_factory.mktemp("small_project"), cache)
    keep_experiments(clone, SMALL_SET)
    run_reduced(clone)
    return clone


@pytest.fixture
def small_project(shared_small_project: Clone) -> Iterator[Clone]:
    """That copy; afterwards its tracked files are as before the test."""
    with shared_small_project.restored():
        yield shared_small_project


@pytest.fixture(scope="session")
def extensible(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path) -> Clone:
    """A copy of the project with three experiments, at most 64 samples in a split and 2 epochs."""
    clone = Clone(tmp_path_factory.mktemp("extending"), dvc_cache)
    keep_experiments(clone, EXTENSIBLE_SET)
    for key, value in (("limit", 64), ("epochs", 2)):
        clone.replace("params.yaml", f"\n{key}:\n", f"\n{key}: {value}\n")
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m 'a small project'")
    return clone


@pytest.fixture
def extended(extensible: Clone) -> Iterator[Clone]:
    """That copy; what a test adds is taken back afterwards."""
    yield extensible
    extensible("git add -A && git reset -q --hard && git checkout -q main && git clean -qfd")


@pytest.fixture(scope="session")
def real_raw(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that returns the folder of a raw source of params.yaml: linked to data/raw, or downloaded."""
    folders: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in folders:
            os.chdir(PROJECT)
            download = params.load().downloads[name]
            folders[name] = tmp_path_factory.mktemp("raw")
            for file in download.checksums:
                if (present := paths.raw(name) / file).is_file():
                    (folders[name] / file).symlink_to(present)
            fetch(download, folders[name])
        return folders[name]

    return get


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts in the project's folder, without the variables of a DVC run that started the tests."""
    monkeypatch.chdir(PROJECT)
    for name in list(os.environ):
        if name.startswith(("DVC_", "MLFLOW_")):
            monkeypatch.delenv(name)
    paths.project.cache_clear()
    yield
    paths.project.cache_clear()
