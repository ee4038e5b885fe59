"""`torchprimer ui`: MLflow's pages, opened at the table of all experiments."""

import os
import socket
import subprocess
import sys
import time

from torchprimer.errors import UserError
from torchprimer.tracking.client import Store, tracking_uri
from torchprimer.tracking.views import MAIN

HOST = "127.0.0.1"


def ui(port: int) -> None:
    """Serves the local store until Ctrl-C, or prints the address of a server; UserError: the port is in use."""
    server_uri, experiment = os.environ.get("MLFLOW_TRACKING_URI", ""), Store().experiment
    if server_uri.startswith("http"):
        print(f"MLflow: {address(server_uri.rstrip('/'), experiment)}")
        return
    if _is_listening(port):
        raise UserError(f"port {port} is in use; another one: torchprimer ui --port {port + 1} (make ui PORT=...)")
    quiet = ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    server_options = ["--host", HOST, "--port", str(port), *quiet, "--backend-store-uri", tracking_uri()]
    disabled = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", *server_options]
    # in a separate process group: Ctrl-C reaches only this process, which then ends the server
    with subprocess.Popen(command, env=os.environ | disabled, process_group=0) as server:
        try:
            while server.poll() is None and not _is_listening(port):
                time.sleep(0.2)
            if server.poll() is None:
                print(f"MLflow: {address(f'http://{HOST}:{port}', experiment)}   (Ctrl-C ends it)", flush=True)
            if server.wait():
                raise UserError("MLflow's server ended: see above")
        except KeyboardInterrupt:
            server.terminate()


def address(server: str, experiment: str) -> str:
    """The URL of the table of runs, in the view MAIN."""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={MAIN}"


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
