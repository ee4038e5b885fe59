"""The process that logs for a stage: see Tracker."""

import json
import sys

from torchprimer.errors import UserError
from torchprimer.tracking.runs import Run, existing_run, log_baselines, new_run
from torchprimer.tracking.store import Store


def serve() -> int:
    """Does what each line of standard input says, until its end; returns 1 after a complaint on standard output."""
    try:
        _serve()
    except UserError as error:
        print(error, flush=True)
        return 1
    return 0


def _serve() -> None:
    store = Store()
    store.end_dead_runs()
    run: Run | None = None  # of a training under way
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        if what == "begin":
            record, pid = arguments
            run = new_run(store, record, pid=pid)
            print("run", run.id, flush=True)
        elif what == "epoch" and run:
            run.log_epoch(*arguments)
        elif what == "training" and run:
            run.send()
            run.log_training(*arguments)
        elif what == "evaluation":
            existing_run(store, *arguments)[0].log_evaluation(*arguments)
        elif what == "export":
            existing_run(store, *arguments)[0].log_export(*arguments)
        elif what == "folds":
            existing_run(store, *arguments)[0].log_folds(*arguments)
        elif what == "baseline":
            log_baselines(store, *arguments)
        elif what == "end" and run:
            run.end(*arguments)
            run = None
    if run:  # nobody said how it ended: the training was killed
        run.end("KILLED")
