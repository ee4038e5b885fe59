"""A small DVC project whose stages write, wait, fail or fork as their parameters say."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment

WORK = """
import json, os, sys, time
from pathlib import Path

name = sys.argv[1]
params = json.loads(Path("params.json").read_text())["stages"][name]
print(f"{name} starts", flush=True)
Path("started").mkdir(exist_ok=True)
Path("started", f"{name}.{os.getpid()}").write_text(str(time.time()))
time.sleep(params["seconds"])
if params.get("fails"):
    print(f"{name} cannot work", file=sys.stderr)
    sys.exit(3)
Path("out").mkdir(exist_ok=True)
Path("out", f"{name}.txt").write_text(f"{params['text']}\\n")
"""

PIPELINE = """
stages:
  make:
    foreach: ${stages}
    do:
      cmd: python work.py ${key}
      params:
        - params.json:
            - stages.${key}
      deps:
        - work.py
      outs:
        - out/${key}.txt
  count:
    foreach: ${stages}
    do:
      cmd: mkdir -p counts && wc -c < out/${key}.txt > counts/${key}.json
      deps:
        - out/${key}.txt
      metrics:
        - counts/${key}.json:
            cache: false
  all:
    cmd:
      - cat out/*.txt > all.txt
      - echo done >> all.txt
    deps:
      - out
    outs:
      - all.txt
vars:
  - params.json
"""


TORCHPRIMER = f"""{sys.executable} -c '
import sys
from torchprimer.cli.app import main
from torchprimer.runner import process
process.PRELOADED = ("torchprimer.runner",)
sys.exit(main())' """  # without PyTorch and MLflow, which the stages do not need: their import takes 8 s


class Toy:
    """A project in a folder of its own; calling it runs a command there."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "work.py").write_text(WORK)
        (folder / "dvc.yaml").write_text(PIPELINE)
        (folder / ".gitignore").write_text("/out\n/all.txt\n/started\n")
        self.environment = clean_environment() | {"PYTHONPATH": str(PROJECT / "src")}
        (folder / ".dvc").mkdir()  # what `dvc init` does, in no time
        (folder / ".dvc" / "config").write_text(f"[cache]\n    dir = {cache}\n")
        (folder / ".dvc" / ".gitignore").write_text("/tmp\n")
        (folder / ".dvcignore").touch()
        self("git init -q")

    def write(self, **stages: dict[str, object]) -> None:
        """Writes params.json: the stages make@NAME, each with its seconds, its text, and whether it fails."""
        import json

        content = {name: {"seconds": 0.0, "text": name} | params for name, params in stages.items()}
        (self.folder / "params.json").write_text(json.dumps({"stages": content}))

    def __call__(self, command: str, *, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command.replace("torchprimer ", TORCHPRIMER),
            shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, command: str) -> "subprocess.Popen[str]":
        """A command that runs beside the test, in a session of its own."""
        return subprocess.Popen(
            command.replace("torchprimer ", f"exec {TORCHPRIMER}"),
            shell=True, cwd=self.folder, env=self.environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text()

    def started(self) -> list[str]:
        """Stages whose command was started, since the last call."""
        files = sorted((self.folder / "started").glob("*"))
        names = [file.name.partition(".")[0] for file in files]
        for file in files:
            file.unlink()
        return names


@pytest.fixture
def make_toy(tmp_path: Path) -> Iterator[Callable[[str], Toy]]:
    """A function that makes a project; each has its own cache."""
    return lambda name: Toy(tmp_path / name, tmp_path / f"{name}.cache")
