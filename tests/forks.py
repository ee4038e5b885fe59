"""Faster variants of `python` and `dvc` for the reduced pipeline, in a folder to put first into PATH.

Most of the time of a reduced stage is the import of PyTorch, pandas and scikit-learn. This `python` is a short client
that sends its arguments, folder, environment and streams to a server. The server has imported those packages, but
nothing of this project, and forks; the child process runs the file as Python would. If TORCHPRIMER_IMPORTS names a
file, the child appends a line to it: its arguments, and the modules of the project that it has imported.

This `dvc` is tests/quick_dvc.py.

    python -m tests.forks SOCKET      runs the server: see `forking`
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
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    streams = array.array("i", [0, 1, 2])
    line.sendmsg([len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    line.sendall(request)
    code = line.recv(8, socket.MSG_WAITALL)
sys.exit(int.from_bytes(code, "big") if code else 1)
"""
DVC = Path(__file__).with_name("quick_dvc.py")


@contextlib.contextmanager
def forking() -> Iterator[Path]:
    """A folder for PATH with both commands; the folder and the server exist until the block ends."""
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # a short path: the address of a socket has at most about 100 characters
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
    """Answers each call in a child process; calls may overlap."""
    for package in PACKAGES:
        import_module(package)
    gc.freeze()  # a garbage collection in a child would copy the memory that it shares with the server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: nothing waits for the children
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address.with_suffix(".new")))
        listener.listen(8)
        address.with_suffix(".new").rename(address)
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                os._exit(_answer(line))
            line.close()


def _answer(line: socket.socket) -> int:
    """In a child process: runs the stage in a grandchild and sends its exit code, also if it was killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, control, _, _ = line.recvmsg(8, socket.CMSG_SPACE(12))
    streams = array.array("i")
    streams.frombytes(control[0][2])
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += line.recv(1 << 20)
    stage = os.fork()
    if stage == 0:
        line.close()
        os._exit(_run(*json.loads(request), streams))
    _, status = os.waitpid(stage, 0)
    code = os.waitstatus_to_exitcode(status)
    line.sendall((code if code >= 0 else 128 - code).to_bytes(8, "big"))
    return 0


def _run(argv: list[str], folder: str, environment: dict[str, str], streams: "array.array[int]") -> int:
    """In the grandchild: does what `python FILE ...` does from start to end, on the client's streams."""
    for descriptor, (stream, name, mode) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), "rww", strict=True)):
        os.dup2(stream, descriptor)
        setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
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
    if record := environment.get("TORCHPRIMER_IMPORTS"):
        imported = [name for name in sys.modules if name.startswith("torchprimer.")]
        with Path(record).open("a") as file:
            print(json.dumps(["@".join(argv[1:]), imported]), file=file)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
