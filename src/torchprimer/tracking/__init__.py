"""What the stages tell MLflow, through a process of its own.

That process starts while the stage is still importing PyTorch, so nobody waits for MLflow; and it outlives its stage,
even kill -9, so that no run is RUNNING for ever. It hears one JSON list a line: what to do, and with what. When its
stage is done it waits a little for the next one, which then need not import MLflow again: a third of a small stage's
time. See process.py for the other end of the line.
"""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torchprimer import paths
from torchprimer.errors import UserError

PACKAGE = Path(__file__).parents[1]
READY, DONE = "ready\n", "done\n"  # what the process says when it takes a stage on, and when all is logged


class Tracker:
    """The stage's end of the line. Leaving the `with` block waits until all is logged."""

    def __init__(self) -> None:
        meeting = meeting_place()
        line = call(meeting) or start(meeting)
        self._orders, self._answers = line.makefile("w", encoding="utf-8"), line.makefile("r", encoding="utf-8")
        self._line = line
        inherited = {name: value for name, value in os.environ.items() if name.startswith("DVC_")}
        with contextlib.suppress(BrokenPipeError):  # it may be gone already; whoever writes next says so
            self._write(str(Path.cwd()), inherited)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the run, if one was begun: FINISHED, FAILED, or KILLED by the user.

        Raises:
            UserError: MLflow could not log everything.
        """
        status = "FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED"
        self._end(status, silent=kind is not None)

    def finish(self) -> None:
        """Ends the run as FINISHED and waits until all is logged, for who must know it before the block ends.

        Raises:
            UserError: MLflow could not log everything.
        """
        self._end("FINISHED")

    def begin(self, record: dict[str, Any]) -> str:
        """Opens the run of a training; returns its id."""
        self.send("begin", record, os.getpid())
        first = ""
        with contextlib.suppress(OSError):  # it may have died
            first = self._answers.readline()
        answer, _, run_id = first.strip().partition(" ")
        if answer != "run":
            self._close(first)
        return run_id

    def send(self, what: str, *arguments: Any) -> None:
        """Has something logged, without waiting for it."""
        try:
            self._write(what, *arguments)
        except BrokenPipeError:
            self._close()

    def _end(self, status: str, *, silent: bool = False) -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):  # it may be gone already, and say why below
            self._write("end", status)
        self._close(silent=silent)

    def _write(self, *message: Any) -> None:
        self._orders.write(json.dumps(message) + "\n")
        self._orders.flush()

    def _close(self, said: str = "", *, silent: bool = False) -> None:
        """Waits until the process is done with this stage; raises what it complained of."""
        if self._answers.closed:
            return
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            said += self._answers.read()
        for end in (self._answers, self._orders, self._line):
            with contextlib.suppress(OSError):
                end.close()
        if said != DONE and not silent:
            raise UserError(said.strip() or "MLflow could not log everything: its process has ended")


def meeting_place() -> Path:
    """Where a process waits that serves this project, with this code in this environment: a socket's address."""
    code = {str(file): file.stat().st_mtime_ns for file in PACKAGE.rglob("*.py")}
    about_the_shell = ("DVC_", "PWD", "OLDPWD", "SHLVL", "_=")
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    environment = sorted(entry for entry in environment if not entry.startswith(about_the_shell))
    key = json.dumps([sys.executable, str(paths.main_checkout()), sorted(code.items()), environment])
    folder = Path(tempfile.gettempdir()) / f"torchprimer-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.socket"


def call(meeting: Path) -> socket.socket | None:
    """A line to the process that waits there; None if none does, or it has just taken on another stage."""
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(2)
    try:
        line.connect(str(meeting))
        if line.recv(len(READY), socket.MSG_WAITALL) == READY.encode():
            line.settimeout(None)
            return line
    except OSError:
        pass
    line.close()
    return None


def start(meeting: Path) -> socket.socket:
    """A line to a new process, which will wait at `meeting` for further stages."""
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, str(PACKAGE), "_track", str(its.fileno()), str(meeting)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it must not keep the stage's open: whoever reads them waits for their end
            stderr=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,  # what ends the stage (Ctrl-C, a closed terminal) must not end its witness
        )
    process.returncode = 0  # nobody waits for its end: it outlives the stage
    return mine
