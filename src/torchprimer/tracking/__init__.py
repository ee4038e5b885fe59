"""MLflow tracking: `Tracker`, through which the stages log. MLflow never costs a result.

Everything is logged from files that the stages have written, except the epochs of a running training, which are in
history.csv in the end. So whatever MLflow misses, `torchprimer sync` can log later.
"""

import sys
import threading
import time
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from torchprimer.models import Record

Row = dict[str, float | str]  # one row of history.csv
Part = Literal["training", "evaluation", "export", "folds"]  # what a stage has written of an experiment
Message = tuple[Any, ...]  # name of a method of StageLogger, then its arguments
OPEN_SECONDS = 10.0  # how long `train` waits for MLflow at the beginning
INTERVAL = 1.0  # seconds, at least, between two batches of metrics
FLUSH_SECONDS = 60.0  # how long a stage waits for MLflow at the end
INTERRUPTED_FLUSH_SECONDS = 5.0  # the same after Ctrl-C


class Tracker:
    """Logs one stage to MLflow, from a daemon thread that sends at most one batch of metrics a second.

    The thread starts with the first message: stages import MLflow last. After the first error of MLflow nothing more is
    logged; leaving the `with` block then prints one warning, and the stage succeeds.
    """

    def __init__(self) -> None:
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._opened, self._closing = threading.Event(), threading.Event()
        self._error: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Ends the MLflow run of `train` as FINISHED, FAILED (an exception) or KILLED (Ctrl-C, SIGTERM)."""
        if error_type is None:
            self.finish()
        else:
            status = "FAILED" if issubclass(error_type, Exception) else "KILLED"
            self._close(status, INTERRUPTED_FLUSH_SECONDS)

    def finish(self) -> None:
        """Ends the run as FINISHED and waits until MLflow has everything, for at most FLUSH_SECONDS."""
        try:
            self._close("FINISHED", FLUSH_SECONDS)
        except KeyboardInterrupt:  # the files of the stage are complete: an interrupted wait must not discard them
            self._error = self._error or "interrupted"
        if self._error:
            print(f"torchprimer: MLflow: {self._error}; run `torchprimer sync` later", file=sys.stderr)
            self._error = None

    def begin(self, record: "Record") -> None:
        """Opens the MLflow run of `train`.

        Waits, since importing MLflow in one thread would slow down the first epochs in the other; without an answer
        within OPEN_SECONDS the training starts, and the run is opened meanwhile.
        """
        self._put("begin", record, time.time())
        self._opened.wait(OPEN_SECONDS)

    def log_epoch(self, row: Row) -> None:
        """Logs one row of the history to the run that `begin` opened."""
        self._put("log_epoch", row, time.time())

    def log(self, part: Part, experiment: str) -> None:
        """Logs the files of a part to the run that `begin` opened, or else to the one that trained the model."""
        self._put("log", part, experiment)

    def log_baselines(self, dataset: str) -> None:
        self._put("log_baselines", dataset)

    def _put(self, *message: Any) -> None:
        if self._error or self._closing.is_set():
            return
        self._messages.put(message)
        if not self._thread.ident:
            self._thread.start()

    def _close(self, status: str, seconds: float) -> None:
        if self._closing.is_set() or not self._thread.ident:
            return
        self._messages.put(("end", status))
        self._closing.set()
        self._thread.join(seconds)
        if self._thread.is_alive() and not self._error:
            self._error = f"no answer within {seconds:.0f} seconds"

    def _work(self) -> None:
        """The thread: sends messages until the stage closes or MLflow fails."""
        try:
            from torchprimer.tracking.stage_logger import StageLogger

            logger = StageLogger()
            while not logger.ended:
                messages = [self._messages.get()]
                if messages[0][0] == "log_epoch":
                    self._closing.wait(INTERVAL)
                while not self._messages.empty():  # this thread alone takes messages
                    messages.append(self._messages.get())
                for name, *arguments in messages:
                    getattr(logger, name)(*arguments)
                logger.send()
                self._opened.set()
        except Exception as error:
            from torchprimer.tracking.client import explain

            self._error = explain(error)
            self._opened.set()
