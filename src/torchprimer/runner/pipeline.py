"""DVC's side of a run: which stages there are, whether they changed, and what is recorded when they have run.

Every function of DVC that is called here is called in the thread that opened the pipeline, with DVC's lock held; it is
released while that thread waits for commands. DVC 3.67, `dvc/stage/__init__.py` and `dvc/repo/reproduce.py`, is the
reference of what `Pipeline` does: the same steps in the same order, for several stages at once.
"""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx  # type: ignore[import-untyped]
from dvc.dvcfile import Lockfile  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo, lock_repo  # type: ignore[import-untyped]
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro  # type: ignore[import-untyped]
from dvc.rwlock import rwlock  # type: ignore[import-untyped]
from dvc.stage import PipelineStage, Stage  # type: ignore[import-untyped]
from dvc.stage.cache import RunCacheNotFoundError  # type: ignore[import-untyped]
from dvc.stage.run import get_executable, prepare_kwargs  # type: ignore[import-untyped]

from torchprimer.errors import UserError, did_you_mean
from torchprimer.runner.process import Job

WRITE_SECONDS = 5  # between two writes of dvc.lock while stages run; more, if a write takes long
WRITE_SHARE = 0.05  # of the time, at most
UNCHANGED, RESTORED = "unchanged", "restored"


class _ErrorsOfDvc(contextlib.ContextDecorator):
    """Turns errors of DVC and full disks into UserErrors with all their causes."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, DvcException | OSError):
            return
        parts: list[str] = []
        cause: BaseException | None = error
        while cause:
            if (text := " ".join(str(cause).split())) and text not in parts:
                parts.append(text)
            cause = cause.__cause__
        raise UserError(": ".join(parts)) from error


_errors_of_dvc = _ErrorsOfDvc()


@dataclass(frozen=True)
class Selection:
    """Which stages to run, by the options of `dvc repro`."""

    targets: Sequence[str] = ()  # stages, groups of stages, dvc.yaml files; a bare name: all of its stages
    force: bool = False
    single_item: bool = False
    downstream: bool = False


@dataclass
class Pipeline:
    """An open DVC project; its stages by name, in the order in which `dvc repro` would run them.

    Attributes:
        needs: stage -> the stages that must have ended before it.
    """

    repo: Repo
    selection: Selection
    logs: Path
    stages: dict[str, Stage] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)
    _graph: Any = None
    _running: dict[str, ExitStack] = field(default_factory=dict)
    _unwritten: dict[str, Stage] = field(default_factory=dict)
    _recorded: set[str] = field(default_factory=set)  # stages that dvc.lock has
    _ended: set[str] = field(default_factory=set)
    _write_at: float = 0.0

    def collect(self) -> None:
        """Reads dvc.yaml and dvc.lock."""
        targets = [name for target in self.selection.targets for name in self._resolve(target)]
        stages = collect_stages(self.repo, targets or ["dvc.yaml"])
        self._graph = get_active_graph(self.repo.index.graph)
        steps = stages if self.selection.single_item else plan_repro(
            self._graph, stages, downstream=self.selection.downstream
        )  # fmt: skip
        self.stages = {stage.addressing: stage for stage in steps}
        for position, stage in enumerate(steps):
            if self.selection.single_item:  # in the order of the targets, whatever their dependencies
                before = [earlier for earlier in steps[:position] if self._connected(earlier, stage)]
            else:
                before = [needed for needed in self._graph.successors(stage) if needed.addressing in self.stages]
            self.needs[stage.addressing] = {earlier.addressing for earlier in before}
        self._recorded = {
            name for name, stage in self.stages.items() if stage.md5 or not isinstance(stage, PipelineStage)
        }
        self._write_at = time.monotonic() + WRITE_SECONDS

    def _resolve(self, target: str) -> list[str]:
        """The targets of DVC that a target stands for: mnist_cnn for train@mnist_cnn, evaluate@mnist_cnn, ..."""
        names = [stage.addressing for stage in self.repo.index.stages]
        groups = {name.partition("@")[0] for name in names}
        if target in names or target in groups or "@" in target or Path(target).exists() or ":" in target:
            return [target]
        if found := [name for name in names if name.partition("@")[2] == target]:
            return found
        known = sorted({part for name in names for part in name.split("@")})
        raise UserError(f"no stage '{target}' in dvc.yaml, and no stage of that name.{did_you_mean(target, known)}")

    def _connected(self, first: Stage, second: Stage) -> bool:
        return bool(nx.has_path(self._graph, first, second)) or bool(nx.has_path(self._graph, second, first))

    def out_of_date(self) -> dict[str, set[str]]:
        """The stages that would run, and those after them, which may have to; each with those of them it needs."""
        found: dict[str, set[str]] = {}
        for name, stage in self.stages.items():
            before = self.needs[name] & found.keys()
            if self.selection.force or before or stage.changed(upstream=self._upstream(stage)):
                found[name] = before
        return found

    def uses_device(self, name: str) -> bool:
        """Whether a stage declares the parameter `device`, as those that compute on a GPU do."""
        return any("device" in getattr(dep, "params", ()) for dep in self.stages[name].deps)

    def _upstream(self, stage: Stage) -> list[Stage]:
        return [] if self.selection.single_item else list(self._graph.successors(stage))

    @_errors_of_dvc
    def begin(self, name: str) -> Job | str:
        """Prepares a stage whose predecessors have ended.

        Returns:
            The job to run before `finish`; or, if there is none, why: UNCHANGED, RESTORED from DVC's run cache, or
            "" for what DVC does itself (an import, a frozen stage).
        """
        stage, force = self.stages[name], self.selection.force
        upstream = self._upstream(stage)
        if stage.frozen or stage.is_import or not stage.cmd:
            ran = stage.reproduce(force=force, upstream=upstream)
            self._ended.add(name)
            if ran:
                self._unwritten[name] = stage
            return "" if ran else UNCHANGED
        if not force and not stage.changed(upstream=upstream):
            self._ended.add(name)
            return UNCHANGED
        locks = self._running[name] = ExitStack()
        locks.enter_context(self._paths_locked(stage))
        try:
            stage.remove_outs(ignore_remove=False, force=False)
            if not force:
                try:
                    self.repo.stage_cache.restore(stage)
                except RunCacheNotFoundError:
                    stage.save_deps()
                else:
                    self.finish(name)
                    return RESTORED
        except BaseException:
            self.abandon(name)
            raise
        prepared, own = prepare_kwargs(stage), os.environ
        return Job(
            stage=name,
            commands=tuple(stage.cmd if isinstance(stage.cmd, list) else stage.cmd.splitlines()),
            folder=os.fspath(prepared["cwd"]),
            environment={
                key: value for key, value in prepared["env"].items() if own.get(key) != value or key.startswith("DVC_")
            },
            shell=get_executable(),
            log=(self.logs / f"{name.replace('/', '-')}.log").absolute(),
            outputs=tuple(out.fs_path for out in stage.outs if out.protocol == "local" and not out.persist),
        )

    def _paths_locked(self, stage: Stage) -> AbstractContextManager[Any]:
        """Other processes of DVC do not write what a running stage reads, and do not read what it writes."""
        # the command that DVC tells others; DVC takes equal ones for one holder, so it is that of this process
        locked: AbstractContextManager[Any] = rwlock(
            self.repo.tmp_dir, self.repo.fs, " ".join(sys.argv),
            [dep.fs_path for dep in stage.deps if dep.protocol == "local"], [out.fs_path for out in stage.outs],
            self.repo.config["core"].get("hardlink_lock", False),
        )  # fmt: skip
        return locked

    @_errors_of_dvc
    def finish(self, name: str) -> None:
        """Records what a stage has written: checksums, cache, run cache; dvc.lock when `write_lock` is called."""
        stage = self.stages[name]
        try:
            uncached = any(not out.use_cache for out in stage.outs if not (out.is_metric or out.is_plot))
            stage.save(run_cache=not uncached)
            stage.commit()
        finally:
            self.abandon(name)
        self._ended.add(name)
        self._unwritten[name] = stage

    def abandon(self, name: str) -> None:
        """Lets go of the files of a stage that failed or was stopped."""
        self._running.pop(name, ExitStack()).close()

    def write_lock(self, *, everything: bool = False) -> None:
        """Writes the stages that have ended to dvc.lock; every few seconds, or now.

        DVC appends stages that are new in dvc.lock in the order in which they end. For the same file as `dvc repro`
        writes, a new stage waits for those before it, unless `everything` is to be written.
        """
        started = time.monotonic()
        if not everything and started < self._write_at:
            return
        new_in_order = True
        ready: list[Stage] = []
        for name in self.stages:
            new_in_order = new_in_order and (name in self._ended or name in self._recorded)
            if name in self._unwritten and (everything or new_in_order or name in self._recorded):
                ready.append(self._unwritten.pop(name))
                self._recorded.add(name)
        files: dict[Path, list[Stage]] = {}
        for stage in ready:
            if isinstance(stage, PipelineStage):
                files.setdefault(Path(stage.path).with_suffix(".lock"), []).append(stage)
            else:  # a .dvc file, which has one stage
                stage.dump(update_pipeline=False)
        for file, stages in files.items():
            self._dump(file, stages)
        ended = time.monotonic()
        self._write_at = ended + max(WRITE_SECONDS, (ended - started) / WRITE_SHARE)

    def _dump(self, file: Path, stages: list[Stage]) -> None:
        """Writes stages to dvc.lock, by way of a copy: DVC would leave half a file on a full disk, or when killed."""
        self.logs.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.logs.parent) as folder:
            copy = Path(folder, file.name)
            if file.is_file():
                shutil.copyfile(file, copy)
            Lockfile(self.repo, os.fspath(copy)).dump_stages(stages)
            with copy.open("rb") as stream:
                os.fsync(stream.fileno())
            copy.replace(file)
        self.repo.scm_context.track_file(os.fspath(file))

    @contextlib.contextmanager
    def unlocked(self) -> Iterator[None]:
        """Other DVC commands can work during the block."""
        self.repo.lock.unlock()
        try:
            yield
        finally:
            self.repo.lock.lock()


@contextlib.contextmanager
def open_pipeline(selection: Selection, logs: Path) -> Iterator[Pipeline]:
    """Opens the DVC project of the current folder; its lock is held, but for the blocks of `Pipeline.unlocked`."""
    logging.getLogger("dvc").setLevel(logging.WARNING)  # no line for each write of dvc.lock, ...
    for bars in ("dvc.progress", "dvc_data.callbacks"):  # ... no progress bars between the lines of `Display`
        logging.getLogger(bars).setLevel(logging.CRITICAL)
    with _errors_of_dvc, Repo(_wait_for_lock=True) as repo, lock_repo(repo), repo.scm_context(quiet=True):
        pipeline = Pipeline(repo, selection, logs)
        pipeline.collect()
        try:
            yield pipeline
        finally:
            for name in list(pipeline._running):
                pipeline.abandon(name)
            pipeline.write_lock(everything=True)
