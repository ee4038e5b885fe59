"""What a person sees of a run: on a terminal a table of what runs, elsewhere a line when a stage starts and ends."""

import time
from collections import Counter
from collections.abc import Mapping, Set
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from torchprimer.runner.process import Outcome
from torchprimer.runner.schedule import DEFAULT_SECONDS, Schedule

SHOWN_LINES = 20  # of the output of a stage that failed


class Display:
    """Shows the stages of a run; a context, in which the table of a terminal is drawn twice a second.

    Args:
        schedule: its stages and their expected seconds.
        jobs: stages at a time.
    """

    def __init__(self, schedule: Schedule, jobs: int) -> None:
        self.schedule, self.jobs = schedule, jobs
        self.started = time.monotonic()
        self.waiting = set(schedule.needs)
        self.running: dict[str, tuple[float, Path]] = {}  # stage -> when it started, its output
        self.counts: Counter[str] = Counter()
        self.console = Console(highlight=False, soft_wrap=True)
        self.live = Live(get_renderable=self._table, console=self.console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def skip(self, name: str, why: str) -> None:
        """A stage that has nothing to do."""
        self.waiting.discard(name)
        self.counts[why] += 1
        if why != "unchanged":
            self._line(name, why, "green")

    def start(self, name: str, log: Path) -> None:
        """A stage whose commands run from now on and write to `log`."""
        self.waiting.discard(name)
        self.running[name] = time.monotonic(), log
        if not self.console.is_terminal:
            self._line(name, "started", "none")

    def end(self, name: str, outcome: Outcome) -> None:
        """A stage that has run."""
        self.running.pop(name)
        self.counts["ran"] += 1
        self._line(name, f"{outcome.seconds:.1f} s", "green")

    def stop(self, name: str) -> None:
        """A stage that was stopped by Ctrl-C."""
        self.running.pop(name)
        self.counts["stopped"] += 1
        self._line(name, "stopped", "yellow")

    def fail(self, name: str, reason: str, *, skipped: int) -> None:
        """A stage that failed, and the number of stages that are skipped for it."""
        _, log = self.running.pop(name, (0, None))
        self.waiting.discard(name)
        self.counts["failed"] += 1
        self._line(name, reason, "red")
        if log and log.is_file():
            output = log.read_text("utf-8", "replace").splitlines()
            for line in output[-SHOWN_LINES:]:
                self.console.print(Text(f"    {line}"))
            self.console.print(f"    (all of its output: {log})")
        if skipped:
            self.counts["skipped"] += skipped

    def summarize(self) -> None:
        """The last line of a run."""
        total = timedelta(seconds=round(time.monotonic() - self.started))
        if not self.counts.keys() - {"unchanged"}:
            self.console.print("Data and pipelines are up to date.")
        else:
            self.console.print(f"{', '.join(f'{count} {what}' for what, count in self.counts.items())}; {total}")

    def _line(self, name: str, text: str, style: str) -> None:
        self.console.print(Text.assemble(f"{name}: ", (text, style)))

    def _seconds_left(self) -> float:
        """The longest remaining path, or all that is left divided among the jobs, whichever is more."""
        now = time.monotonic()
        path, total = 0.0, 0.0
        for name, (started, _) in self.running.items():
            elapsed = min(now - started, self.schedule.duration(name))
            path = max(path, self.schedule.remaining[name] - elapsed)
            total += self.schedule.duration(name) - elapsed
        path = max([path, *(self.schedule.remaining[name] for name in self.waiting)])
        return max(path, (total + sum(map(self.schedule.duration, self.waiting))) / self.jobs)

    def _table(self) -> Group:
        done, total = sum(self.counts.values()), len(self.schedule.needs)
        left = timedelta(seconds=round(self._seconds_left()))
        head = f"{done} of {total} stages done, {len(self.running)} running, about {left} left"
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)  # stage, seconds, last line of its output
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, (started, log) in self.running.items():
            expected = self.schedule.seconds.get(name)
            of = f" of {expected:.0f}" if expected else ""
            output = last_line(log).removeprefix(f"{name.rpartition('@')[2]}: ")
            table.add_row(name, f"{time.monotonic() - started:.0f}{of} s", Text(output, "dim"))
        bar = Padding(ProgressBar(total, done, complete_style="green"), 0)  # a line of its own
        return Group("", Text(head, "bold"), bar, table)


def last_line(log: Path) -> str:
    """The last line of a file that is still being written; "" if there is none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(file.seek(0, 2) - 4096, 0))
        lines = file.read().decode("utf-8", "replace").replace("\r", "\n").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def print_plan(names: Mapping[str, Set[str]], seconds: Mapping[str, float], jobs: int) -> None:
    """Prints the stages that would run, when, and how long all of it would take.

    Args:
        names: stage -> those that it needs, of the stages that would run.
        seconds: duration of a stage when it last ran.
        jobs: stages at a time.
    """
    if not names:
        print("Data and pipelines are up to date.")
        return
    schedule = Schedule(names, seconds)
    plan = schedule.simulate(jobs)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("stage", "starts at", "takes"):
        table.add_column(title, justify="left" if title == "stage" else "right", no_wrap=True)
    for start, end, name in plan:
        known = name in seconds
        table.add_row(name, f"{start:.0f} s", f"{end - start:.1f} s" if known else "not known")
    Console(highlight=False).print(table)
    total, path = max(end for _, end, _ in plan), max(schedule.remaining.values())
    work = sum(end - start for start, end, _ in plan)
    unknown = sum(name not in seconds for name in names)
    print(
        f"{len(plan)} stages, {work:.0f} s of work; with {jobs} at a time about {total:.0f} s; the longest path takes "
        f"{path:.0f} s"
        + (f"; {unknown} stages have not run here yet and count {DEFAULT_SECONDS:.0f} s" if unknown else "")
    )
