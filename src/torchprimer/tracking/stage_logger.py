"""What the thread of a Tracker does: it receives the messages of one stage and writes them to MLflow."""

from typing import TYPE_CHECKING

from torchprimer.tracking import Part, Row
from torchprimer.tracking.client import Store
from torchprimer.tracking.runs import LOGGERS, Run, get_or_create_run, log_baselines, new_run

if TYPE_CHECKING:
    from torchprimer.models import Record


class StageLogger:
    """One stage in MLflow: its methods are the messages of `Tracker`; `ended` is set by the last one."""

    def __init__(self) -> None:
        self.store = Store()
        self.store.kill_stale_runs()  # of processes that died
        self.ended = False
        self._run: Run | None = None
        self._rows: list[tuple[float, Row]] = []

    def begin(self, record: "Record", started: float) -> None:
        """Opens the MLflow run of `train`, which started at `started`, in seconds since the Unix epoch."""
        self._run = new_run(self.store, record, started=started)

    def log_epoch(self, row: Row, logged: float) -> None:
        """Collects a row of the history for the next `send`."""
        self._rows.append((logged, row))

    def send(self) -> None:
        """Sends the collected rows in one batch."""
        if self._run and self._rows:
            self._run.log_history(self._rows)
        self._rows = []

    def log(self, part: Part, experiment: str) -> None:
        self.send()
        LOGGERS[part](self._run or get_or_create_run(self.store, experiment)[0], experiment)

    def log_baselines(self, dataset: str) -> None:
        log_baselines(self.store, dataset)

    def end(self, status: str) -> None:
        """The last message. `status`: of the training: FINISHED, FAILED or KILLED."""
        self.send()
        self.ended = True
        if self._run:
            self._run.end(status)
            if status == "FINISHED":
                self._run.supersede_unrecorded_runs()
