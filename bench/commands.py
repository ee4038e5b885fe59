"""What a stage costs beside its own work, and a `dvc repro` with nothing to do; in copies of the project.

Counted: start of Python, imports, params, opening MLflow's store, the run and all that is logged to it (for
`export` also the registered model), checkpoints, files, end of Python. Not counted: for `train` the seconds
of the epochs in its history; for `evaluate` and `export` the same work without MLflow, done again where all
is loaded (own_work.py).
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.data import raw
from bench.measure import Options, Result, seconds_of, within
from torchprimer import paths
from torchprimer.errors import UserError

EXPERIMENT, DATASET = "mnist_mlp", "mnist"


def stage(name: str) -> Callable[[Options], Result]:
    """The line of a stage: train, evaluate or export."""

    def line(options: Options) -> Result:
        project = options.temporary / "project"
        environment = _environment()
        if not project.exists():
            _reduced_copy(project, environment, options)
        command = [sys.executable, "src/torchprimer", name, EXPERIMENT]
        costs = []
        for _ in range(options.repeat + 1):  # the first fills caches, and creates the store
            whole = seconds_of(lambda: _run(command, project, environment))
            costs.append((whole - _own_work(name, project, environment), whole))
        cost, whole = min(costs[1:])
        return within(name, cost, 4.0, f"of {whole:.2f} s that `torchprimer {name} {EXPERIMENT}` took with limit=512")

    return line


def repro(options: Options) -> Result:
    """`dvc repro` where every stage is up to date: the real stages, outputs that are stand-ins."""
    project = options.temporary / "repro"
    environment = _environment()
    _copy_project(project, environment)
    dvc = [sys.executable, "-m", "dvc"]
    _make_outputs(project)
    _run([*dvc, "commit", "--force", "--quiet"], project, environment)
    said = ""

    def once() -> None:
        nonlocal said
        said = _run([*dvc, "repro"], project, environment)

    seconds = [seconds_of(once) for _ in range(options.repeat + 1)][1:]
    if "up to date" not in said or "Running stage" in said:
        raise UserError(f"dvc repro had something to do: {said.strip().splitlines()[-1]}")
    stages = len(re.findall(r"^Stage ", said, re.MULTILINE))
    return within("repro", min(seconds), 3.0, f"nothing to do{f' in {stages} stages' if stages else ''}")


def _environment() -> dict[str, str]:
    """For commands in a copy: this Python first, nothing that leads to another store, cache or package."""
    leading = ("DVC_", "MLFLOW_", "GIT_", "PYTHONPATH")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(leading)}
    author = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return kept | author | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])}


def _copy_project(project: Path, environment: dict[str, str]) -> None:
    """What git knows of the project, without data, as a repository of its own."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], paths.project(), environment)
    for name in filter(None, listed.split("\0")):
        if (paths.project() / name).is_file() and not name.startswith("data/"):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.project() / name, project / name)
    for command in ("git init -q", "git add -A", "git commit -q -m copy"):
        _run(command.split(), project, environment)


def _reduced_copy(project: Path, environment: dict[str, str], options: Options) -> None:
    """A copy with 512 samples a split and 2 epochs, trained once."""
    _copy_project(project, environment)
    text = (project / "params.yaml").read_text("utf-8")
    for key, value in (("limit", 512), ("epochs", 2)):
        text = re.sub(rf"^{key}:.*$", f"{key}: {value}", text, flags=re.MULTILINE)
    (project / "params.yaml").write_text(text, "utf-8")
    (project / "data" / "raw").mkdir(parents=True)
    (project / "data" / "raw" / DATASET).symlink_to(raw(DATASET, options).resolve(), target_is_directory=True)
    for command, item in (("split", DATASET), ("preprocess", DATASET), ("train", EXPERIMENT)):
        _run([sys.executable, "src/torchprimer", command, item], project, environment)


def _own_work(name: str, project: Path, environment: dict[str, str]) -> float:
    if name == "train":
        with (project / "metrics" / EXPERIMENT / "history.csv").open(encoding="utf-8", newline="") as stream:
            return sum(float(row["epoch_seconds"]) for row in csv.DictReader(stream))
    script = Path(__file__).with_name("stage_work.py")
    return float(_run([sys.executable, str(script), name, EXPERIMENT], project, environment).splitlines()[-1])


def _make_outputs(project: Path) -> None:
    """Writes something to wherever a stage of dvc.yaml writes: a file, or a folder with a few of them."""
    from dvc.repo import Repo  # type: ignore[import-untyped]

    with Repo(str(project)) as repo:
        outputs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    for output in outputs:
        files = [output] if output.suffix in (".csv", ".json", ".checked") else [output / str(i) for i in range(4)]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{file.relative_to(project)}\n", "utf-8")


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{' '.join(command[1:])} ended with {done.returncode}: {said}")
    return done.stdout
