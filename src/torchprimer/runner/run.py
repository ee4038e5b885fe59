"""Runs the stages of a pipeline that are out of date: what starts when, what a failure and Ctrl-C mean."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from torchprimer.errors import UserError
from torchprimer.runner.display import Display, print_plan
from torchprimer.runner.history import History
from torchprimer.runner.limits import Limits, usable_cores, visible_gpus
from torchprimer.runner.pipeline import Pipeline, Selection, open_pipeline
from torchprimer.runner.process import Job, Outcome, run_job, start_server
from torchprimer.runner.schedule import Schedule

FOLDER = Path(".dvc", "tmp", "torchprimer")
WAIT_SECONDS = 0.5  # between two looks at dvc.lock and Ctrl-C


@dataclass(frozen=True)
class Options:
    """How stages run."""

    jobs: int | None = None  # at a time; None: as many as cores, or as the cluster takes
    keep_going: bool = False  # after a failure
    dry_run: bool = False
    limits: Sequence[str] = ()
    scheduler: str | None = None  # address of a Dask scheduler


def repro(selection: Selection, options: Options) -> int:
    """Runs the stages that are out of date; returns the exit code."""
    if not Path("dvc.yaml").is_file():
        raise UserError("no dvc.yaml in this folder: change to the folder of the project")
    history = History(FOLDER / "history.json", Path("docs", "timings.json"))
    with _alone(), _interruptible() as stopped:
        if options.dry_run:
            with open_pipeline(selection, FOLDER / "logs") as pipeline:
                print_plan(pipeline.out_of_date(), history.seconds, options.jobs or usable_cores())
            return 0
        with (
            _executor(options, stopped) as (submit, jobs, gpus),
            open_pipeline(selection, FOLDER / "logs") as pipeline,
        ):
            peak_memory = {} if options.scheduler else history.peak_memory  # that is for the memory of this machine
            if options.scheduler and not gpus and any(map(pipeline.uses_device, pipeline.stages)):
                print("no worker has the resource GPU: stages that can use one run on any worker", file=sys.stderr)
            limits = Limits(options.limits, peak_memory, pipeline.uses_device, gpus)
            schedule = Schedule(pipeline.needs, history.seconds)
            with Display(schedule, jobs) as display:
                run = Run(pipeline, schedule, display, history, limits, submit, jobs, options.keep_going)
                run.loop(stopped)
        display.summarize()
    if stopped.is_set():
        raise KeyboardInterrupt("; run the same command to continue")
    if run.failed:
        raise UserError(f"failed: {', '.join(run.failed)}")
    return 0


Submit = Callable[[Job, bool], "Future[Outcome]"]  # the second argument: whether the job needs a GPU


@contextmanager
def _executor(options: Options, stopped: threading.Event) -> Iterator[tuple[Submit, int, list[str]]]:
    """A function that sends a job to where it runs, how many run there at a time, and the GPUs that are there."""
    run: Callable[[Job, bool, Callable[[], bool]], Outcome]
    with ExitStack() as stack:
        if options.scheduler:
            from torchprimer.runner.cluster import Cluster

            cluster = Cluster(options.scheduler)
            stack.callback(cluster.client.close)
            run, jobs, gpus = cluster.run_job, options.jobs or cluster.threads, ["GPU"] * cluster.gpus
        else:
            start_server()
            run, jobs, gpus = _run_here, options.jobs or usable_cores(), visible_gpus()
        threads = stack.enter_context(ThreadPoolExecutor(jobs))
        try:
            yield lambda job, on_gpu: threads.submit(run, job, on_gpu, stopped.is_set), jobs, gpus
        except BaseException:
            stopped.set()  # ends the jobs that the threads wait for
            raise


def _run_here(job: Job, _on_gpu: bool, stopped: Callable[[], bool]) -> Outcome:
    return run_job(job, stopped)


@dataclass
class Run:
    """The stages of a pipeline on their way: waiting, running, ended.

    Attributes:
        waiting: stage -> the stages that must end before it.
        failed: stages whose commands failed; those that need them are not waiting any more.
    """

    pipeline: Pipeline
    schedule: Schedule
    display: Display
    history: History
    limits: Limits
    submit: Submit
    jobs: int
    keep_going: bool
    waiting: dict[str, set[str]] = field(init=False)
    running: dict["Future[Outcome]", str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = {name: set(needs) for name, needs in self.pipeline.needs.items()}

    def loop(self, stopped: threading.Event) -> None:
        """Runs all stages; when `stopped` is set or a stage fails, those that run end, and no other starts."""
        while self.waiting or self.running:
            if stopped.is_set() or (self.failed and not self.keep_going):
                self.waiting.clear()
            self.start_ready()
            if self.running:
                with self.pipeline.unlocked():
                    ended, _ = wait(self.running, WAIT_SECONDS, FIRST_COMPLETED)
                for future in ended:
                    self.finish(self.running.pop(future), future, stopped)
            self.pipeline.write_lock()

    def start_ready(self) -> None:
        """Starts stages that need none of those that wait or run, as many as may run."""
        for name in self.schedule.by_priority(name for name, needs in self.waiting.items() if not needs):
            if len(self.running) >= self.jobs:
                return
            if not self.limits.may_start(name, self.running.values()):
                continue
            del self.waiting[name]
            try:
                begun = self.pipeline.begin(name)
            except UserError as error:
                self.fail(name, str(error))
                continue
            if isinstance(begun, Job):
                job = replace(begun, environment={**begun.environment, **self.limits.start(name)})
                self.display.start(name, job.log)
                self.running[self.submit(job, self.pipeline.uses_device(name))] = name
            else:
                self.display.skip(name, begun)
                self.release(name)

    def finish(self, name: str, future: "Future[Outcome]", stopped: threading.Event) -> None:
        """Records a stage whose commands have ended."""
        self.limits.end(name)
        try:
            outcome = future.result()
        except Exception as error:  # of the cluster
            self.pipeline.abandon(name)
            self.fail(name, f"{type(error).__name__}: {error}")
            return
        if outcome.exit_code:
            self.pipeline.abandon(name)
            if stopped.is_set():
                self.display.stop(name)
            else:
                self.fail(name, outcome.reason)
            return
        try:
            self.pipeline.finish(name)
        except UserError as error:
            self.fail(name, str(error))
            return
        self.history.record(name, outcome)
        self.display.end(name, outcome)
        self.release(name)

    def release(self, name: str) -> None:
        """Lets stages start that waited for this one."""
        for later in self.schedule.next_stages[name]:
            self.waiting.get(later, set()).discard(name)

    def fail(self, name: str, reason: str) -> None:
        """Notes a failed stage, and that the stages that need it are skipped."""
        self.failed.append(name)
        lost = self.schedule.dependents(name) & self.waiting.keys()
        for later in lost:
            del self.waiting[later]
        self.display.fail(name, reason, skipped=len(lost))


@contextmanager
def _alone() -> Iterator[None]:
    """Raises UserError if another `torchprimer repro` works in this project."""
    from filelock import FileLock, Timeout

    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(FOLDER / "lock", timeout=0):
            yield
    except Timeout:
        raise UserError("another `torchprimer repro` runs in this project: wait until it has ended") from None


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, instead of ending the process."""
    stopped = threading.Event()
    numbers = signal.SIGINT, signal.SIGTERM
    handlers = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
