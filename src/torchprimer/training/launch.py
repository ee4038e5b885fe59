"""Starts the processes of a distributed training with torchrun, and tells each its rank."""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

TORCHRUN_ENV = "TORCHELASTIC_RUN_ID"  # set in the environment of processes started by torchrun
STORE_ENV = "TORCHPRIMER_DISTRIBUTED_STORE"  # file through which the processes find each other


def world_size() -> int:
    """Number of processes started by torchrun; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if TORCHRUN_ENV in os.environ else 1


def rank() -> int:
    """Rank of this process. Rank 0 writes the files and logs to MLflow."""
    return int(os.environ["RANK"]) if TORCHRUN_ENV in os.environ else 0


def launch_torchrun(processes: int) -> int | None:
    """Runs this command in several processes, which meet through files in a folder that only this user can open.

    PyTorch's default, a TCP store on the loopback device, unpickles what any user of the machine sends.

    Returns:
        The exit code of torchrun; None inside of the processes it started, and if `processes` is 1.

    Raises:
        KeyboardInterrupt: torchrun was stopped by a signal.
    """
    if TORCHRUN_ENV in os.environ:
        threading.Thread(target=exit_with_parent, args=[os.getppid()], daemon=True).start()
        return None
    if processes == 1:
        return None
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # otherwise torchrun opens a TCP store beside the file
    logging.disable(logging.ERROR)  # torchrun's own: the command itself reports its errors
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="torchprimer-") as folder:  # readable for this user only
        os.environ[STORE_ENV] = f"{folder}/store"
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, max_restarts=0, run_id=str(os.getpid()),
            rdzv_backend="c10d", rdzv_endpoint=f"{folder}/rendezvous", rdzv_configs={"store_type": "file"},
            logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # otherwise each run leaves an empty folder in /tmp
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)(str(Path(__file__).parents[1]), *sys.argv[1:])
        except ChildFailedError:
            return 1
        except SignalException:
            raise KeyboardInterrupt from None
    return 0


def exit_with_parent(parent: int) -> None:
    """Ends this process when torchrun was killed: a killed torchrun cannot stop its processes itself."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
