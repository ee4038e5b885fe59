"""The output of a command, row by row: a table on a terminal, CSV for spreadsheets and pipes, or JSON Lines."""

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from torchprimer.errors import UserError

OutputFormat = Literal["table", "csv", "json"]
GAP = "  "  # between columns
NUMBER = re.compile(r"|<?-?[\d,.]+(e[+-]\d+)?( ([kM]B|bytes?))?|nan|-?inf")  # or an empty cell
MIN_WIDTH = 20  # terminal cells of a truncated column, however narrow the terminal is


def resolve_format(*, as_json: bool, as_csv: bool) -> OutputFormat:
    """The chosen format; by default a table if standard output is a terminal, CSV otherwise. UserError: both."""
    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other: choose one")
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may be invalid Unicode
        sys.stdout.reconfigure(errors="backslashreplace")
    return "json" if as_json else "csv" if as_csv or not sys.stdout.isatty() else "table"


def print_json(records: Iterable[Mapping[str, object]]) -> None:
    """Prints JSON Lines: one object per line."""
    for record in records:
        print(json.dumps(record, ensure_ascii=False))


def print_csv(records: Iterable[Mapping[str, object]]) -> None:
    """Prints values under the names of the first record; None is an empty cell. Without records it prints nothing."""
    writer = None
    for record in records:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(record), lineterminator="\n")
            writer.writeheader()
        writer.writerow(record)


def print_table(rows: Sequence[Mapping[str, str]], *, truncate_at: Literal["start", "end"] | None = None) -> None:
    """Prints aligned columns under their names, numbers to the right.

    An ellipsis replaces the end `truncate_at` of cells in the first column where the terminal is too narrow.
    """
    if not rows:
        return
    from rich.cells import cell_len

    columns = [[name, *(_printable(row[name]) for row in rows)] for name in rows[0]]
    widths = [max(map(cell_len, column)) for column in columns]
    if truncate_at and sys.stdout.isatty():
        available = shutil.get_terminal_size().columns - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
        widths[0] = min(widths[0], max(MIN_WIDTH, available))
        columns[0] = [truncate(cell, widths[0], truncate_at) for cell in columns[0]]
    numeric = [i > 0 and all(map(NUMBER.fullmatch, column[1:])) for i, column in enumerate(columns)]
    for row in zip(*columns, strict=True):
        padded = []
        for cell, width, is_numeric in zip(row, widths, numeric, strict=True):
            padding = " " * (width - cell_len(cell))
            padded.append(padding + cell if is_numeric else cell + padding)
        print(GAP.join(padded).rstrip())


def truncate(text: str, width: int, end: Literal["start", "end"]) -> str:
    """The text, with an ellipsis for one of its ends if it is wider than `width` terminal cells."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    if end == "start":
        return truncate(text[::-1], width, "end")[::-1]
    return f"{set_cell_size(text, width - 1).rstrip()}…"


def _printable(text: str) -> str:
    # other characters move the cursor or change colours
    return "".join(character if character.isprintable() else " " for character in text)
