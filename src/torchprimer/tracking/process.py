"""The process that logs for one stage after the other: see Tracker."""

import contextlib
import json
import os
import socket
import traceback
from pathlib import Path
from typing import IO

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking import DONE, READY
from torchprimer.tracking.client import Store
from torchprimer.tracking.runs import Run, get_or_create_run, log_baselines, new_run

PATIENCE = 20.0  # seconds to wait for the next stage


def serve(line: socket.socket, meeting: Path) -> int:
    """Does what a stage says on `line`, then what further ones say that call at `meeting`, one after the other.

    A stage that finds nobody waiting starts a process of its own. The first complaint ends this one: exit code 1.
    """
    store: Store | None = None
    while True:
        with line, line.makefile("r", encoding="utf-8") as orders, line.makefile("w", encoding="utf-8") as answers:
            try:
                store = _serve(orders, answers, store)
                said = DONE
            except UserError as error:
                said = f"{error}\n"  # whole lines: the stage may be waiting for one
            except Exception:
                said = traceback.format_exc()
            with contextlib.suppress(OSError):  # the stage was killed
                answers.write(said)
                answers.flush()
                for _ in orders:  # to its end: else the stage gets an error in place of what was said
                    pass
        if store is None or said != DONE:
            return 1
        os.chdir("/")  # not to stand in a folder that somebody wants to delete
        called = _wait(meeting)
        if called is None or not store.is_still_there():
            return 0  # a stage that has called gets no answer, and starts a process of its own
        line = called
        with contextlib.suppress(OSError):
            line.sendall(READY.encode())


def _wait(meeting: Path) -> socket.socket | None:
    """The line of the next stage that calls; None if nobody does."""
    mine = meeting.with_suffix(f".{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as ear:
        ear.settimeout(PATIENCE)
        ear.bind(str(mine))
        ear.listen(1)
        inode = mine.stat().st_ino
        mine.replace(meeting)  # another that waits there will wait in vain, and end
        try:
            return ear.accept()[0]
        except TimeoutError:
            return None
        finally:  # who calls from now on has to look elsewhere
            with contextlib.suppress(FileNotFoundError):
                if meeting.stat().st_ino == inode:
                    meeting.unlink()


def _serve(orders: IO[str], answers: IO[str], store: Store | None) -> Store:
    """One stage, from its first word to its last; `store` is the one that is open already."""
    folder, inherited = json.loads(orders.readline())
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        del os.environ[name]
    os.environ.update(inherited)
    paths.project.cache_clear()
    store = store or Store()
    store.kill_stale_runs()
    run: Run | None = None  # of a training under way
    try:
        for order in orders:
            what, *arguments = json.loads(order)
            if what == "begin":
                record, pid = arguments
                run = new_run(store, record, pid=pid)
                answers.write(f"run {run.id}\n")
                answers.flush()
            elif what == "epoch" and run:
                run.log_epoch(*arguments)
            elif what == "training" and run:
                run.send()
                run.log_training(*arguments)
            elif what == "evaluation":
                get_or_create_run(store, *arguments)[0].log_evaluation(*arguments)
            elif what == "export":
                get_or_create_run(store, *arguments)[0].log_export(*arguments)
            elif what == "folds":
                get_or_create_run(store, *arguments)[0].log_folds(*arguments)
            elif what == "baseline":
                log_baselines(store, *arguments)
            elif what == "end" and run:
                run.end(*arguments)
                run = None
    except Exception:
        if run:
            with contextlib.suppress(Exception):  # what went wrong with it may do so once more
                run.end("FAILED")
        raise
    if run:  # nobody said how it ended: the training was killed
        run.end("KILLED")
    return store
