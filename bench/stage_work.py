"""`python bench/stage_work.py STAGE ITEM`: prints the seconds of a stage's work, without process start and MLflow.

commands.py runs it in a copy of the project, after the stage. For `train` these are the seconds of the epochs in its
history. The other stages run twice in this process, and the second time counts: everything is imported by then.
"""

import csv
import sys
import time
from importlib import import_module
from pathlib import Path
from unittest import mock

sys.path[0] = str(Path.cwd() / "src")

from torchprimer import paths  # noqa: E402
from torchprimer.params import load  # noqa: E402


def work_seconds(name: str, item: str) -> float:
    if name == "train":
        with (paths.metrics(item) / "history.csv").open(encoding="utf-8", newline="") as stream:
            return sum(float(row["epoch_seconds"]) for row in csv.DictReader(stream))
    stage, params = import_module(f"torchprimer.stages.{name}"), load()
    stage.run(params, item, mock.Mock())
    started = time.perf_counter()
    stage.run(params, item, mock.Mock())
    return time.perf_counter() - started


if __name__ == "__main__":
    print(work_seconds(*sys.argv[1:]))
