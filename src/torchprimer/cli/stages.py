"""The commands that dvc.yaml calls: one for each stage of the pipeline."""

from collections.abc import Collection
from importlib import import_module
from typing import Annotated

import typer

from torchprimer.errors import UserError, did_you_mean
from torchprimer.stages import STAGES, Stage
from torchprimer.training import launch

app = typer.Typer()


def add_command(stage: Stage) -> None:
    """Adds the command of a stage to `app`."""

    def run_once() -> int:
        return run_stage(stage, None)

    def run_item(item: Annotated[str, typer.Argument(metavar="ITEM", help=f"A key of {stage.section}.")]) -> int:
        return run_stage(stage, item)

    epilog = f"Example:\n\n  torchprimer {stage.name} {stage.example}"
    command = app.command(stage.name, help=stage.help, epilog=epilog, rich_help_panel="Stages")
    command(run_item if stage.section else run_once)


for _stage in STAGES.values():
    add_command(_stage)


def run_stage(stage: Stage, item: str | None) -> int:
    """Runs a stage, for one item or for all of params.yaml; returns the exit code.

    Raises:
        UserError: params.yaml has no such item, or a file of an earlier stage is missing.
        KeyboardInterrupt: its text says what running the same command again does.
    """
    try:
        return _run(stage, item)
    except FileNotFoundError as error:
        if item is None:
            raise
        raise UserError(f"{error}: `dvc repro {stage.name}@{item}` also runs the stages before it") from error
    except KeyboardInterrupt:
        hint = "resume from the last completed epoch" if stage.resumable else "start it again"
        raise KeyboardInterrupt(f"; run the same command to {hint}") from None


def _run(stage: Stage, item: str | None) -> int:
    from torchprimer.params import load

    params = load()
    if stage.section and item is not None:
        require_key(item, stage.section, getattr(params, stage.section))
        processes = params.processes if stage.distributed and params.experiments[item].distributed else 1
        if (code := launch.launch_torchrun(processes)) is not None:
            return code
    run = import_module(f"torchprimer.stages.{stage.name}").run
    if item is None:
        run(params)
    elif not stage.tracked:
        run(params, item)
    elif launch.rank():  # rank 0 logs
        run(params, item, None)
    else:
        from torchprimer.tracking import Tracker

        with Tracker() as tracker:
            run(params, item, tracker)
    return 0


def require_key(name: str, section: str, names: Collection[str]) -> None:
    """Raises UserError unless `name` is one of `names`, the keys of a section of params.yaml."""
    if name not in names:
        allowed = ", ".join(names) or "none"
        file = "data/catalog.yaml" if section == "downloads" else "params.yaml"
        raise UserError(f"no '{name}' under {section}: in {file}; one of: {allowed}.{did_you_mean(name, names)}")
