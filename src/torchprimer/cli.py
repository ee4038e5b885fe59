"""`torchprimer STAGE ITEM` as dvc.yaml calls it, and the commands that people type."""

import argparse
import signal
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from torchprimer.errors import UserError, did_you_mean

STAGES = {  # stage -> section of params.yaml that has its items
    "download": "downloads",
    "split": "datasets",
    "preprocess": "datasets",
    "baseline": "datasets",
    "features": "features",
    "crossvalidate": "crossvalidate",
    "train": "experiments",
    "evaluate": "experiments",
    "export": "experiments",
}
ALONE = {  # the stages that run once, for all of params.yaml -> what they do
    "check": "read params.yaml and say what is wrong with it",
}
TRACKED = ("baseline", "train", "crossvalidate", "evaluate", "export")  # the stages that MLflow hears of


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
    for stage, does in ALONE.items():
        commands.add_parser(stage, parents=[common], help=does)
    for stage, section in STAGES.items():
        command = commands.add_parser(stage, parents=[common], help=f"run one stage (`dvc repro {stage}` runs all)")
        command.add_argument("item", metavar="ITEM", help=f"a key of {section}: in params.yaml")
    photos = commands.add_parser("add-photos", parents=[common], help="bring photos of your own: a zip or a folder")
    photos.add_argument("place", type=Path, metavar="ZIP_OR_FOLDER", help="cat.12.jpg ..., or a folder per class")
    photos.add_argument("--name", default="photos", help="their name under data/raw (default: photos)")
    data = commands.add_parser("add-data", parents=[common], help="bring a table or texts of your own")
    data.add_argument("places", type=Path, nargs="+", metavar="FILE", help="a CSV, or a text file for each class")
    data.add_argument("--name", required=True, help="their name under data/raw")
    layers = commands.add_parser("show", parents=[common], help="what a trained model is made of")
    layers.add_argument("item", metavar="EXPERIMENT", help="a key of experiments: in params.yaml")
    layers.add_argument("weights", nargs="?", help="the values of these weights, by their name")
    layers.add_argument("--out", type=Path, metavar="FILE.npy", help="write the values there instead")
    commands.add_parser("_track")  # see tracking/process.py
    commands.add_parser("sync", parents=[common], help="log to MLflow what the workspace has and MLflow lacks")
    return parser, list(commands.choices)


def _run(arguments: argparse.Namespace) -> None:
    command = arguments.command
    if command == "add-photos":
        from torchprimer.sources.photos import add_photos

        add_photos(arguments.place, arguments.name)
        return
    if command == "add-data":
        from torchprimer.sources.own import add_data

        add_data(arguments.places, arguments.name)
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
    if command == "show":
        from torchprimer.show import show

        show(_item(arguments.item, "experiments", params.experiments), arguments.weights, arguments.out)
        return
    if command in ALONE:
        import_module(f"torchprimer.stages.{command}").run(params)
        return
    section = STAGES[command]
    _item(arguments.item, section, getattr(params, section))
    stage = f"torchprimer.stages.{command}"
    if command not in TRACKED:
        import_module(stage).run(params, arguments.item)
        return

    from torchprimer.tracking import Tracker

    with Tracker() as tracker:  # before the stage imports PyTorch: both take their time side by side
        import_module(stage).run(params, arguments.item, tracker)


def _item(name: str, section: str, items: Collection[str]) -> str:
    if name not in items:
        guess = did_you_mean(name, items)
        raise UserError(f"no '{name}' under {section}: in params.yaml; there are: {', '.join(items) or 'none'}.{guess}")
    return name
