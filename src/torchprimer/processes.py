"""One training in several processes, which torchrun starts: how many there are, and which of them this is."""

import os
import sys
from pathlib import Path

MARK = "TORCHELASTIC_RUN_ID"  # in the environment of what torchrun has started


def count() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if MARK in os.environ else 1


def rank() -> int:
    """The number of this one among them; the first, 0, is the one that writes files and tells MLflow."""
    return int(os.environ["RANK"]) if MARK in os.environ else 0


def start(wanted: int) -> None:
    """Becomes torchrun, which starts what runs now so many times; returns if that is done, or one is enough."""
    if wanted > 1 and MARK not in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // wanted)))
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(wanted)]
        os.execv(sys.executable, [sys.executable, *torchrun, str(Path(__file__).parent), *sys.argv[1:]])
