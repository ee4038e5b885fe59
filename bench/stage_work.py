"""`python bench/stage_work.py STAGE ITEM`: prints the seconds of a stage's work, without process start and MLflow.

commands.py runs it in a copy of the project, after the stage. For `train` these are the seconds of its epochs, from
timing.json. The other stages run twice in this process, and the second time counts: everything is imported by then.
"""

import json
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
        timing = json.loads((paths.metrics(item) / "timing.json").read_text("utf-8"))
        return sum(timing["epoch_seconds"], 0.0)
    stage, params = import_module(f"torchprimer.stages.{name}"), load()
    stage.run(params, item, mock.Mock())
    started = time.perf_counter()
    stage.run(params, item, mock.Mock())
    return time.perf_counter() - started


if __name__ == "__main__":
    print(work_seconds(*sys.argv[1:]))
