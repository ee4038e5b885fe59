"""`python -m bench [LINE ...]`: measures, prints a table, writes bench/results.json.

All lines but the last four compare two sides that take turns on the same machine; of each side its fastest
turn counts, the one that other work disturbed least. The targets are meant for two cores. Exit code: 0, all
targets are met; 1, some are not; 2, nothing was measured, and one line says why.
"""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from bench.commands import repro, stage
from bench.measure import Options, Result
from bench.photos import photos, preprocess
from bench.text import bag_of_words, tokenizing
from bench.training import epoch, loop
from torchprimer.cli.app import Parser
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
    "repro": repro,
}


def main() -> int:
    try:
        return run(*read_options())
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def read_options() -> tuple[list[str], int, int, Path | None]:
    parser = Parser(prog="python -m bench", description=f"Lines: {', '.join(LINES)}.")
    parser.add_argument("lines", nargs="*", metavar="LINE", help="which lines to measure (default: all)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each side (default: 3)")
    parser.add_argument(
        "--epochs", type=int, default=2, help="epochs of a turn of mnist_mlp and mnist_cnn (default: 2)"
    )
    parser.add_argument("--photos", type=Path, metavar="ZIP_OR_FOLDER", help="2,000 photos (default: made of CIFAR-10)")
    given = parser.parse_args()
    for name in given.lines:
        if name not in LINES:
            raise UserError(f"no line '{name}'; there are: {', '.join(LINES)}.{did_you_mean(name, LINES)}")
    for option in ("repeat", "epochs"):
        if getattr(given, option) < 1:
            raise UserError(f"--{option} {getattr(given, option)}: 1 or more")
    if given.photos and not given.photos.exists():
        raise UserError(f"--photos {given.photos}: there is no such file or folder")
    return given.lines or list(LINES), given.repeat, given.epochs, given.photos


def run(lines: list[str], repeat: int, epochs: int, photos_place: Path | None) -> int:
    results = []
    with tempfile.TemporaryDirectory(prefix="bench") as temporary:
        options = Options(Path(temporary), repeat, epochs, photos_place)
        for name in dict.fromkeys(lines):
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
    record = {"machine": machine, "repeat": repeat, "lines": [result.as_dict() for result in results]}
    Path(__file__).with_name("results.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
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
