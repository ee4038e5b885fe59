"""What makes the reduced pipeline bearable: a `python` and a `dvc` to put first into PATH.

Most of the time of a reduced stage is the import of PyTorch, pandas and scikit-learn. This `python` is a few lines that
hand their arguments, folder, environment and streams to a server. It has imported those packages, nothing of this
project, and forks: the child runs the file as Python would have. Where TORCHPRIMER_IMPORTS names a file, the child adds
a line to it: its arguments, and what of the project it has imported.

And this `dvc` is tests/quick_dvc.py.

    python -m tests.forks SOCKET      the server: see `forking`
"""

import array
import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

PACKAGES = (
    "torch",
    "torch._dynamo",
    "pandas",
    "sklearn.metrics",
    "matplotlib.figure",
    "onnx",
    "onnxruntime",
    "pydantic",
)
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    streams = array.array("i", [0, 1, 2])
    line.sendmsg([len(said).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    line.sendall(said)
    ended = line.recv(8, socket.MSG_WAITALL)
sys.exit(int.from_bytes(ended, "big") if ended else 1)
"""
DVC = Path(__file__).with_name("quick_dvc.py")


@contextlib.contextmanager
def forking() -> Iterator[Path]:
    """A folder for PATH, with the two in it; it and the server end with the block."""
    with tempfile.TemporaryDirectory() as folder:  # of a short name: a socket's has about 100 characters at most
        address = Path(folder, "socket")
        client = CLIENT.format(python=sys.executable, address=str(address))
        for name, script in (("python", client), ("dvc", f"#!{sys.executable}\n{DVC.read_text('utf-8')}")):
            Path(folder, name).write_text(script, "utf-8")
            Path(folder, name).chmod(0o755)
        with subprocess.Popen([sys.executable, "-m", "tests.forks", str(address)]) as server:
            try:
                while not address.exists():
                    assert server.poll() is None, "the server ended"
                    time.sleep(0.05)
                yield Path(folder)
            finally:
                server.terminate()


def serve(address: Path) -> None:
    """One child for each call; calls may overlap."""
    for package in PACKAGES:
        import_module(package)
    gc.freeze()  # a child that looked through all of it for garbage would get a copy of its own
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children that wait for a stage are not waited for
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(address.with_suffix(".new")))
        door.listen(8)
        address.with_suffix(".new").rename(address)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                os._exit(_answer(line))
            line.close()


def _answer(line: socket.socket) -> int:
    """In a child: runs the stage in a grandchild and says how that ended, also if it was killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, control, _, _ = line.recvmsg(8, socket.CMSG_SPACE(12))
    streams = array.array("i")
    streams.frombytes(control[0][2])
    said = b""
    while len(said) < int.from_bytes(size, "big"):
        said += line.recv(1 << 20)
    stage = os.fork()
    if stage == 0:
        line.close()
        os._exit(_run(*json.loads(said), streams))
    _, status = os.waitpid(stage, 0)
    code = os.waitstatus_to_exitcode(status)
    line.sendall((code if code >= 0 else 128 - code).to_bytes(8, "big"))
    return 0


def _run(argv: list[str], folder: str, environment: dict[str, str], streams: "array.array[int]") -> int:
    """In the grandchild: what `python FILE ...` does, from its start to its end, with streams of its own."""
    for here, (stream, name, mode) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), "rww", strict=True)):
        os.dup2(stream, here)
        setattr(sys, name, open(here, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv, code = list(argv), 0
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    if seen := environment.get("TORCHPRIMER_IMPORTS"):
        used = [name for name in sys.modules if name.startswith("torchprimer.")]
        with Path(seen).open("a") as file:
            print(json.dumps(["@".join(argv[1:]), used]), file=file)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
