"""The INPUT arguments of `predict`: files, folders, -, texts, `column=value`; a reader for each kind of model."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torchprimer.datasets.csv_io import csv_rows, decode_lines
from torchprimer.errors import UserError, did_you_mean

STDIN = "-"
TABLES = (".csv", ".tsv")
TEXT_COLUMNS = ("text", "input")  # names of the column of texts in a CSV with several columns


@dataclass(frozen=True)
class PredictInput:
    """One input."""

    value: str | dict[str, str]  # what the Predictor takes: the path of an image, a text, or a row of a table
    name: str  # in a table of predictions
    location: str = ""  # prefix of error messages; empty where the message names the input itself

    @property
    def columns(self) -> dict[str, str]:
        """The input as columns of a CSV: those of its table, or one."""
        return self.value if isinstance(self.value, dict) else {"input": self.value}


@dataclass(frozen=True)
class InputReader:
    """How the models of one kind read INPUT arguments."""

    read: Callable[[str, Sequence[str]], Iterator[PredictInput]]  # (argument, `columns` of the model) -> inputs
    usage: str  # an example of INPUT; {text} stands for the text in the export's example.json
    truncate_at: Literal["start", "end"]  # the end of an input's name that a narrow terminal omits
    # from model.json, the columns of a model's table, or the column of texts in the training data
    columns: Callable[[Mapping[str, Any]], list[str]] = lambda _model: []
    key_values: bool = False  # whether `column=value` arguments form a row
    outputs_images: bool = False  # whether predictions are images, which `--out` writes to files


def collect_inputs(
    arguments: Sequence[str], reader: InputReader, columns: Sequence[str]
) -> tuple[list[PredictInput], list[str]]:
    """The inputs that the arguments stand for, in their order, and the errors of those that cannot be read."""
    inputs: list[PredictInput] = []
    errors: list[str] = []
    pairs = [item for item in arguments if reader.key_values and "=" in item and not Path(item).exists()]
    for argument in dict.fromkeys(arguments) if STDIN in arguments else arguments:
        try:
            if argument not in pairs:
                inputs.extend(reader.read(argument, columns))
            elif argument == pairs[0]:
                inputs.append(_row(pairs, columns))
        except UserError as error:
            errors.append(str(error))
        except OSError as error:
            errors.append(f"{argument}: {error.strerror}")
    return inputs, errors


def read_images(argument: str, _columns: Sequence[str]) -> Iterator[PredictInput]:
    """An image file; all images in a folder; or one path per line of standard input."""
    from torchprimer.datasets.image_folder import SUFFIXES

    path = Path(argument)
    if argument == STDIN:
        names = [os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line.strip()]
    elif path.is_dir():
        files = sorted(file.relative_to(path) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        names = [str(path / file) for file in files if not any(part.startswith(".") for part in file.parts)]
        if not names:
            raise UserError(f"{argument}: no image in this folder; supported: {' '.join(sorted(SUFFIXES))}")
    else:
        names = [argument]
    yield from (PredictInput(name, name) for name in names)


def read_texts(argument: str, columns: Sequence[str]) -> Iterator[PredictInput]:
    """One text per line of a file or of standard input; a column of a CSV; or the argument itself."""
    is_file = argument == STDIN or os.path.isfile(argument)  # noqa: PTH113 (pathlib raises if a text is too long)
    if is_file and not argument.lower().endswith(TABLES):
        lines = _read_lines(argument)
        if argument != STDIN and not any(line.strip() for line in lines):
            raise UserError(f"{argument} is empty: one text per line is needed")
        for number, line in enumerate(lines, 1):
            if text := line.strip():
                yield PredictInput(text, text, f"{_display_name(argument)}, line {number}")
    elif is_file:
        rows = _read_rows(argument)
        names = list(rows[0][1])
        candidates = (*columns, *TEXT_COLUMNS)
        column = names[0] if len(names) == 1 else next((name for name in candidates if name in names), None)
        if column is None:
            required = f"a CSV of texts needs a column '{candidates[0]}', or a single column"
            raise UserError(f"{argument}: {required}; its columns: {', '.join(names)}")
        yield from (PredictInput(row[column], row[column], f"{argument}, line {number}") for number, row in rows)
    elif argument.strip() and os.path.isdir(argument):  # noqa: PTH112
        raise UserError(f"{argument} is a folder: name a .txt file with one text per line, a CSV, or type a text")
    elif argument.lower().endswith((".txt", *TABLES)) and len(argument.split()) == 1:
        raise UserError(f"{argument}: no such file")
    else:
        yield PredictInput(argument, argument)


def read_tables(argument: str, columns: Sequence[str]) -> Iterator[PredictInput]:
    """The rows of a CSV, which needs all columns of the model; extra columns are copied to the output."""
    rows = _read_rows(argument)
    _require_columns(list(rows[0][1]), columns, _display_name(argument))
    for number, row in rows:
        location = f"{_display_name(argument)}, line {number}"
        yield PredictInput(row, location, location)


def _row(pairs: Sequence[str], columns: Sequence[str]) -> PredictInput:
    row: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in columns:
            raise UserError(f"{pair}: no column '{name}'; one of: {', '.join(columns)}.{did_you_mean(name, columns)}")
        if name in row:
            raise UserError(f"{pair}: column '{name}' has two values")
        row[name] = value.strip()
    _require_columns(list(row), columns, " ".join(pairs))
    return PredictInput(row, " ".join(pairs))


def _require_columns(names: Sequence[str], columns: Sequence[str], location: str) -> None:
    if missing := [name for name in columns if name not in names]:
        guess = did_you_mean(missing[0], [name for name in names if name not in columns])
        required = ", ".join(columns)
        raise UserError(f"{location}: no column {', '.join(map(repr, missing))}; required: {required}.{guess}")


def _read_rows(argument: str) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV by column, each with the number of its last line."""
    return list(csv_rows(_read_lines(argument), _display_name(argument)))


def _read_lines(argument: str) -> list[str]:
    content = sys.stdin.buffer.read() if argument == STDIN else Path(argument).read_bytes()
    return decode_lines(content, _display_name(argument))


def _display_name(argument: str) -> str:
    return "standard input" if argument == STDIN else argument


READERS: dict[str, InputReader | None] = {  # by Predictor.kind
    "generator": None,
    "images": InputReader(read_images, "IMAGE_OR_FOLDER", "start"),
    "autoencoder": InputReader(read_images, "IMAGE_OR_FOLDER --out FOLDER", "start", outputs_images=True),
    "tabular": InputReader(
        read_tables, "ROWS.csv", "start", lambda model: [column["name"] for column in model["columns"]], key_values=True
    ),
    "text": InputReader(
        read_texts, "'a text'", "end", lambda model: list(filter(None, [model["transform"].get("text_column")]))
    ),
    "sequences": InputReader(read_texts, "'{text}'", "end"),  # it accepts one length and its own characters
}


def find_reader(kind: str) -> InputReader | None:
    """The reader of a `Predictor.kind`; kinds without an entry in READERS take texts. None: there is no input."""
    return READERS.get(kind, READERS["sequences"])
