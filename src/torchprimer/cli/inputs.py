"""What people give a model on the command line: files, folders, standard input, a text, `column=value`."""

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchprimer.datasets.csv_io import csv_error_text, csv_reader
from torchprimer.errors import UserError, did_you_mean

STDIN = "-"
TABLES = (".csv", ".tsv")
TEXT_COLUMNS = ("text", "input")  # where a CSV of several columns has the texts


@dataclass(frozen=True)
class Given:
    """One input.

    Attributes:
        value: what the Predictor takes: the path of an image, a text, or a row of a table.
        name: what it is called in a table of answers.
        place: what a complaint about it begins with; empty where the complaint says it by itself.
    """

    value: str | dict[str, str]
    name: str
    place: str = ""


def gather(arguments: Sequence[str], kind: str, columns: Sequence[str]) -> tuple[list[Given], list[str]]:
    """All inputs that the arguments stand for, in their order; and what is wrong with those that stand for none.

    Args:
        kind: of the Predictor.
        columns: those that a model of tables takes; of texts, the one that had them in the training data.
    """
    read = _tables if kind == "tabular" else _texts if kind in ("text", "sequences") else _images
    inputs: list[Given] = []
    complaints: list[str] = []
    pairs = [argument for argument in arguments if kind == "tabular" and _is_pair(argument)]
    for argument in dict.fromkeys(arguments) if STDIN in arguments else arguments:
        try:
            if argument not in pairs:
                inputs.extend(read(argument, columns))
            elif argument == pairs[0]:
                inputs.append(_row(pairs, columns))
        except UserError as error:
            complaints.append(str(error))
        except OSError as error:
            complaints.append(f"{argument}: {error.strerror}")
    return inputs, complaints


# ---- images ----------------------------------------------------------------------------------------------------------


def _images(argument: str, _columns: Sequence[str]) -> Iterator[Given]:
    """The file itself; every image in a folder; a path on each line."""
    from torchprimer.datasets.image_folder import SUFFIXES

    place = Path(argument)
    if argument == STDIN:
        names = [os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line.strip()]
    elif place.is_dir():
        found = (file.relative_to(place) for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
        names = [str(place / file) for file in sorted(found) if not any(part.startswith(".") for part in file.parts)]
        if not names:
            raise UserError(f"{argument}: no image in this folder; known endings: {' '.join(sorted(SUFFIXES))}")
    else:
        names = [argument]
    yield from (Given(name, name) for name in names)


# ---- texts and strings -----------------------------------------------------------------------------------------------


def _texts(argument: str, columns: Sequence[str]) -> Iterator[Given]:
    """A text on each line of a file or of standard input; a column of a CSV; or the argument itself."""
    is_file = argument == STDIN or _is(argument, Path.is_file)
    if is_file and not argument.lower().endswith(TABLES):
        lines = _lines(argument)
        if argument != STDIN and not any(line.strip() for line in lines):
            raise UserError(f"{argument} is empty: a text on each line is needed")
        for number, line in enumerate(lines, 1):
            if text := line.strip():
                yield Given(text, text, f"{_called(argument)}, line {number}")
    elif is_file:
        rows = list(_rows(argument))
        names = list(rows[0][1])
        known = (*columns, *TEXT_COLUMNS)
        column = names[0] if len(names) == 1 else next((name for name in known if name in names), None)
        if column is None:
            raise UserError(
                f"{argument}: the texts should be in a column '{known[0]}', or in the only one; it has: "
                f"{', '.join(names)}"
            )
        yield from (Given(row[column], row[column], f"{argument}, line {number}") for number, row in rows)
    elif argument.strip() and _is(argument, Path.is_dir):
        raise UserError(f"{argument} is a folder: give a .txt file with a text on each line, a CSV, or a text itself")
    elif argument.lower().endswith((".txt", *TABLES)) and len(argument.split()) == 1:
        raise UserError(f"{argument}: no such file")
    else:
        yield Given(argument, argument)


def _is(argument: str, what: object) -> bool:
    try:
        return bool(what(Path(argument)))  # type: ignore[operator]
    except OSError:  # a whole text is too long for a name
        return False


# ---- tables ----------------------------------------------------------------------------------------------------------


def _tables(argument: str, columns: Sequence[str]) -> Iterator[Given]:
    """Every row of a CSV, which needs all columns of the model; further ones go along into the answer."""
    rows = list(_rows(argument))
    _check(list(rows[0][1]), columns, _called(argument))
    for number, row in rows:
        yield Given(row, f"{_called(argument)}, line {number}", f"{_called(argument)}, line {number}")


def _is_pair(argument: str) -> bool:
    return "=" in argument and not Path(argument).exists()


def _row(pairs: Sequence[str], columns: Sequence[str]) -> Given:
    """One row out of all arguments like `hours=3`."""
    row = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in columns:
            raise UserError(
                f"{pair}: no column '{name}'; there are: {', '.join(columns)}.{did_you_mean(name, columns)}"
            )
        if name in row:
            raise UserError(f"{pair}: column '{name}' is given twice")
        row[name] = value.strip()
    _check(list(row), columns, " ".join(pairs))
    return Given(row, " ".join(pairs))


def _check(there: Sequence[str], columns: Sequence[str], place: str) -> None:
    if missing := [name for name in columns if name not in there]:
        guess = did_you_mean(missing[0], [name for name in there if name not in columns])
        raise UserError(f"{place}: no column {', '.join(map(repr, missing))}; needed are: {', '.join(columns)}.{guess}")


# ---- reading ---------------------------------------------------------------------------------------------------------


def _rows(argument: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV by the names in its first line, stripped, each with the number of its (last) line."""
    lines, called = _lines(argument), _called(argument)
    if not any(line.strip() for line in lines):
        raise UserError(f"{called} is empty; a CSV is needed, with the names of its columns in the first line")
    reader = csv_reader(lines)
    names: list[str] = []
    number = 0
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if not any(cells):
                continue
            if not names:
                names = cells
                if twice := sorted({name for name in names if names.count(name) > 1}):
                    raise UserError(f"{called}: two columns are called {twice[0]!r}")
            elif len(cells) != len(names):
                raise UserError(
                    f"{called}, line {reader.line_num}: {len(cells)} values, and there are {len(names)} columns"
                )
            else:
                number += 1
                yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{called}{csv_error_text(reader, error)}") from None
    if not number:
        raise UserError(f"{called} has no rows below the names of its columns")


def _lines(argument: str) -> list[str]:
    content = sys.stdin.buffer.read() if argument == STDIN else Path(argument).read_bytes()
    try:
        text = content.decode("utf-8-sig")
        return list(io.StringIO(text, newline=""))  # lines as files have them; splitlines cuts at U+2028, too
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{_called(argument)}, line {line} is not UTF-8: save it as UTF-8") from None


def _called(argument: str) -> str:
    return "standard input" if argument == STDIN else argument
