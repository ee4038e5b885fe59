"""The `torchprimer` command: parses the arguments, runs one command, turns errors into one line and an exit code."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from torchprimer.cli import commands, stages
from torchprimer.errors import UserError
from torchprimer.training import launch

VERBOSE = ("-v", "--verbose")

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    epilog="`torchprimer COMMAND --help` describes a command and gives examples.\n"
    "`dvc repro` runs all stages that are out of date; `dvc repro train@mnist_cnn` one stage and those before it.",
)
app.add_typer(commands.app)
app.add_typer(stages.app)


@app.callback()
def root(verbose: Annotated[bool, typer.Option(*VERBOSE, help="Show the traceback of an error.")] = False) -> None:
    """Trained models, your own data, and the stages of the pipeline."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; `arguments`: those of the process by default; without any, the help is shown.

    Returns:
        The exit code. 0: success; 1: an error, described in one line on standard error; 130: interrupted;
        141: the reader of standard output closed it.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    end = args.index("--") if "--" in args else len(args)
    verbose = not {*VERBOSE}.isdisjoint(args[:end])
    args = [arg for arg in args[:end] if arg not in VERBOSE] + args[end:]  # allowed before and after the command
    signal.signal(signal.SIGTERM, _interrupt)  # so that a terminated run is logged to MLflow as killed
    try:
        try:
            return _run(args or ["--help"])
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be handled
    except BrokenPipeError:  # `torchprimer ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again at exit
        return 141
    except (UserError, typer.TyperException, KeyboardInterrupt, OSError) as error:
        if verbose or (isinstance(error, OSError) and error.errno is None):  # with errno: disk full, no permission, ...
            raise
        if launch.rank() and not isinstance(error, KeyboardInterrupt | OSError):  # rank 0 reports the same error
            return 0
        print(f"torchprimer: {_message(error)}", file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 1


def _run(args: list[str]) -> int:
    # not app(): that handles KeyboardInterrupt and BrokenPipeError itself, with other exit codes
    command = typer.main.get_command(app)
    try:
        with command.make_context("torchprimer", args) as context:
            return command.invoke(context) or 0
    except typer.Exit as end:  # after --help
        return end.exit_code
    except SystemExit:  # raised by rich, which prints the help, on a broken pipe
        return 141


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted{error}"
    if not isinstance(error, typer.TyperException):
        return str(error)
    context = getattr(error, "ctx", None)  # of the command whose arguments are wrong
    hint = f" (see {context.command_path} --help)" if context else ""
    return " ".join(error.format_message().split()) + hint
