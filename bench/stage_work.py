"""`python bench/own_work.py STAGE ITEM`: seconds of a stage without MLflow, done twice in one process.

Run by commands.py in a copy of the project; what is imported or cached late is there by then.
"""

import sys
import time
from importlib import import_module
from pathlib import Path
from unittest import mock

sys.path[0] = str(Path.cwd() / "src")

from torchprimer.params import load  # noqa: E402

if __name__ == "__main__":
    name, item = sys.argv[1:]
    stage, params = import_module(f"torchprimer.stages.{name}"), load()
    stage.run(params, item, mock.Mock())
    started = time.perf_counter()
    stage.run(params, item, mock.Mock())
    print(time.perf_counter() - started)
