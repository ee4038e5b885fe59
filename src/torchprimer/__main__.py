"""`python src/torchprimer STAGE ITEM`, the command in dvc.yaml: it always runs the code beside that dvc.yaml.

DVC runs some experiments in a copy of the project, where an installed `torchprimer` would be that of the main checkout.
"""

import gc
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # Python puts this folder there: its modules are no packages
    gc.set_threshold(100_000, 20, 20)  # importing PyTorch creates hundreds of thousands of objects, no garbage
    try:
        from torchprimer.cli.app import main

        sys.exit(main())
    except KeyboardInterrupt:  # before `main` handles it
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.exit(
            f"torchprimer: {sys.executable} has no package '{error.name}': "
            "activate the project's environment (source .venv/bin/activate), or create it with `make install`"
        )
    finally:
        gc.freeze()  # else Python examines all objects once more at exit, for half a second
