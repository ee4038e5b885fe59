"""The overhead of a stage, and a `dvc repro` that has nothing to do; in copies of the project.

Counted: start of Python, imports, params, opening MLflow's store, the run and all that is logged to it (for `export`
also the registered model), checkpoints, files, end of Python. Not counted: for `train` the seconds of its epochs; for
`evaluate` and `export` the same work without MLflow, repeated in a process that has everything loaded
(stage_work.py).
"""

import re
from collections.abc import Callable
from pathlib import Path

from bench.data import raw
from bench.measure import Options, Result, seconds_of, within
from bench.workspace import DVC, STAGE, copy_project, prepare_dataset, run_command
from torchprimer import paths
from torchprimer.errors import UserError

EXPERIMENT, DATASET = "mnist_mlp", "mnist"


def stage(name: str) -> Callable[[Options], Result]:
    """The line of a stage: train, evaluate or export."""

    def line(options: Options) -> Result:
        limit = options.limit or 512
        project = options.temporary / "project"
        if not project.exists():
            copy_project(project, limit=limit, epochs=2)
            prepare_dataset(project, DATASET, raw(DATASET, options))
            run_command([*STAGE, "train", EXPERIMENT], project)
            run_command([*STAGE, "evaluate", EXPERIMENT], project)
        script = Path(__file__).with_name("stage_work.py")
        rounds = []
        for _ in range(options.warm_up_rounds + options.repeat):  # the first one fills caches and creates the store
            total = seconds_of(lambda: run_command([*STAGE, name, EXPERIMENT], project))
            work = float(run_command([STAGE[0], str(script), name, EXPERIMENT], project).splitlines()[-1])
            rounds.append((total - work, total))
        overhead, total = min(rounds[options.warm_up_rounds :])
        note = f"of {total:.2f} s that `torchprimer {name} {EXPERIMENT}` took with limit={limit}"
        return within(name, overhead, 4.0, note)

    return line


def help_text(options: Options) -> Result:
    """`torchprimer --help`: the command line imports what a command needs when the command runs."""
    rounds = range(options.warm_up_rounds + options.repeat)
    seconds = [seconds_of(lambda: run_command([*STAGE, "--help"], paths.project())) for _ in rounds]
    return within("help", min(seconds[options.warm_up_rounds :]), 0.5, "`torchprimer --help`")


def repro(options: Options) -> Result:
    """`dvc repro` where every stage is up to date: the project's stages with stand-ins for their outputs."""
    project = options.temporary / "repro"
    copy_project(project)
    _write_outputs(project)
    run_command([*DVC, "commit", "--force", "--quiet"], project)
    output = ""

    def run_once() -> None:
        nonlocal output
        output = run_command([*DVC, "repro"], project)

    seconds = [seconds_of(run_once) for _ in range(options.warm_up_rounds + options.repeat)]
    if "up to date" not in output or "Running stage" in output:
        raise UserError(f"dvc repro had something to do: {output.strip().splitlines()[-1]}")
    stages = len(re.findall(r"^Stage ", output, re.MULTILINE))
    note = f"nothing to do{f' in {stages} stages' if stages else ''}"
    return within("repro", min(seconds[options.warm_up_rounds :]), 3.0, note)


def _write_outputs(project: Path) -> None:
    """Writes something to every output of a stage of dvc.yaml: a file, or a folder with a few of them."""
    from dvc.repo import Repo  # type: ignore[import-untyped]

    with Repo(str(project)) as repo:
        outputs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    for output in outputs:
        files = (
            [output] if output.suffix in (".csv", ".json", ".html", ".checked") else [output / str(i) for i in range(4)]
        )
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{file.relative_to(project)}\n", "utf-8")
