"""`torchprimer STAGE ITEM` as dvc.yaml calls it, and the commands that people type."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from torchprimer.cli import formatting, usage
from torchprimer.cli.usage import COMMANDS, Usage
from torchprimer.errors import UserError, did_you_mean
from torchprimer.training import launch

STAGES = {  # stage -> section of params.yaml that has its items
    "download": "downloads",
    "split": "datasets",
    "preprocess": "datasets",
    "baseline": "datasets",
    "extract_features": "features",
    "crossvalidate": "crossvalidate",
    "train": "experiments",
    "evaluate": "experiments",
    "export": "experiments",
}
ALONE = {  # the stages that run once, for all of params.yaml -> what they do
    "check": "read params.yaml and say what is wrong with it",
    "report": "write reports/index.html, which compares all experiments",
}
TRACKED = ("baseline", "train", "crossvalidate", "evaluate", "export")  # the stages that MLflow hears of


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are UserErrors, like everybody else's."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


Run = Callable[[argparse.Namespace], int | None]
Add = Callable[[str, Run, Usage], Parser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, or 1 after one clear line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "-v" in given or "--verbose" in given
    signal.signal(signal.SIGTERM, _interrupt)  # so that a run that is told to stop can still say so to MLflow
    try:
        try:
            parsed = _parse(given)
            return parsed.run(parsed) or 0
        finally:
            sys.stdout.flush()  # here, where it can be told that nobody reads it any more
    except UserError as error:
        if verbose:
            raise
        if launch.rank():  # the first process says the same, and ends all
            return 0
        print(f"torchprimer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if verbose:
            raise
        print(f"torchprimer: interrupted{_goes_on(given)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 141
    except OSError as error:  # disk full, no permission, a folder where a file should be
        if verbose or error.errno is None:
            raise
        advice = _before_its_turn(given) if isinstance(error, FileNotFoundError) else ""
        print(f"torchprimer: {error}{advice}", file=sys.stderr)
        return 1


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _goes_on(given: Sequence[str]) -> str:
    """What a stage that was interrupted does when it runs again."""
    command = _command(given)
    if command == "train":
        return "; the same command goes on from the last finished epoch"
    return "; the same command starts it anew" if command in STAGES else ""


def _before_its_turn(given: Sequence[str]) -> str:
    """What to do when a stage that somebody calls by hand does not find what an earlier one leaves."""
    words = _words(given)
    return f": `dvc repro {words[0]}@{words[1]}` runs what comes before it, too" if words[0] in STAGES else ""


def _command(given: Sequence[str]) -> str | None:
    return next(iter(_words(given)), None)


def _words(given: Sequence[str]) -> list[str]:
    return [argument for argument in given if not argument.startswith("-")]


# ---- what can be typed -----------------------------------------------------------------------------------------------


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser, choices = _parser()
    word = _command(given)
    if word is not None and word not in choices:
        commands = [name for name in choices if not name.startswith("_")]
        raise UserError(f"no command '{word}'; there are: {', '.join(commands)}.{did_you_mean(word, commands)}")
    return parser.parse_args(given)


def _parser() -> tuple[Parser, list[str]]:
    """The parser and its commands; those that begin with _ are not for people."""
    parser = Parser(
        prog="torchprimer",
        usage="torchprimer COMMAND ...",
        description="The trained models of the experiments, data of your own, and the stages of the pipeline.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="torchprimer", help=argparse.SUPPRESS
    )
    common = Parser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    lines: list[str] = []  # of --help

    def add(name: str, run: Run, says: Usage) -> Parser:
        lines.append(f"  {name:17}{says.does}")
        examples = [f"  {line}" for line in (says.examples or f"torchprimer {name}").splitlines()]
        command = commands.add_parser(
            name,
            parents=[common],
            description=f"{says.does[0].upper()}{says.does[1:]}.\n{says.more}",
            epilog="\n".join(["examples:", *examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        return command

    lines.append("trained models:")
    _add_models(add)
    lines.append("\ndata of your own:")
    _add_data(add)
    lines.append("\nMLflow:")
    parser_of_ui = add("ui", _ui, COMMANDS["ui"])
    parser_of_ui.add_argument("--port", type=_whole(1, 65535), default=5000, metavar="P", help="default: 5000")
    add("sync", _sync, COMMANDS["sync"])
    lines.append(
        "\nstages (`dvc repro` runs all that are out of date, `dvc repro train@mnist_cnn` one and what it needs):"
    )
    for stage, does in ALONE.items():
        add(stage, _stage, Usage(does))
    for stage, section in STAGES.items():
        command = add(stage, _stage, usage.STAGES[stage])
        command.add_argument("item", metavar="ITEM", help=f"a key of {section}: in params.yaml")
    track = commands.add_parser("_track")  # see tracking/process.py
    track.add_argument("descriptor", type=int)
    track.add_argument("meeting", type=Path)
    track.set_defaults(run=_track)
    parser.epilog = "\n".join([*lines, "", "`torchprimer COMMAND --help` says more, with examples."])
    return parser, list(commands.choices)


def _add_models(add: Add) -> None:
    parser = add("list", _list, COMMANDS["list"])
    parser.add_argument("datasets", metavar="DATASET", nargs="*", help="only experiments on these datasets")
    _add_forms(parser)

    parser = add("show", _show, COMMANDS["show"])
    parser.add_argument("experiment", metavar="EXPERIMENT", help="a key of experiments: in params.yaml")
    parser.add_argument("weights", metavar="WEIGHTS", nargs="?", help="the values of these, by their name")
    parser.add_argument("--out", type=Path, metavar="FILE.npy", help="write the values there instead")

    parser = add("predict", _predict, COMMANDS["predict"])
    parser.add_argument("experiment", metavar="EXPERIMENT", help="its name, or the path of an export folder")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="see above")
    parser.add_argument("--top", type=_whole(1, 1000), metavar="K", help="the K most probable classes")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write there what an autoencoder makes of images")
    _add_forms(parser)

    parser = add("generate", _generate, COMMANDS["generate"])
    parser.add_argument("experiment", metavar="EXPERIMENT", help="its name, or the path of an export folder")
    parser.add_argument("out", type=Path, metavar="OUT", help=".png, .jpg or .webp; its folder is made if need be")
    parser.add_argument("--count", type=_whole(1, 10_000), default=1, metavar="N", help="so many images (default: 1)")
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0, metavar="S", help="of the noise (default: 0)")

    parser = add("demo", _demo, COMMANDS["demo"])
    parser.add_argument("--port", type=_whole(1, 65535), default=7860, metavar="P", help="default: 7860")


def _add_forms(parser: Parser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object a line (JSON Lines)")
    form.add_argument("--csv", action="store_true", help="also without --csv, if it goes to a file or a pipe")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least:,} to {most:,}")
        return int(text)

    return whole


def _add_data(add: Add) -> None:
    parser = add("add-photos", _add_photos, COMMANDS["add-photos"])
    parser.add_argument("place", type=Path, metavar="ZIP_OR_FOLDER", help="cat.12.jpg ..., or a folder per class")
    parser.add_argument("--name", default="photos", help="their name under data/raw (default: photos)")

    parser = add("add-data", _add_tables, COMMANDS["add-data"])
    parser.add_argument("places", type=Path, nargs="+", metavar="FILE", help="a CSV, or a text file for each class")
    parser.add_argument("--name", required=True, help="their name under data/raw")


# ---- what each command does ------------------------------------------------------------------------------------------


def _list(given: argparse.Namespace) -> None:
    from torchprimer.cli.list import list_experiments
    from torchprimer.params import load

    list_experiments(load(), given.datasets, formatting.choose(as_json=given.json, as_csv=given.csv))


def _show(given: argparse.Namespace) -> None:
    from torchprimer.cli.show import show, show_weights
    from torchprimer.params import load

    params = load()
    name = _item(given.experiment, "experiments", params.experiments)
    if given.weights is not None:
        show_weights(name, given.weights, given.out)
    elif given.out is not None:
        raise UserError("--out takes the values of a layer: name its WEIGHTS")
    else:
        show(params, name)


def _predict(given: argparse.Namespace) -> int:
    from torchprimer.cli.predict import predict

    form = formatting.choose(as_json=given.json, as_csv=given.csv)
    return predict(given.experiment, given.inputs, form, given.top, given.out)


def _generate(given: argparse.Namespace) -> None:
    from torchprimer.cli.generate import generate

    generate(given.experiment, given.count, given.seed, given.out)


def _demo(given: argparse.Namespace) -> None:
    from torchprimer.demo import serve

    serve(given.port)


def _add_photos(given: argparse.Namespace) -> None:
    from torchprimer.sources.user_images import add_photos

    add_photos(given.place, given.name)


def _add_tables(given: argparse.Namespace) -> None:
    from torchprimer.sources.user_data import add_data

    add_data(given.places, given.name)


def _ui(given: argparse.Namespace) -> None:
    from torchprimer.tracking.ui import ui

    ui(given.port)


def _sync(_given: argparse.Namespace) -> None:
    from torchprimer.tracking.sync import sync

    sync()


def _track(given: argparse.Namespace) -> int:
    import socket

    from torchprimer.tracking.process import serve

    return serve(socket.socket(fileno=given.descriptor), given.meeting)


def _stage(given: argparse.Namespace) -> int | None:
    from torchprimer.params import load

    params = load()
    stage = given.command
    module = f"torchprimer.stages.{stage}"
    if stage in ALONE:
        import_module(module).run(params)
        return None
    item = _item(given.item, STAGES[stage], getattr(params, STAGES[stage]))
    if stage not in TRACKED:
        import_module(module).run(params, item)
        return None

    from torchprimer.tracking import Tracker

    if stage == "train":
        several = params.experiments[item].loop == "supervised"  # the other loops are for one process
        if (done := launch.start(params.processes if several else 1)) is not None:
            return done
        if launch.rank():
            import_module(module).run(params, item, None)
            return None
    with Tracker() as tracker:  # before the stage imports PyTorch: both take their time side by side
        import_module(module).run(params, item, tracker)
    return None


def _item(name: str, section: str, items: Collection[str]) -> str:
    if name not in items:
        guess = did_you_mean(name, items)
        raise UserError(f"no '{name}' under {section}: in params.yaml; there are: {', '.join(items) or 'none'}.{guess}")
    return name
