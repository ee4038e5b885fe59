"""Runs jobs on the workers of a Dask cluster that share the folder of the project with the runner."""

import hashlib
import logging
import multiprocessing
import os
import platform
import shutil
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from torchprimer.atomic import remove
from torchprimer.errors import UserError
from torchprimer.runner.process import GRACE_SECONDS, Job, Outcome, run_job, start_server

CONNECT_SECONDS = 8
FORWARDED = ("MLFLOW_", "DVC_", "TORCHPRIMER_")  # prefixes of the runner's variables that stages get
LOOK_SECONDS = 5  # between two requests for the list of workers


class Cluster:
    """A connection to the Dask scheduler at `address`; raises UserError if its workers cannot run stages."""

    def __init__(self, address: str, patience: float = 60) -> None:  # seconds without a worker until a stage fails
        if (os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:").startswith("sqlite:"):
            raise UserError("--scheduler needs an MLflow server: set MLFLOW_TRACKING_URI to http://HOST:PORT")
        try:
            import distributed
            from distributed.comm import get_address_host_port

            get_address_host_port(address, strict=True)  # here: a client of a malformed address complains at exit, too
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # the error is in the future
            self.client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except ModuleNotFoundError:
            raise UserError("--scheduler needs Dask: pip install 'torchprimer[cluster]'") from None
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"--scheduler {address}: {' '.join(str(error).split())}") from None
        with suppress(TimeoutError):
            self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        workers, self.patience = self._workers(), patience
        if not workers:
            raise UserError(f"--scheduler {address} has no workers: `dask worker {address} --no-nanny` starts one")
        self.threads = sum(worker["nthreads"] for worker in workers)  # each runs one stage at a time
        self.gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))
        ours = describe(str(Path.cwd()))
        for worker, theirs in self.client.run(describe, str(Path.cwd()), on_error="return").items():
            if isinstance(theirs, Exception):
                raise UserError(f"the worker {worker} cannot run torchprimer: {type(theirs).__name__}: {theirs}")
            for what in ours:
                if theirs[what] != ours[what]:
                    raise UserError(f"the worker {worker} must have the same {what}: {ours[what]}, not {theirs[what]}")

    def _workers(self) -> list[Any]:
        return list(self.client.scheduler_info(n_workers=-1)["workers"].values())

    def run_job(self, job: Job, on_gpu: bool, stopped: Callable[[], bool]) -> Outcome:
        """Does what `process.run_job` does, on a worker; if that is lost, on another one."""
        variables = {key: value for key, value in os.environ.items() if key.startswith(FORWARDED)} | {**job.environment}
        variables.pop("CUDA_VISIBLE_DEVICES", None)  # the worker has its own
        job = replace(job, environment=variables)
        needs = {"GPU": 1} if on_gpu and self.gpus else {}
        future = self.client.submit(run_on_worker, job, key=f"{job.stage}-{uuid.uuid4()}", resources=needs)
        seen = time.monotonic()  # a worker that could run it
        while not future.done():
            with suppress(TimeoutError):
                future.result(timeout=1)
            if stopped():
                future.cancel()
                with suppress(Timeout), FileLock(f"{job.log}.lock", timeout=GRACE_SECONDS + 10):  # the worker holds it
                    return Outcome(-signal.SIGINT)
            waited = time.monotonic() - seen
            if waited > LOOK_SECONDS and any(needs.keys() <= worker["resources"].keys() for worker in self._workers()):
                seen = time.monotonic()
            elif waited > self.patience:
                future.cancel()
                raise UserError(f"the cluster has lost all workers{' with a GPU' if needs else ''}")
        return future.result()  # type: ignore[no-any-return]


def describe(folder: str) -> dict[str, str]:
    """What must be the same in the runner and in each worker."""
    pipeline, code = Path(folder, "dvc.yaml"), hashlib.md5()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    return {
        f"{pipeline}, by checksum": hashlib.md5(pipeline.read_bytes()).hexdigest() if pipeline.is_file() else "no file",
        "version of Python": platform.python_version(),
        "command python": shutil.which("python") or "not found",
        "version of torch": metadata.version("torch"),
        "torchprimer, by checksum": code.hexdigest(),
        "start option": "--nanny" if multiprocessing.current_process().daemon else "--no-nanny",
    }


def run_on_worker(job: Job) -> Outcome:
    """`run_job` on a worker; stops the job if the scheduler does not want its result any more, or the worker closes."""
    from distributed import Reschedule, Status, get_worker

    worker, at_work = get_worker(), (Status.running, Status.paused)

    def unwanted() -> bool:
        task = worker.state.tasks.get(worker.get_current_task())
        return worker.status not in at_work or task is None or task.state == "cancelled"

    start_server()
    with FileLock(f"{job.log}.lock"):  # waits for a worker that the scheduler gave up and that still runs the job
        for output in job.outputs:
            remove(Path(output))
        outcome = run_job(job, unwanted)
    if worker.status not in at_work:
        raise Reschedule
    return outcome
