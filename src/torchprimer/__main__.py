"""`python src/torchprimer STAGE ITEM`, as dvc.yaml calls it: always the code beside that dvc.yaml.

DVC runs some experiments in a copy of the project; an installed `torchprimer` would be the main checkout's.
"""

import gc
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # instead of this folder: its modules are no top-level ones
    gc.set_threshold(100_000, 20, 20)  # importing torch makes objects by the hundred thousand, and no garbage
    try:
        from torchprimer.cli.app import main

        sys.exit(main())
    except ModuleNotFoundError as error:
        sys.exit(
            f"torchprimer: {sys.executable} has no package '{error.name}': "
            "activate the project's environment (source .venv/bin/activate), or make it with `make install`"
        )
    finally:
        gc.freeze()  # else Python looks through all of them once more at its end: half a second
