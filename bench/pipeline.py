"""The whole pipeline: `dvc repro` beside `torchprimer repro`, each in a fresh copy with its own cache."""

import shutil
from pathlib import Path

from bench.data import raw
from bench.measure import Options, Result, compare, seconds_of
from bench.workspace import DVC, STAGE, copy_project, run_command
from torchprimer import params

RUNNERS = {
    "dvc": [*DVC, "repro"],
    "jobs-1": [*STAGE, "repro", "--jobs", "1"],
    "jobs-2": [*STAGE, "repro", "--jobs", "2"],
}


def pipeline(options: Options) -> Result:
    """One epoch with 256 samples of each split, or with `options.whole` the pipeline as it is."""
    settings = {} if options.whole else {"limit": options.limit or 256, "epochs": 1}
    seconds, locks = {}, set()
    for name, command in RUNNERS.items():
        project = options.temporary / f"pipeline-{name}"
        _copy_without_results(project, options, settings)
        seconds[name] = seconds_of(lambda command=command, project=project: run_command(command, project))  # type: ignore[misc]
        locks.add((project / "dvc.lock").read_bytes())
        shutil.rmtree(project)
    what = "whole" if options.whole else ", ".join(f"{key}={value}" for key, value in settings.items())
    ratio = seconds["dvc"] / seconds["jobs-1"]
    note = f"two jobs against dvc repro, {what}; with one job {seconds['jobs-1']:.0f} s, {ratio:.1f} times as fast"
    if len(locks) > 1:
        note += "; their dvc.lock DIFFER"
    target = 1.0 if options.whole else 3.5
    return compare("pipeline", seconds["jobs-2"], seconds["dvc"], target, note, fair=len(locks) == 1)


def _copy_without_results(project: Path, options: Options, settings: dict[str, int]) -> None:
    """A copy of the project in which no stage has run; its downloads are there and will only be checked."""
    copy_project(project, **settings)
    (project / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(project / "metrics", ignore_errors=True)
    for source in params.load().downloads:
        shutil.copytree(raw(source, options), project / "data" / "raw" / source)
    run_command([*DVC, "config", "--local", "cache.dir", str(project / ".dvc" / "cache")], project)
