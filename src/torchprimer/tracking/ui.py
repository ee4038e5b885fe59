"""`torchprimer ui`: MLflow's pages, with the view of the trainings open."""

import os
import socket
import sys

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking.store import Store
from torchprimer.tracking.views import MAIN

HOST = "127.0.0.1"


def ui(port: int) -> None:
    """Serves the local store until it is interrupted; of a team's server it only says the address.

    Raises:
        UserError: the port is in use.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if given.startswith("http"):
        print(f"MLflow is at {address(given.rstrip('/'), Store().experiment)}")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used ({error.strerror}); another one: make ui PORT=5001") from None
    print(f"MLflow will be at {address(f'http://{HOST}:{port}', Store().experiment)}   (Ctrl-C ends it)", flush=True)
    store = given or f"sqlite:///{(paths.root() / 'mlflow.db').as_posix()}"
    command = ["ui", "--host", HOST, "--port", str(port), "--workers", "1", "--backend-store-uri", store]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *command])


def address(server: str, experiment: str) -> str:
    """Of the experiment's runs as a table, in the view MAIN."""
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={MAIN}"
