"""Experiments of DVC: params set on the command line, a run, and the workspace saved after it for `dvc exp show`."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]
from dvc.repo.experiments.refs import ExpRefInfo  # type: ignore[import-untyped]
from dvc.repo.experiments.utils import get_random_exp_name  # type: ignore[import-untyped]
from dvc.utils.cli_parse import to_path_overrides  # type: ignore[import-untyped]
from dvc.utils.hydra import apply_overrides  # type: ignore[import-untyped]

from torchprimer.errors import UserError


def run(name: str | None, overrides: Sequence[str], repro: Callable[[], int]) -> int:
    """Does what `dvc exp run` does, with `repro` to run the stages.

    Args:
        name: None: DVC makes one up.
        overrides: KEY=VALUE for params.yaml, or FILE:KEY=VALUE.

    Raises:
        UserError: there is an experiment of this name, or a value cannot be set.
    """
    with Repo() as repo:
        reference = _new_reference(repo, name)
    try:
        for path, values in to_path_overrides(overrides).items():
            apply_overrides(path, values)
    except DvcException as error:
        raise UserError(f"-S: {' '.join(str(error.__cause__ or error).split())}") from error
    # as DVC does; MLflow gets a tag of the name
    os.environ.update(DVC_EXP_NAME=reference.name, DVC_EXP_BASELINE_REV=reference.baseline_sha)
    code = repro()
    with Repo() as repo:
        written = {Path(out.fs_path) for out in repo.index.outs if not out.use_cache}  # for git, which may not know it
        files = [Path(repo.scm.root_dir, file) for file in repo.scm.untracked_files()]
        new = [str(file) for file in files if not written.isdisjoint({file, *file.parents})]
        # the runner has committed all that ran; without a target DVC would do so again, and miss what never ran
        target = next(stage.addressing for stage in repo.index.stages if all(out.exists for out in stage.outs))
        repo.experiments.save(targets=[target], name=reference.name, include_untracked=new)
    print(f"Saved as experiment {reference.name}; see `dvc exp show`.")
    return code


def run_in_copy(name: str | None, arguments: Sequence[str], folder: Path) -> int:
    """Runs `torchprimer repro --name NAME ARGUMENTS` in a copy of the workspace and keeps the experiment alone.

    The copy, below `folder`, has the files that git knows, with their changes; it uses the cache and the MLflow store
    of the workspace.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="copy.") as copy, Repo() as repo:
        reference = _new_reference(repo, name)
        _git("clone", "--quiet", "--shared", ".", copy)
        if changes := _git("diff", "--binary", "HEAD"):
            _git("-C", copy, "apply", "--whitespace=nowarn", "-", stdin=changes)
        with Repo(copy) as copied, copied.config.edit("local") as config:
            config["cache"]["dir"] = repo.cache.local_cache_dir
        with Repo(copy) as copied:  # the run cache has no outputs that persist: downloads
            kept = [out.fs_path for out in copied.index.outs if out.persist]
            copied.checkout(kept, force=True, allow_missing=True)
        command = [sys.executable, "-m", "torchprimer", "repro", "--name", reference.name, *arguments]
        environment = os.environ | {"DVC_ROOT": repo.root_dir}  # whose MLflow store the stages use
        with subprocess.Popen(command, cwd=copy, env=environment) as process:
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for that process, which ends with 130
            code = process.wait()
            signal.signal(signal.SIGINT, handler)
        if code == 0:
            _git("fetch", "--quiet", copy, f"{reference}:{reference}")
    return code


def _new_reference(repo: Repo, name: str | None) -> ExpRefInfo:
    commit = repo.scm.get_rev()
    reference = ExpRefInfo(commit, name or get_random_exp_name(repo.scm, commit))
    if repo.scm.get_ref(str(reference)):
        raise UserError(f"--name {name}: there is an experiment of this name, `dvc exp remove {name}` removes it")
    return reference


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.decode('utf-8', 'replace').split())}")
    return done.stdout
