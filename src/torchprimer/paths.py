"""Where each stage reads and writes. No other file knows."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from torchprimer.errors import UserError


@cache
def project() -> Path:
    """The folder that holds the dvc.yaml of the working directory, or of the nearest folder above it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise UserError(f"no dvc.yaml in {here} or above it: change into the project's folder first")


def root() -> Path:
    """What outlives a run: the main checkout, also when DVC runs an experiment in a temporary copy of it.

    DVC sets DVC_ROOT for every stage; `dvc exp run --temp` and the queue throw their own folder away.
    """
    return Path(os.environ.get("DVC_ROOT") or project())


def params() -> Path:
    return project() / "params.yaml"


def params_checked() -> Path:
    return project() / "data" / "params.checked"


def raw(source: str) -> Path:
    return project() / "data" / "raw" / source


def split(dataset: str) -> Path:
    return project() / "data" / "splits" / f"{dataset}.csv"


def rejected(dataset: str) -> Path:
    return project() / "data" / "splits" / f"{dataset}.rejected.csv"


def prepared(dataset: str) -> Path:
    return project() / "data" / "prepared" / dataset


def model(experiment: str) -> Path:
    return project() / "models" / experiment


def export(experiment: str) -> Path:
    return project() / "models" / f"{experiment}.export"


def metrics(experiment: str) -> Path:
    return project() / "metrics" / experiment


def checkpoint(experiment: str, fingerprint: str) -> Path:
    """State of an unfinished training; outside the stage's outputs, which DVC deletes before it reruns a stage."""
    return root() / ".checkpoints" / f"{experiment}-{fingerprint[:16]}.pt"


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to be written as file or folder; renamed to `target` only if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    remove(partial)
    try:
        yield partial
        if target.is_dir():
            remove(target)  # a folder cannot be renamed over another one that has files in it
        partial.replace(target)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Deletes a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
