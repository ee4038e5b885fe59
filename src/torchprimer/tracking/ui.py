"""`torchprimer ui`: MLflow's pages, with the address of the table of all experiments."""

import os
import socket
import subprocess
import sys
import time

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking.client import Store
from torchprimer.tracking.views import MAIN

HOST = "127.0.0.1"


def ui(port: int) -> None:
    """Serves the local store until it is interrupted; of a team's server it only says the address.

    Raises:
        UserError: the port is in use, or MLflow ended by itself.
    """
    given, experiment = os.environ.get("MLFLOW_TRACKING_URI", ""), Store().experiment
    if given.startswith("http"):
        print(f"MLflow: {address(given.rstrip('/'), experiment)}")
        return
    if _answers(port):
        raise UserError(f"port {port} is in use; another one: torchprimer ui --port {port + 1} (make ui PORT=...)")
    store = given or f"sqlite:///{(paths.main_checkout() / 'mlflow.db').as_posix()}"
    quiet = ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    command = ["ui", "--host", HOST, "--port", str(port), *quiet, "--backend-store-uri", store]
    without = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    whole = [sys.executable, "-m", "mlflow", *command]
    # in a group of its own: Ctrl-C is for this process, which then ends the server
    with subprocess.Popen(whole, env=os.environ | without, process_group=0) as server:
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(0.2)
            if server.poll() is None:
                print(f"MLflow: {address(f'http://{HOST}:{port}', experiment)}   (Ctrl-C ends it)", flush=True)
            if server.wait():
                raise UserError("MLflow's server ended: see above")
        except KeyboardInterrupt:
            server.terminate()


def address(server: str, experiment: str) -> str:
    """Of the experiment's runs as a table, in the view MAIN."""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={MAIN}"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
