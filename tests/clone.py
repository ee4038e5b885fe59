"""Copies of the project that a test may change, and the processes that run in them."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
RECORDER = PROJECT / "tests" / "recorder"  # has a sitecustomize.py
REDUCED = "-S limit=256 -S epochs=1"
SMALL_SET = ("diabetes_tuned", "mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn")  # experiments of the small project


def clean_environment() -> dict[str, str]:
    """The caller's environment without variables that select another store or repository; this Python is first."""
    prefixes = ("DVC_", "MLFLOW_", "GIT_", "COLUMNS")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    author = {
        f"GIT_{role}_{part}": f"tests{host}"
        for role in ("AUTHOR", "COMMITTER")
        for part, host in (("NAME", ""), ("EMAIL", "@localhost"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return inherited | author | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that runs beside the test. If the test fails it is killed; `Popen` alone would wait for its end."""
    with subprocess.Popen(command, **({"env": clean_environment()} | options)) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


class Clone:
    """A copy of the project, a git repository with its own DVC cache, that a test may change.

    Attributes:
        environment: of the copy's commands; `torchprimer` runs the copy's code.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        """`cache`: DVC's cache folder; None: the folder is a copy already."""
        self.folder = folder
        self.environment = clean_environment() | {"PYTHONPATH": str(folder / "src")}
        if cache is None:
            return
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listing.stdout.split("\0")):
            if (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)
        self("git init -q -b main")
        self("git add -A")
        self("git commit -q -m start")
        self(f"dvc config --local cache.dir {cache}")

    def __call__(self, command: str, *, fails: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell command in the copy; the test fails if its exit code is not as expected."""
        process = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment | environment,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=5000,
        )  # fmt: skip
        assert (process.returncode != 0) == fails, (
            f"{command}: {process.returncode}\n{process.stdout}\n{process.stderr}"
        )
        return process

    def outputs(self) -> dict[Path, tuple[int, int]]:
        """Time of the last change and size of every file that DVC tracks."""
        folders = [self.folder / name for name in ("data", "models", "reports")]
        folders += self.folder.glob("metrics/*/test")
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Afterwards all files that git or DVC track are as before the block."""
        before = self.outputs()
        yield
        # without its index git compares contents: DVC leaves one that calls params.yaml clean if only its bytes differ
        self("rm .git/index && git reset -q --hard")
        if self.outputs() != before:
            self("dvc checkout -q --force")

    def replace(self, file: str, old: str, new: str) -> None:
        """Edits a file of the copy; the test fails if `old` is not in it."""
        text = (self.folder / file).read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        (self.folder / file).write_text(text.replace(old, new, 1), "utf-8")


def whole_pipeline(folder: Path, cache: Path) -> Clone:
    """Runs the whole reduced pipeline in a new copy of the project, and records what each stage imports."""
    folder.mkdir()
    clone = Clone(folder, cache)
    path = os.pathsep.join([str(RECORDER), clone.environment["PYTHONPATH"]])
    run_reduced(clone, PYTHONPATH=path, TORCHPRIMER_IMPORTS=str(folder / ".git" / "imports.jsonl"))
    return clone


def run_reduced(clone: Clone, **environment: str) -> None:
    """Without dvc.lock and metrics/: with them DVC would skip the stages that do not depend on limit and epochs."""
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m no_results")
    clone(f"torchprimer repro {REDUCED} --name small", **environment)
    clone("git add -A && git commit -q -m reduced")


def executed(output: str) -> set[str]:
    """The stages that `dvc repro` or `torchprimer repro` ran."""
    return set(re.findall(r"^(?:Running stage ')?([\w@]+)(?:':|: started)$", output, re.MULTILINE))


def keep_experiments(clone: Clone, names: Collection[str]) -> None:
    """Removes all other experiments from params.yaml, and the datasets and downloads that only they need."""
    from ruamel.yaml import YAML

    yaml = YAML()  # keeps the layout of the file
    yaml.width = 1000
    files = clone.folder / "params.yaml", clone.folder / "data" / "catalog.yaml"
    content, catalog = (yaml.load(file.read_text("utf-8")) for file in files)

    def keep(section: str, names: Collection[str]) -> None:
        for name in [name for name in content[section] if name not in names]:
            del content[section][name]
        content[section] = content[section] or {}  # an emptied mapping would be written at the wrong indentation

    keep("experiments", names)
    keep("crossvalidate", names)
    content["features"] = {}
    keep("datasets", {entry["dataset"] for entry in content["experiments"].values()})
    raw = {entry["raw"] for entry in content["datasets"].values()}
    catalog["downloads"] = {name: entry for name, entry in catalog["downloads"].items() if name in raw}
    for file, text in zip(files, (content, catalog), strict=True):
        with file.open("w", encoding="utf-8") as stream:
            yaml.dump(text, stream)
