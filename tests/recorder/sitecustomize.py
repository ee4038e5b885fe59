"""Python imports this at its start if the folder is in PYTHONPATH: records what a stage of the pipeline imports.

At the end of `python src/torchprimer STAGE ITEM` a line is appended to the file that TORCHPRIMER_IMPORTS names: the
stage, and the modules of the project that it has imported. `torchprimer repro` forks its stages from a process that has
started this way; at the end of a stage it calls the functions that are registered with `atexit`.
"""

import atexit
import json
import os
import sys
from pathlib import Path


def record() -> None:
    program, *arguments = sys.argv
    if program == "src/torchprimer":
        imported = [name for name in sys.modules if name.startswith("torchprimer.")]
        with Path(os.environ["TORCHPRIMER_IMPORTS"]).open("a") as file:
            print(json.dumps(["@".join(arguments), imported]), file=file)


atexit.register(record)
