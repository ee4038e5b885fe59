"""Readers of data/raw/X: CSV files, with line numbers in errors; source.json, with the published statistics."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchprimer.atomic import Json
from torchprimer.errors import UserError, did_you_mean

NumberedRow = tuple[int, dict[str, str]]  # the number of the row's last line; its values by column
MAX_CELL = 200_000_000  # characters: a cell may hold a whole book


def source_description(raw: Path) -> Json:
    """source.json of data/raw/X, which `download` writes: format, expected, source ...; empty for user data."""
    file = raw / "source.json"
    description: Json = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return description


def compare_with_published(raw: Path, key: str, actual: int | dict[str, int], what: str) -> None:
    """Raises UserError if source.json has an expected value of `key` that is not `actual`, the number of `what`."""
    expected = source_description(raw).get("expected", {}).get(key, actual)
    if actual != expected:
        shown, published = (f"{value:,}" if isinstance(value, int) else value for value in (actual, expected))
        raise UserError(f"raw data {raw.name}: {shown} {what}, published: {published} (downloads.{raw.name}.expected)")


def find_csv(raw: Path, suffixes: Sequence[str] = (".csv", ".tsv"), advice: str = "") -> Path:
    """The only file of data/raw/X with one of `suffixes`; if there is a source.json, the only other file.

    Raises UserError if there is no such folder, no such file, or several; the message ends with `advice`.
    """
    if not raw.is_dir():
        raise UserError(f"no raw data in {raw}: define it under downloads:, or put a CSV there")
    files = sorted(file for file in raw.iterdir() if file.is_file() and not file.name.startswith("."))
    is_download = (raw / "source.json").is_file()
    usable = [file for file in files if is_download or file.suffix.lower() in suffixes]
    matching = [file for file in usable if file.name != "source.json"]
    if len(matching) != 1:
        listed = ", ".join(file.name for file in files) or "nothing"
        raise UserError(
            f"raw data {raw.name}: one CSV is needed ({', '.join(suffixes)}), and there is: {listed}{advice}"
        )
    return matching[0]


def read_csv(
    raw: Path, columns: Sequence[str], *, strip: bool = True, advice: str = ""
) -> tuple[Path, list[NumberedRow]]:
    """The only CSV of data/raw/X, and its rows by `csv_rows`. Raises UserError if it lacks one of `columns`."""
    file = find_csv(raw, advice=advice)
    name = describe_file(file)
    rows = list(csv_rows(decode_lines(file.read_bytes(), name), name, strip=strip))
    names = list(rows[0][1])
    for column in columns:
        if column not in names:
            guess = did_you_mean(column, names)
            raise UserError(f"{name} has no column {column!r}; it has: {', '.join(names)}.{guess}")
    return file, rows


def describe_file(file: Path) -> str:
    """How messages name a file in data/raw/X."""
    return f"raw data {file.parent.name}: {file.name}"


def row_ids(file: Path, count: int) -> list[str]:
    """`hello/00001` ... for the rows or lines of hello.csv, zero-padded so that sorting keeps their order."""
    digits = max(5, len(str(count)))
    return [f"{file.stem}/{number:0{digits}d}" for number in range(1, count + 1)]


def decode_lines(content: bytes, name: str) -> list[str]:
    """The lines of a UTF-8 file, with line endings, without a byte order mark. Raises UserError if it is not UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name} is not UTF-8 (line {line}): save it as UTF-8") from None
    return list(io.StringIO(text, newline=""))  # str.splitlines would also split at U+2028


def csv_rows(
    lines: Sequence[str], name: str, *, columns: Sequence[str] = (), delimiter: str = "", strip: bool = True
) -> Iterator[NumberedRow]:
    """Reads the `lines` of a CSV, with line endings; blank rows are skipped.

    Args:
        name: how messages name the file.
        columns: empty: the first row names them.
        delimiter: empty: comma, semicolon or tab, whichever the first line has most of.
        strip: whether white space around values is removed (it always is around the names of columns).

    Raises:
        UserError: nothing but blank lines, a column is named twice, a row has more or fewer values than there are
            columns, a quote is never closed, or there are no rows.
    """
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise UserError(f"{name} is empty: a CSV with column names in its first line is needed")
    delimiter = delimiter or max(",;\t", key=re.sub('"[^"]*"', "", first).count)
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    names = list(columns)
    empty = True
    try:
        for values in reader:
            stripped = [value.strip() for value in values]
            if not any(stripped):
                continue
            if not names:
                names = stripped
                if duplicates := sorted({column for column in names if names.count(column) > 1}):
                    raise UserError(f"{name}: two columns have the name {duplicates[0]!r}")
                continue
            if len(values) != len(names):
                quotes = f"; a value with {delimiter!r} in it needs quotes" if len(values) > len(names) else ""
                raise UserError(
                    f"{name}, line {reader.line_num}: {len(values)} values for {len(names)} columns{quotes}"
                )
            empty = False
            yield reader.line_num, dict(zip(names, stripped if strip else values, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise UserError(f"{name}: a quote is opened and never closed") from None
        raise UserError(f"{name}, line {reader.line_num}: {error}") from None
    if empty:
        raise UserError(f"{name} has no rows below the column names")
