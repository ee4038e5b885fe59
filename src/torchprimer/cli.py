"""`torchprimer STAGE ITEM` as dvc.yaml calls it, and the commands that people type."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from torchprimer.errors import UserError, did_you_mean

STAGES = {  # stage -> section of params.yaml that has its items
    "download": "downloads",
    "split": "datasets",
    "preprocess": "datasets",
    "train": "experiments",
    "evaluate": "experiments",
    "export": "experiments",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are UserErrors, like everybody else's."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, or 1 after one clear line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "-v" in given or "--verbose" in given
    signal.signal(signal.SIGTERM, _interrupt)  # so that a run that is told to stop can still say so to MLflow
    try:
        _run(_parse(given))
    except UserError as error:
        if verbose:
            raise
        print(f"torchprimer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if verbose:
            raise
        print("torchprimer: interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    except OSError as error:  # disk full, no permission, a folder where a file should be
        if verbose or error.errno is None:
            raise
        print(f"torchprimer: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parse(given: list[str]) -> argparse.Namespace:
    parser, choices = _parser()
    word = next((argument for argument in given if not argument.startswith("-")), None)
    if word is not None and word not in choices:
        commands = [name for name in choices if not name.startswith("_")]
        raise UserError(f"no command '{word}'; there are: {', '.join(commands)}.{did_you_mean(word, commands)}")
    return parser.parse_args(given)


def _parser() -> tuple[Parser, list[str]]:
    """The parser and its commands; those that begin with _ are not for people."""
    common = Parser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    parser = Parser(prog="torchprimer", description="The stages of the pipeline, and what goes with it.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("check", parents=[common], help="read params.yaml and say what is wrong with it")
    for stage, section in STAGES.items():
        command = commands.add_parser(stage, parents=[common], help=f"run one stage (`dvc repro {stage}` runs all)")
        command.add_argument("item", metavar="ITEM", help=f"a key of {section}: in params.yaml")
    photos = commands.add_parser("add-photos", parents=[common], help="bring photos of your own: a zip or a folder")
    photos.add_argument("place", type=Path, metavar="ZIP_OR_FOLDER", help="cat.12.jpg ..., or a folder per class")
    photos.add_argument("--name", default="photos", help="their name under data/raw (default: photos)")
    commands.add_parser("_track")  # see tracking/process.py
    commands.add_parser("sync", parents=[common], help="log to MLflow what the workspace has and MLflow lacks")
    return parser, list(commands.choices)


def _run(arguments: argparse.Namespace) -> None:
    command = arguments.command
    if command == "add-photos":
        from torchprimer.sources.photos import add_photos

        add_photos(arguments.place, arguments.name)
        return
    if command == "_track":
        from torchprimer.tracking.process import serve

        sys.exit(serve())
    if command == "sync":
        from torchprimer.tracking.sync import sync

        sync()
        return

    from torchprimer.params import load

    params = load()
    if command == "check":
        import_module("torchprimer.stages.check").run(params)
        return
    section = STAGES[command]
    items = getattr(params, section)
    if arguments.item not in items:
        guess = did_you_mean(arguments.item, items)
        raise UserError(f"no '{arguments.item}' under {section}: in params.yaml; there are: {', '.join(items)}.{guess}")
    stage = f"torchprimer.stages.{command}"
    if section != "experiments":
        import_module(stage).run(params, arguments.item)
        return

    from torchprimer.tracking import Tracker

    with Tracker() as tracker:  # before the stage imports PyTorch: both take their time side by side
        import_module(stage).run(params, arguments.item, tracker)
