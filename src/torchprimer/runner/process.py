"""Runs the commands of a stage in a new process; nothing here knows DVC.

A command `python FILE ...` of the interpreter that runs the pipeline starts in a process forked from one that has
imported the large packages already (`multiprocessing`'s forkserver), which saves their import in every stage. Any other
command is run by the shell.
"""

import atexit
import contextlib
import gc
import os
import resource
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import connection, forkserver, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

# imported once, before any stage; not torchprimer, whose code the stages import themselves, as stock Python does
PRELOADED = (
    "torch",
    "torch._dynamo",  # PyTorch's optimizers import it
    "torch.export._trace",
    "torch.onnx._internal.exporter",
    "onnxscript.function_libs.torch_lib",
    "onnx_ir.passes.common",
    "onnxruntime",
    "sympy.tensor.tensor",
    "pandas",
    "sklearn.metrics",
    "sklearn.linear_model",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracing.processor.base_mlflow",
    "sqlalchemy.dialects.sqlite",
    "pydantic",
    "ruamel.yaml",
    "typer",
    "tqdm",
    "psutil",
)
SHELL_CHARACTERS = frozenset("|&;<>()$`*?[#~\n")
POLL_SECONDS = 0.2  # how often a running process is asked whether it is to be stopped
GRACE_SECONDS = 60  # after Ctrl-C a training writes a checkpoint and tells MLflow
# `Process.start` asks how all other processes have ended; of two threads that ask at once, one would hear 255
_one_thread_asks = threading.Lock()


@dataclass(frozen=True)
class Job:
    """The commands of one stage, and where they run."""

    stage: str
    commands: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]  # variables beside those of the process that runs the job
    shell: str
    log: Path  # standard output and error of the commands
    outputs: tuple[str, ...] = ()  # removed before the commands run again on another worker of a cluster


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    exit_code: int  # of the first command that failed; -N: killed by signal N
    seconds: float = 0.0
    cores: float = 0.0  # mean number of busy cores
    peak_memory: int = 0  # bytes, of the largest process

    @property
    def reason(self) -> str:
        """Why the job failed, in words."""
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"exit code {self.exit_code}"


def start_server() -> None:
    """Starts the process that imports the large packages, in the background; later calls do nothing."""
    get_context("forkserver").set_forkserver_preload([*PRELOADED])  # a package that is missing is skipped
    forkserver.ensure_running()


def run_job(job: Job, stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Runs the commands of a job, one after the other, and waits for them.

    Args:
        job: its log file is created.
        stopped: asked a few times a second; once it is true, the commands get SIGINT, and a minute later SIGKILL.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.log.write_bytes(b"")
    context = get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    started = time.monotonic()
    process = context.Process(target=_run_in_child, args=(job, sender), name=job.stage)
    with _one_thread_asks:
        process.start()
    sender.close()
    assert process.pid
    interrupted_at = 0.0
    while not connection.wait([process.sentinel], POLL_SECONDS):
        if stopped() and not interrupted_at:
            with contextlib.suppress(ProcessLookupError):  # it does not lead its group yet
                os.killpg(process.pid, signal.SIGINT)
                interrupted_at = time.monotonic()
        if interrupted_at and time.monotonic() - interrupted_at > GRACE_SECONDS:
            kill_tree(process.pid)
    with _one_thread_asks:
        process.join()
    seconds = time.monotonic() - started
    code = process.exitcode or 0
    try:
        cpu_seconds, peak_memory = receiver.recv()
    except EOFError:  # killed
        cpu_seconds, peak_memory = 0.0, 0
    return Outcome(code, seconds, cpu_seconds / max(seconds, 1e-3), peak_memory)


def kill_tree(pid: int) -> None:
    """Kills a process and all that it started, also what leads a session of its own (as torchrun's workers do)."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for started in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                started.kill()


def _run_in_child(job: Job, sender: Connection) -> None:
    """Runs the commands in this process, which leads a process group of its own, and ends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgrp()  # from now on `run_job` can interrupt it
    gc.freeze()  # a collection would copy the memory that this process shares with the server
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchprimer"]:
        del sys.modules[name]  # the commands import the code beside dvc.yaml
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.chdir(job.folder)
    os.environ.update(job.environment)
    with job.log.open("ab", buffering=0) as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    code = 0
    for command in job.commands:
        arguments = python_arguments(command, job)
        code = _run_python(arguments) if arguments else _run_shell(command, job.shell)
        if code:
            break
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    with contextlib.suppress(OSError):
        sender.send((cpu_seconds, max(own.ru_maxrss, children.ru_maxrss) * unit))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code < 0:  # the command of a shell was killed
        code = 128 - code
    os._exit(code)


def _die_with_parent() -> None:
    """Kills the process group of this process when the process that waits for it has died."""
    parent = parent_process()
    assert parent
    connection.wait([parent.sentinel])
    kill_tree(os.getpid())


def python_arguments(command: str, job: Job) -> list[str]:
    """FILE and arguments of a command `python FILE ...` that this interpreter would run; empty for any other."""
    if not SHELL_CHARACTERS.isdisjoint(command):
        return []
    try:
        words = shlex.split(command)
    except ValueError:  # a quote without its end, of which the shell complains
        return []
    if len(words) < 2 or words[0] not in ("python", "python3") or words[1].startswith("-"):
        return []
    python = shutil.which(words[0], path=os.environ.get("PATH"))
    same = python and Path(python).parent.resolve() == Path(sys.executable).parent.resolve()
    return words[1:] if same and Path(job.folder, words[1]).exists() else []


def _run_python(arguments: list[str]) -> int:
    """Does what `python FILE ...` does, in this process; returns the exit code."""
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv, code = list(arguments), 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    return code


def _run_shell(command: str, shell: str) -> int:
    with subprocess.Popen([shell, "-c", command], stdin=subprocess.DEVNULL) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the command has got the signal, too
                continue
