"""What a command answers with, row by row: a table on a terminal, CSV for spreadsheets and pipes, or JSON."""

import csv
import io
import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

Form = Literal["table", "csv", "json"]
GAP = "  "  # between columns
NUMBER = re.compile(r"|<?-?[\d,.]+(e[+-]\d+)?( k?M?B)?|nan|-?inf")  # also none, and 34 kB
LEAST = 20  # places that a column of texts keeps, however narrow the terminal is


def choose(*, as_json: bool, as_csv: bool) -> Form:
    """What was asked for; else a table if somebody reads it on a terminal, and CSV if it goes elsewhere."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no valid text
        sys.stdout.reconfigure(errors="backslashreplace")
    return "json" if as_json else "csv" if as_csv or not sys.stdout.isatty() else "table"


def print_json(records: Iterable[Mapping[str, object]]) -> None:
    """One object a line (JSON Lines)."""
    for record in records:
        print(json.dumps(record, ensure_ascii=False))


def print_csv(records: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> None:
    """The records' values under their names, `columns` first; None is an empty cell. No records: nothing."""
    writer = None
    for record in records:
        if writer is None:
            names = list(dict.fromkeys([*columns, *record]))
            writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
            writer.writeheader()
        writer.writerow(record)


def print_table(rows: Sequence[Mapping[str, str]], *, cut: Literal["start", "end"] | None = None) -> None:
    """Aligned columns under their names, numbers to the right.

    Args:
        cut: where the first column's cells lose what the terminal is too narrow for; None: nowhere.
    """
    if not rows:
        return
    columns = [[name, *(_printable(row[name]) for row in rows)] for name in rows[0]]
    widths = [max(map(places, column)) for column in columns]
    if cut and sys.stdout.isatty():
        left = shutil.get_terminal_size().columns - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
        widths[0] = min(widths[0], max(LEAST, left))
        columns[0] = [shorten(cell, widths[0], cut) for cell in columns[0]]
    numeric = [i > 0 and all(NUMBER.fullmatch(cell) for cell in column[1:]) for i, column in enumerate(columns)]
    for row in zip(*columns, strict=True):
        line = []
        for cell, wide, to_the_right in zip(row, widths, numeric, strict=True):
            blank = " " * (wide - places(cell))
            line.append(blank + cell if to_the_right else cell + blank)
        print(GAP.join(line).rstrip())


def places(text: str) -> int:
    """How many columns of a terminal a text takes: two for a Chinese character, none for an accent."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shorten(text: str, width: int, cut: Literal["start", "end"]) -> str:
    """A text that takes more than `width` places without its start or its end, and an ellipsis for that."""
    if places(text) <= width:
        return text
    if cut == "start":
        return shorten(text[::-1], width, "end")[::-1]
    kept = ""
    for character in text:
        if places(kept + character) >= width:
            break
        kept += character
    return f"{kept}…"


def size(number: int) -> str:
    """Bytes as people read them: 812 B, 34 kB, 1.2 MB."""
    if number < 1000:
        return f"{number} B"
    value, unit = (number / 1000, "kB") if number < 999_500 else (number / 1_000_000, "MB")
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def _printable(text: str) -> str:
    """Without what would move the cursor or change colours."""
    return "".join(character if character.isprintable() else " " for character in text)
