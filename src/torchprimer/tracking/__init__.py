"""What the stages tell MLflow, through a process of its own.

That process starts while the stage is still importing PyTorch, so nobody waits for MLflow; and it outlives its stage,
even kill -9, so that no run is RUNNING for ever. It hears one JSON list a line: what to do, and with what.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torchprimer.errors import UserError


class Tracker:
    """The stage's end of the line. Leaving the `with` block waits until all is logged."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parents[1]), "_track"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # what ends the stage (Ctrl-C, a closed terminal) must not end its witness
        )

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
        with contextlib.suppress(BrokenPipeError, ValueError):  # it may be gone already, and say why below
            self._write("end", status)
        self._close(silent=kind is not None)

    def begin(self, record: dict[str, Any]) -> str:
        """Opens the run of a training; returns its id."""
        self.send("begin", record, os.getpid())
        assert self._process.stdout is not None
        answer, _, run_id = self._process.stdout.readline().strip().partition(" ")
        if answer != "run":
            self._close(f"{answer} {run_id}")
        return run_id

    def send(self, what: str, *arguments: Any) -> None:
        """Has something logged, without waiting for it."""
        try:
            self._write(what, *arguments)
        except BrokenPipeError:
            self._close()

    def _write(self, *message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _close(self, complaint: str = "", *, silent: bool = False) -> None:
        """Waits for the end of the process; raises what it complained of."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if not self._process.stdout.closed:
            complaint += self._process.stdout.read()
            self._process.stdout.close()
        if self._process.wait() != 0 and not silent:
            raise UserError(complaint.strip() or "MLflow could not log everything: see above")
