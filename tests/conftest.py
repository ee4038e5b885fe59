"""What the tests share: real data, fetched once, and throw-away copies of the whole project."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from tests import forks
from torchprimer import params, paths
from torchprimer.sources import fetch

if TYPE_CHECKING:
    from torchprimer.predictor import Predictor

pytest_plugins = ["tests.browser"]  # the fixture `chromium`
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # likewise
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes of tests: PyTorch's threads would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT = Path(__file__).resolve().parents[1]
REDUCED = "-S limit=256 -S epochs=1"
FEW = ("diabetes_tuned", "mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that makes the reduced pipeline comes first, the others that need it last.

    pytest-xdist's processes take a file each, in this order: nobody waits for it who has something else to do.
    """

    def turn(item: pytest.Item) -> int:
        return 0 if item.path.name == "test_pipeline.py" else 2 if item.path in later else 1

    later = {item.path for item in items if "reduced" in getattr(item, "fixturenames", ())}
    items.sort(key=turn)


def clean_environment() -> dict[str, str]:
    """The caller's environment without what would lead a run elsewhere, and this Python first."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_", "GIT_", "COLUMNS"))
    }
    who = {f"GIT_{role}_{part}": f"tests{at}" for role in ("AUTHOR", "COMMITTER") for part, at in (("NAME", ""), ("EMAIL", "@localhost"))}  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | who | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process beside the test. When the test fails it is killed: `Popen` alone would wait for its end, for ever."""
    with subprocess.Popen(command, **({"env": clean_environment()} | options)) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


class Clone:
    """A copy of the project, with a git history and a DVC cache of its own, that a test may do anything to.

    Attributes:
        first: a folder to put first into PATH; None: its commands are those of the tests' environment.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        """`cache`: of DVC; None: what is in the folder is a copy already."""
        self.folder = folder
        self.first: Path | None = None
        if cache is None:
            return
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)
        self("git init -q -b main")
        self("git add -A")
        self("git commit -q -m start")
        self(f"dvc config --local cache.dir {cache}")

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        given = clean_environment()
        return given | {"PATH": os.pathsep.join([str(self.first), given["PATH"]])} if self.first else given

    def __call__(self, command: str, *, fails: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell command in the copy; the test fails if its exit code is not as expected."""
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment | environment,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=5000,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def outputs(self) -> dict[Path, tuple[int, int]]:
        """What DVC keeps, file by file: when it was written, its size."""
        folders = [self.folder / name for name in ("data", "models", "reports")]
        folders += self.folder.glob("metrics/*/test")
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Whatever the block changes in files that git or DVC know is taken back."""
        before = self.outputs()
        yield
        # without its index git compares contents: DVC leaves one that calls params.yaml clean if only its bytes differ
        self("rm .git/index && git reset -q --hard")
        if self.outputs() != before:
            self("dvc checkout -q --force")

    def replace(self, file: str, old: str, new: str) -> None:
        """Edits a file of the copy; what is replaced has to be there."""
        text = (self.folder / file).read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        (self.folder / file).write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture(scope="session")
def forking() -> Iterator[Path]:
    """For `Clone.first`: a `python` and a `dvc` that save time, see tests/forks.py."""
    with forks.forking() as folder:
        yield folder


@pytest.fixture(scope="session")
def dvc_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One DVC cache for all copies: what one has downloaded, the next restores."""
    return tmp_path_factory.mktemp("dvc_cache")


@pytest.fixture
def make_clone(tmp_path: Path, dvc_cache: Path) -> Callable[[], Clone]:
    """Makes copies of the project; one test may need several."""

    def make() -> Clone:
        folder = tmp_path / f"clone{len(list(tmp_path.glob('clone*')))}"
        folder.mkdir()
        return Clone(folder, dvc_cache)

    return make


@pytest.fixture
def clone(make_clone: Callable[[], Clone]) -> Clone:
    return make_clone()


@pytest.fixture(scope="session")
def reduced(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path, forking: Path) -> Clone:
    """A copy of the project in which `dvc exp run` has run the reduced pipeline from nothing; shared by all tests.

    Of several processes of tests the first that needs it makes it, and the others get copies.
    """
    own = tmp_path_factory.getbasetemp() / "reduced"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return whole_pipeline(own, dvc_cache, forking)
    original = own.parents[1] / "reduced"
    with FileLock(f"{original}.lock"):
        if not original.exists():
            made = whole_pipeline(own, dvc_cache, forking)
            shutil.copytree(own, original, symlinks=True)
            (original / "where").write_text(str(own))
            return made
    shutil.copytree(original, own, symlinks=True)
    old, new = (own / "where").read_text(), str(own)  # MLflow writes down whole paths
    (own / "where").unlink()
    for file in own.glob("mlartifacts/models/*/artifacts/MLmodel"):
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    with contextlib.closing(sqlite3.connect(own / "mlflow.db")) as database:
        content = "\n".join(database.iterdump()).replace(old, new)
    for file in own.glob("mlflow.db*"):
        file.unlink()
    with contextlib.closing(sqlite3.connect(own / "mlflow.db")) as database:
        database.executescript(content)
    return Clone(own)


def whole_pipeline(folder: Path, cache: Path, forking: Path) -> Clone:
    folder.mkdir()
    clone = Clone(folder, cache)
    clone.first = forking
    run_reduced(clone, TORCHPRIMER_IMPORTS=str(folder / ".git" / "imports.jsonl"))
    clone.first = None  # tests look at what a command imports, and at what DVC itself says
    return clone


def run_reduced(clone: Clone, **environment: str) -> None:
    """From nothing: with the dvc.lock and the scores of git, DVC would not run what the reduction leaves alone."""
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m nothing")
    clone(f"dvc exp run {REDUCED} -n small", **environment)
    clone("git add -A && git commit -q -m reduced")


def keep_experiments(clone: Clone, names: Collection[str]) -> None:
    """Removes all other experiments from params.yaml, and the datasets and downloads that only they need."""
    from ruamel.yaml import YAML

    yaml = YAML()  # keeps the layout of the file
    yaml.width = 1000
    content = yaml.load((clone.folder / "params.yaml").read_text("utf-8"))

    def keep(section: str, names: Collection[str]) -> None:
        for name in [name for name in content[section] if name not in names]:
            del content[section][name]
        content[section] = content[section] or {}  # an emptied mapping would be written at the wrong indentation

    keep("experiments", names)
    keep("crossvalidate", names)
    content["features"] = {}
    keep("datasets", {entry["dataset"] for entry in content["experiments"].values()})
    keep("downloads", {entry["raw"] for entry in content["datasets"].values()})
    with (clone.folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


@pytest.fixture
def unchanged(reduced: Clone) -> Iterator[Clone]:
    """The reduced pipeline; whatever a test changes in tracked files is taken back afterwards."""
    with reduced.restored():
        yield reduced


@pytest.fixture(scope="session")
def open_export(reduced: Clone) -> "Callable[[str], Predictor]":
    """Gives an experiment's exported model."""
    from torchprimer.predictor import Predictor

    opened: dict[str, Predictor] = {}

    def get(name: str) -> Predictor:
        if name not in opened:
            opened[name] = Predictor(reduced.folder / "models" / f"{name}.export")
        return opened[name]

    return get


@pytest.fixture
def in_the_clone(reduced: Clone, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside the reduced pipeline."""
    monkeypatch.chdir(reduced.folder)
    paths.project.cache_clear()
    return reduced.folder


@pytest.fixture(scope="session")
def once_few(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path, forking: Path) -> Clone:
    """A copy of the project with no other experiments than FEW and what they need, run through, reduced."""
    clone = Clone(tmp_path_factory.mktemp("few"), dvc_cache)
    clone.first = forking
    keep_experiments(clone, FEW)
    run_reduced(clone)
    return clone


@pytest.fixture
def few(once_few: Clone) -> Iterator[Clone]:
    """That copy; whatever a test changes in tracked files is taken back afterwards."""
    with once_few.restored():
        yield once_few


@pytest.fixture(scope="session")
def real_raw(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a raw source of params.yaml, as published: from data/raw if it is there, else fetched."""
    fetched: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in fetched:
            os.chdir(PROJECT)
            download = params.load().downloads[name]
            fetched[name] = tmp_path_factory.mktemp("raw")
            for file in download.checksums:  # what `dvc repro` has brought already need not come again
                if (here := paths.raw(name) / file).is_file():
                    (fetched[name] / file).symlink_to(here)
            fetch(download, fetched[name])
        return fetched[name]

    return get


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts in the project's folder, unaware of any DVC run around it."""
    monkeypatch.chdir(PROJECT)
    for name in list(os.environ):
        if name.startswith(("DVC_", "MLFLOW_")):
            monkeypatch.delenv(name)
    paths.project.cache_clear()
    yield
    paths.project.cache_clear()
