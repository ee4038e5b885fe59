"""`torchprimer repro --scheduler`, on a Dask scheduler and workers that run on this machine."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.clone import PROJECT, clean_environment
from tests.runner.conftest import WORK, Toy
from tests.runner.test_repro import processes_in, wait_for

pytest.importorskip("distributed")

# a stage that says which worker runs it, finds no output of an earlier attempt, has processes of its own, and takes
# its time on the first worker only
WORK_ON_WORKER = WORK.replace(
    "time.sleep(",
    """Path("workers").mkdir(exist_ok=True)
seconds = 0 if list(Path("workers").glob(f"{name}.*")) else params["seconds"]
Path("workers", f"{name}.{os.environ.get('WORKER')}").write_text(os.environ.get("MLFLOW_TRACKING_URI", ""))
Path("out").mkdir(exist_ok=True)
with Path("out", f"{name}.txt").open("x") as output:
    output.write("half of a file")
import subprocess
subprocess.run(f"sleep {seconds}; true", shell=True)
time.sleep(0 * """,
)
# large modules that a worker imports before its first stage; these stages need none, so they are empty here
LARGE = [
    "torch",
    "onnx",
    "onnxscript",
    "onnx_ir",
    "onnxruntime",
    "sympy",
    "sklearn",
    "matplotlib",
    "mlflow",
    "pandas",
    "sqlalchemy",
]
MLFLOW = "http://127.0.0.1:9"  # no stage of these tests uses it


class Dask:
    """A scheduler and workers with one thread each, as docs/cluster.md starts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "empty").mkdir()
        for name in LARGE:
            (folder / "empty" / f"{name}.py").touch()
        self.scheduler = self._start("scheduler", "scheduler", "--port", "0")
        wait_for((folder / "scheduler.json").exists, 100)
        self.address = f"tcp://127.0.0.1:{self._port()}"

    def _start(self, name: str, command: str, *options: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [Path(sys.executable).with_name("dask"), command, *options, "--host", "127.0.0.1",
                 "--dashboard-address", "127.0.0.1:0", "--scheduler-file", self.folder / "scheduler.json"],
                cwd=self.folder, stdout=log, stderr=log,
                env=clean_environment() | {"WORKER": name, "PYTHONPATH": f"{self.folder / 'empty'}:{PROJECT / 'src'}"},
            )  # fmt: skip

    def _port(self) -> int:
        (port,) = {
            int(line.rpartition(":")[2])
            for line in (self.folder / "scheduler.log").read_text().splitlines()
            if "Scheduler at:" in line
        }
        return port

    def start(self, *names: str, options: tuple[str, ...] = ("--no-nanny",)) -> None:
        """Starts the workers of these names that do not run, and ends the others."""
        for name in self.workers.keys() - set(names):
            self.end(name, signal.SIGTERM)
        for name in set(names) - self.workers.keys():
            self.workers[name] = self._start(name, "worker", "--name", name, "--nthreads", "1", *options)
        for name in names:
            wait_for(lambda name=name: "Registered to" in (self.folder / f"{name}.log").read_text(), 120)

    def end(self, name: str, number: signal.Signals | None) -> None:
        """Ends a worker by a signal, or retires it, as a cluster that becomes smaller does."""
        process = self.workers.pop(name)
        if number:
            process.send_signal(number)
        else:
            retire = f"from distributed import Client; Client('{self.address}').retire_workers(names=['{name}'])"
            subprocess.run([sys.executable, "-c", retire], check=True)
        process.wait(60)


@contextlib.contextmanager
def running_scheduler(folder: Path) -> Iterator[Dask]:
    dask = Dask(folder)
    try:
        yield dask
    finally:
        dask.start()
        dask.scheduler.terminate()
        dask.scheduler.wait(30)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with running_scheduler(tmp_path_factory.mktemp("dask")) as dask:
        yield dask


@pytest.fixture
def dask(scheduler: Dask) -> Dask:
    """The scheduler with three workers."""
    scheduler.start("x", "y", "z")
    return scheduler


@pytest.fixture
def toy(make_toy: Callable[[str], Toy]) -> Toy:
    return on_workers(make_toy("toy"))


def on_workers(toy: Toy) -> Toy:
    (toy.folder / "work.py").write_text(WORK_ON_WORKER)
    toy.environment["MLFLOW_TRACKING_URI"] = MLFLOW
    return toy


def workers_of(toy: Toy) -> dict[str, list[str]]:
    """Stage -> the workers that have run it."""
    found: dict[str, list[str]] = {}
    for file in sorted((toy.folder / "workers").glob("*")):
        stage, _, worker = file.name.partition(".")
        found.setdefault(stage, []).append(worker)
    return found


def stages_run(toy: Toy, *names: str) -> bool:
    return all(list((toy.folder / "out").glob(f"{name}.txt")) for name in names)


def test_dvc_lock_is_that_of_dvc_to_the_byte(dask: Dask, make_toy: Callable[[str], Toy]) -> None:
    ours, theirs = on_workers(make_toy("ours")), on_workers(make_toy("theirs"))
    for toy in (ours, theirs):
        toy.write(a={"seconds": 1.5}, b={"seconds": 1.0}, c={"seconds": 1.2}, d={})
    ours(f"torchprimer repro --scheduler {dask.address}")
    theirs("dvc repro")
    assert ours.lock == theirs.lock
    assert (ours.folder / "all.txt").read_text() == "a\nb\nc\nd\ndone\n"
    workers = [worker for found in workers_of(ours).values() for worker in found]
    assert len(workers) == 4
    assert set(workers) == {"x", "y", "z"}
    assert (ours.folder / "workers" / f"a.{workers_of(ours)['a'][0]}").read_text() == MLFLOW
    assert "up to date" in ours("dvc repro").stdout
    assert "up to date" in ours(f"torchprimer repro --scheduler {dask.address}").stdout


@contextlib.contextmanager
def killed_at_failure(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None])
def test_a_stage_of_a_lost_worker_runs_on_another_one(dask: Dask, toy: Toy, number: signal.Signals | None) -> None:
    toy.write(a={"seconds": 600}, b={"seconds": 3}, c={"seconds": 3})
    with killed_at_failure(toy.start(f"torchprimer repro --scheduler {dask.address}")) as runner:
        wait_for(lambda: stages_run(toy, "a", "b", "c"), 100)
        (lost,) = workers_of(toy)["a"]
        stage = psutil.Process(int(next((toy.folder / "started").glob("a.*")).name.partition(".")[2]))
        wait_for(lambda: len(stage.children(recursive=True)) == 2)  # a shell and `sleep`
        family = [stage, *stage.children(recursive=True)]
        dask.end(lost, number)
        wait_for(lambda: not any(is_alive(process) for process in family), 60)
        output, error = runner.communicate(timeout=120)
    assert runner.returncode == 0, output + error
    assert toy.started() == ["a", "a", "b", "c"]
    assert len(workers_of(toy)["a"]) == 2
    assert "up to date" in toy("dvc repro").stdout
    assert (toy.folder / "out" / "a.txt").read_text() == "a\n"


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_stages_with_the_parameter_device_run_on_workers_with_a_gpu(dask: Dask, toy: Toy) -> None:
    stage = "  {0}:\n    cmd: python work.py {0}\n    params: [params.json: [{1}]]\n    outs: [out/{0}.txt]\n"
    on_gpu, on_cpu = ["gpu1", "gpu2", "gpu3", "gpu4"], ["cpu1", "cpu2", "cpu3"]
    stages = dict.fromkeys(on_gpu, "stages, device") | dict.fromkeys(on_cpu, "stages")
    (toy.folder / "dvc.yaml").write_text("stages:\n" + "".join(stage.format(*item) for item in stages.items()))
    toy.write(**{name: {"seconds": 0.4} for name in stages})
    params = toy.folder / "params.json"
    params.write_text(params.read_text().replace("{", '{"device": "auto", ', 1))
    done = toy(f"torchprimer repro --scheduler {dask.address}")
    assert done.stderr == "no worker has the resource GPU: stages that can use one run on any worker\n"
    assert workers_of(toy).keys() == stages.keys()
    for file in (toy.folder / "workers").glob("*"):
        file.unlink()
    dask.start("x", "y", "with_gpu", options=("--no-nanny", "--resources", "GPU=1"))
    done = toy(f"torchprimer repro --force --scheduler {dask.address}")
    assert done.stderr == ""
    workers = workers_of(toy)
    assert [workers[name] for name in on_gpu] == [["with_gpu"]] * 4
    assert {worker for name in on_cpu for worker in workers[name]} & {"x", "y"}


def test_a_stage_fails_when_all_workers_have_gone(dask: Dask, toy: Toy) -> None:
    toy.write(a={})
    (toy.folder / "wait.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom torchprimer.runner.cluster import Cluster\n"
        "from torchprimer.runner.process import Job\n"
        f"cluster = Cluster('{dask.address}', patience=6)\n"
        "job = Job('wait', ('touch begun; sleep 600',), str(Path.cwd()), {}, '/bin/sh', Path('wait.log').absolute())\n"
        "try:\n    cluster.run_job(job, False, lambda: False)\nfinally:\n    cluster.client.close()\n"
    )
    with killed_at_failure(toy.start(f"exec {sys.executable} wait.py")) as waiting:
        wait_for((toy.folder / "begun").exists, 100)
        dask.start()
        _, error = waiting.communicate(timeout=100)
    assert error.endswith("UserError: the cluster has lost all workers\n")
    assert not processes_in(toy.folder)


def test_a_failing_stage_shows_its_output(dask: Dask, toy: Toy) -> None:
    toy.write(a={"fails": True}, b={})
    on_cluster = toy(f"torchprimer repro -j 1 --scheduler {dask.address}", code=1)
    assert "make@a: exit code 3" in on_cluster.stdout
    assert "    a starts\n    a cannot work\n" in on_cluster.stdout
    assert on_cluster.stderr == "torchprimer: failed: make@a\n"
    here = toy("torchprimer repro -j 1", code=1)
    shown = [[line for line in done.stdout.splitlines() if line.startswith("    ")] for done in (on_cluster, here)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stages_end_with_the_runner(dask: Dask, toy: Toy, number: signal.Signals) -> None:
    toy.write(a={}, b={}, c={"seconds": 600}, d={"seconds": 600})
    with killed_at_failure(toy.start(f"torchprimer repro --scheduler {dask.address}")) as runner:
        wait_for(lambda: stages_run(toy, *"abcd"), 100)
        os.killpg(runner.pid, number)
        _, error = runner.communicate(timeout=100)
    if number == signal.SIGINT:
        assert runner.returncode == 130
        assert error == "torchprimer: interrupted; run the same command to continue\n"
        assert not processes_in(toy.folder)
        assert "make@a:" in toy.lock
    else:
        wait_for(lambda: not processes_in(toy.folder), 60)
    toy.started()
    toy.write(a={}, b={}, c={}, d={})
    toy(f"torchprimer repro --scheduler {dask.address}")
    assert {*"cd"} <= {*toy.started()}
    assert "up to date" in toy("dvc repro").stdout


def refused(toy: Toy, address: str) -> str:
    """The error of a run on a cluster that cannot run stages."""
    toy.write(a={})
    start = time.monotonic()
    done = toy(f"torchprimer repro --scheduler {address}", code=1)
    assert time.monotonic() - start < 60  # 10 seconds on an idle machine
    assert done.stdout == ""
    assert done.stderr.startswith("torchprimer: ")
    assert done.stderr.count("\n") == 1
    assert toy.started() == []
    return done.stderr


@pytest.mark.parametrize("variable", [None, "", "sqlite:///mlflow.db"])
def test_without_an_mlflow_server(toy: Toy, variable: str | None) -> None:
    toy.environment.pop("MLFLOW_TRACKING_URI")
    if variable is not None:
        toy.environment["MLFLOW_TRACKING_URI"] = variable
    assert "set MLFLOW_TRACKING_URI" in refused(toy, "tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://127.0.0.1", "http://127.0.0.1:8786", "::::"])
def test_an_address_without_a_scheduler(toy: Toy, address: str) -> None:
    assert f"--scheduler {address}: " in refused(toy, address)


def test_workers_that_cannot_run_stages(scheduler: Dask, toy: Toy) -> None:
    scheduler.start()
    assert f"--scheduler {scheduler.address} has no workers" in refused(toy, scheduler.address)
    scheduler.start("with_nanny", options=())
    assert "must have the same start option: --no-nanny, not --nanny" in refused(toy, scheduler.address)
