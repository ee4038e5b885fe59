"""The only place that defines where each stage reads and writes."""

import os
from collections.abc import Callable
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


def main_checkout() -> Path:
    """What outlives a run: the main checkout, also when DVC runs an experiment in a temporary copy of it.

    DVC sets DVC_ROOT for every stage; `dvc exp run --temp` and the queue throw their own folder away.
    """
    return Path(os.environ.get("DVC_ROOT") or project())


def params() -> Path:
    return project() / "params.yaml"


def catalog() -> Path:
    return project() / "data" / "catalog.yaml"


def params_checked() -> Path:
    return project() / "data" / "params.checked"


def _named(folder: str, suffix: str = "") -> Callable[[str], Path]:
    return lambda name: project() / folder / f"{name}{suffix}"


raw = _named("data/raw")  # of a source
split = _named("data/splits", ".csv")  # of a dataset
rejected = _named("data/splits", ".rejected.csv")
prepared = _named("data/prepared")
baseline = _named("metrics/baselines", ".json")
model = _named("models")  # of an experiment
export = _named("models", ".export")
metrics = _named("metrics")


def report() -> Path:
    return project() / "reports" / "index.html"


def checkpoint(experiment: str, fingerprint: str) -> Path:
    """State of an unfinished training; outside the stage's outputs, which DVC deletes before it reruns a stage."""
    return main_checkout() / ".checkpoints" / f"{experiment}-{fingerprint[:16]}.pt"


def tensorboard(experiment: str, run: str) -> Path:
    """Events of one run, beside its history; no output of the stage, since they differ each time."""
    return main_checkout() / "metrics" / experiment / "tensorboard" / run
