"""The commands of a stage, in a process forked from a warm one or in a shell."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from torchprimer.runner.process import Job, python_arguments, run_job, start_server


def job(folder: Path, *commands: str) -> Job:
    return Job("test", commands, str(folder), {"WORD": "from the job"}, "/bin/sh", folder / "log")


@pytest.fixture(autouse=True)
def _python_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    start_server()


def script(folder: Path, text: str) -> Path:
    (folder / "script.py").write_text(text)
    return folder


def test_a_python_file_runs_as_python_would_run_it(tmp_path: Path) -> None:
    folder = script(
        tmp_path,
        "import atexit, os, sys\n"
        "print(__name__, __file__, sys.argv, os.getcwd(), os.environ['WORD'], 'torch' in sys.modules)\n"
        "atexit.register(print, 'at exit')\n"
        "sys.exit(int(sys.argv[1]))\n",
    )
    outcome = run_job(job(folder, "python script.py 0 'two words'", "python script.py 7", "python script.py 0"))
    assert outcome.exit_code == 7
    first = f"__main__ script.py ['script.py', '0', 'two words'] {folder} from the job True\nat exit\n"
    second = f"__main__ script.py ['script.py', '7'] {folder} from the job True\nat exit\n"
    assert (folder / "log").read_text() == first + second  # the third command did not start
    assert outcome.seconds > 0
    assert outcome.peak_memory > 50e6  # PyTorch


@pytest.mark.parametrize(
    ("body", "code", "output"),
    [
        ("raise SystemExit('a reason')", 1, "a reason"),
        ("raise ValueError('a bug')", 1, "ValueError: a bug"),
        ("raise SystemExit", 0, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os; os._exit(5)", 5, ""),
    ],
)
def test_how_it_ends(tmp_path: Path, body: str, code: int, output: str) -> None:
    outcome = run_job(job(script(tmp_path, body), "python script.py"))
    assert outcome.exit_code == code
    assert output in (tmp_path / "log").read_text()
    assert outcome.reason == ("killed by SIGKILL" if code < 0 else f"exit code {code}")


def test_other_commands_run_in_the_shell(tmp_path: Path) -> None:
    outcome = run_job(job(tmp_path, "echo one | tr a-z A-Z; echo $WORD >&2", "kill -9 $$"))
    assert (tmp_path / "log").read_text() == "ONE\nfrom the job\n"
    assert outcome.exit_code == 128 + 9


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("python script.py a --b 'c d'", ["script.py", "a", "--b", "c d"]),
        ("python3 script.py", ["script.py"]),
        ("python missing.py", []),
        ("python -m module", []),
        ("python -O script.py", []),
        ("python script.py > file", []),
        ("python script.py && true", []),
        ("python script.py $HOME", []),
        ("WORD=x python script.py", []),
        ("/usr/bin/env python script.py", []),
        ("python", []),
        ("python 'script.py", []),
    ],
)
def test_which_commands_are_forked(tmp_path: Path, command: str, arguments: list[str]) -> None:
    assert python_arguments(command, job(script(tmp_path, ""), command)) == arguments


def test_another_python_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/echo")
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    run_job(replace(job(script(tmp_path, "print('not echo')"), "python script.py"), environment={"PATH": path}))
    assert (tmp_path / "log").read_text() == "script.py\n"


def test_stopping_interrupts_a_command_that_forked(tmp_path: Path) -> None:
    """The stage gets SIGINT, as by Ctrl-C, and so do the processes that it has started."""
    folder = script(
        tmp_path,
        "import subprocess, sys, time\n"
        "children = [subprocess.Popen(['sleep', '60']) for _ in range(2)]\n"
        "print(*[child.pid for child in children], flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('saved')\n    sys.exit(130)\n",
    )
    log = folder / "log"
    outcome = run_job(job(folder, "python script.py"), lambda: log.exists() and "\n" in log.read_text())
    assert outcome.exit_code == 130
    first, last = log.read_text().splitlines()
    assert last == "saved"
    end = time.monotonic() + 10
    while any(psutil.pid_exists(int(pid)) for pid in first.split()):
        assert time.monotonic() < end
        time.sleep(0.05)
