"""One training in several processes, which torchrun starts: how many there are, and which of them this is."""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

MARK = "TORCHELASTIC_RUN_ID"  # in the environment of what torchrun has started


def count() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if MARK in os.environ else 1


def rank() -> int:
    """The number of this one among them; the first, 0, is the one that writes files and tells MLflow."""
    return int(os.environ["RANK"]) if MARK in os.environ else 0


def start(wanted: int) -> int | None:
    """Has torchrun run this command in so many processes.

    Returns:
        Its exit code; None in these processes themselves, or if one is enough.
    """
    if MARK in os.environ:
        threading.Thread(target=_end_with_parent, args=[os.getppid()], daemon=True).start()
        return None
    if wanted == 1:
        return None
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // wanted)))
    logging.disable(logging.ERROR)  # torchrun's: the command itself says what went wrong
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    alone: dict[str, Any] = {
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0",
        "run_id": str(os.getpid()),
        "max_restarts": 0,
        "logs_specs": DefaultLogsSpecs(log_dir=os.devnull),  # else each run leaves an empty folder under /tmp
    }
    try:
        elastic_launch(LaunchConfig(1, 1, wanted, **alone), sys.executable)(
            str(Path(__file__).parents[1]), *sys.argv[1:]
        )
    except ChildFailedError:
        return 1
    except SignalException:
        raise KeyboardInterrupt from None
    return 0


def _end_with_parent(parent: int) -> None:
    """What torchrun does not see to itself if it is killed: nobody would stop a training that goes on."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
