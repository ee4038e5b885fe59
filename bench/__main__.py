"""`python -m bench [LINE ...]`: measures, prints a table, writes bench/results.json.

All lines but `train`, `evaluate`, `export`, `help` and `repro` compare sides that run in turns on the same machine; the
fastest turn of each side counts, since other processes disturbed it least; `pipeline` runs each side once. The targets
are for two cores. Exit code: 0, all targets are met; 1, some are not; 2, nothing was measured, and one line on standard
error gives the reason.
"""

import json
import os
import platform
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bench.commands import help_text, repro, stage
from bench.measure import Options, Result
from bench.photos import photos, preprocess
from bench.pipeline import pipeline
from bench.text import bag_of_words, tokenizing
from bench.training import epoch, loop
from torchprimer.errors import UserError, did_you_mean

LINES: dict[str, Callable[[Options], Result]] = {
    "mnist_mlp": epoch("mnist_mlp"),
    "mnist_cnn": epoch("mnist_cnn"),
    "photos": photos,
    "preprocess": preprocess,
    "bag_of_words": bag_of_words,
    "tokenizing": tokenizing,
    "loop": loop,
    "train": stage("train"),
    "evaluate": stage("evaluate"),
    "export": stage("export"),
    "help": help_text,
    "repro": repro,
    "pipeline": pipeline,
}
LONG = ("pipeline",)  # measured only when named: takes half an hour, with --whole hours

RESULTS = Path(__file__).with_name("results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    try:
        return run(parse_arguments(arguments))
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"bench: no package '{error.name}': `make bench` installs it", file=sys.stderr)
        return 2


def parse_arguments(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description=f"Lines: {', '.join(LINES)}.")
    parser.add_argument("lines", nargs="*", metavar="LINE", help="lines to measure (default: all but pipeline)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each side (default: 3)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of mnist_mlp and mnist_cnn (default: 2)")
    parser.add_argument("--photos", type=Path, metavar="ZIP_OR_FOLDER", help="2,000 photos (default: made of CIFAR-10)")
    parser.add_argument("--limit", type=int, help="samples of each split; only tries the commands (default: all)")
    parser.add_argument("--whole", action="store_true", help="pipeline: all epochs and samples (default: reduced)")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="default: bench/results.json")
    args = parser.parse_args(arguments)
    for name in args.lines:
        if name not in LINES:
            raise UserError(f"no line '{name}'; there are: {', '.join(LINES)}.{did_you_mean(name, LINES)}")
    for option in ("repeat", "epochs", "limit"):
        if (value := getattr(args, option)) is not None and value < 1:
            raise UserError(f"--{option} {value}: must be 1 or more")
    if args.photos and not args.photos.exists():
        raise UserError(f"--photos {args.photos}: no such file or folder")
    return args


def run(args: Namespace) -> int:
    """Measures the lines, prints the table and writes the results; returns the exit code."""
    results = []
    with tempfile.TemporaryDirectory(prefix="bench") as temporary:
        options = Options(Path(temporary), args.repeat, args.epochs, args.photos, args.limit, args.whole)
        for name in dict.fromkeys(args.lines or [name for name in LINES if name not in LONG]):
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            results.append(LINES[name](options))
            print("  ".join(filter(None, results[-1].cells())), file=sys.stderr, flush=True)
    print(table(results))
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    record = {"machine": machine, "repeat": args.repeat, "lines": [result.as_dict() for result in results]}
    args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0 if all(result.ok for result in results) else 1


def table(results: list[Result]) -> str:
    header = ("line", "ours", "reference", "ratio", "target", "", "")
    rows = [header] + [result.cells() for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 1 <= column <= 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
