"""What the readers of raw data share: CSV as people have it, and what source.json says of published data."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAX_CELL = 200_000_000  # characters: a whole book may stand in a cell


def published(raw: Path) -> dict[str, Any]:
    """source.json of data/raw/X, as `download` writes it: format, expected, source ...; empty for data of one's own."""
    file = raw / "source.json"
    description: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return description


def csv_reader(lines: Sequence[str]) -> Any:
    """Python's reader of these lines, each with its end, separated as the first that is not blank: , ; or tab.

    It is strict: a quote that is opened and never closed is an error, and does not swallow the rest.
    """
    first = re.sub('"[^"]*"', "", next((line for line in lines if line.strip()), ""))
    csv.field_size_limit(MAX_CELL)
    return csv.reader(lines, delimiter=max(",;\t", key=first.count), skipinitialspace=True, strict=True)


def csv_error_text(reader: Any, error: csv.Error) -> str:
    """What to say of an error of that reader, behind the name of the file."""
    if "unexpected end" in str(error):
        return ": a quote is opened and never closed"
    return f", line {reader.line_num}: {error}"
