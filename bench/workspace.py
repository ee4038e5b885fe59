"""Throw-away copies of the project, and the commands that run in them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from torchprimer import paths
from torchprimer.errors import UserError

STAGE = [sys.executable, "src/torchprimer"]
DVC = [sys.executable, "-m", "dvc"]


def run_command(command: list[str], folder: Path) -> str:
    """Runs a command with this Python first in PATH; returns its standard output.

    Raises:
        UserError: its exit code is not 0; the message has the last line that it printed.
    """
    process = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if process.returncode != 0:
        output = process.stderr.strip() or process.stdout.strip() or "no output"
        raise UserError(
            f"{' '.join(command[1:])} failed with exit code {process.returncode}: {output.splitlines()[-1]}"
        )
    return process.stdout


def _environment() -> dict[str, str]:
    """The caller's environment without variables that select another store, cache, repository or package."""
    prefixes = ("DVC_", "MLFLOW_", "GIT_", "PYTHONPATH")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    author = {f"GIT_{role}_{part}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return inherited | author | {"PATH": path}


def copy_project(folder: Path, **settings: int | None) -> None:
    """Copies the files that git knows, without data/raw/, into a new git repository.

    Args:
        settings: values of top-level keys of params.yaml: `limit=512`.
    """
    listing = run_command(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], paths.project())
    for name in filter(None, listing.split("\0")):
        if (paths.project() / name).is_file() and not name.startswith("data/raw/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.project() / name, folder / name)
    text = (folder / "params.yaml").read_text("utf-8")
    for key, value in settings.items():
        text = re.sub(rf"^{key}:.*$", f"{key}: {'null' if value is None else value}", text, flags=re.MULTILINE)
    (folder / "params.yaml").write_text(text, "utf-8")
    for command in ("git init -q", "git add -A", "git commit -q -m copy"):
        run_command(command.split(), folder)


def prepare_dataset(folder: Path, dataset: str, raw: Path) -> Path:
    """Runs the stages split and preprocess in a copy of the project; returns the folder of the arrays.

    Args:
        raw: the folder of the raw source, which has the name of the dataset.
    """
    prepared = folder / "data" / "prepared" / dataset
    if not prepared.is_dir():
        link = folder / "data" / "raw" / dataset
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(raw.resolve(), target_is_directory=True)
        for stage in ("split", "preprocess"):
            run_command([*STAGE, stage, dataset], folder)
    return prepared
