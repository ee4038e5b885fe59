"""The commands about MLflow: its web pages, and logging results again."""

from typing import Annotated

import typer

PANEL = "MLflow"

app = typer.Typer()


@app.command(rich_help_panel=PANEL, epilog="Examples:\n\n  torchprimer ui\n  torchprimer ui --port 5001")
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Open MLflow's web pages: all runs as a table, their curves, the registered models.

    The server listens on 127.0.0.1 until Ctrl-C. If MLFLOW_TRACKING_URI names
    a server, its address is printed instead. The menu Views has a table for
    each group of runs: classifiers, regression, generators, champions, folds.
    """
    from torchprimer.tracking.ui import ui

    ui(port)


@app.command(rich_help_panel=PANEL, epilog="Example:\n\n  torchprimer sync")
def sync() -> None:
    """Log results of the workspace that MLflow lacks.

    Results that DVC restores from its cache or pulls from a remote are not
    logged until `sync` runs.
    """
    from torchprimer.tracking.sync import sync

    sync()
