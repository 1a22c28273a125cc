"""CSV files as corpora ship them: byte order marks, Windows characters, any line ends."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.data.wording import counted

logger = log.get_logger(__name__)

# Cells may hold whole transcripts; the csv module's own limit is 128 KiB.
csv.field_size_limit(1 << 24)
STRAIGHT = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u2013": "-", "\u2014": "-", "\u2026": "...", "\u00a0": " ", "\u0085": "...",
    # What cp1252's quotes, dashes and dots become where somebody took them for Latin-1.
    "\u0091": "'", "\u0092": "'", "\u0093": '"', "\u0094": '"', "\u0096": "-", "\u0097": "-",
})  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of a table, and where it stands.

    Attributes:
        file: the file.
        line: its line there, from 1 (of a row over several lines, the last).
        cells: column -> text, without blanks around it.
    """

    file: Path
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """The text of a column, ``""`` where it is empty or an optional column is not there."""
        return self.cells.get(column, "")

    def need(self, column: str) -> str:
        """The text of a column that must not be empty.

        Raises:
            UserError: when it is.
        """
        if not self[column]:
            raise self.error(f"empty {column}")
        return self[column]

    def number(self, column: str) -> float | None:
        """A column's number; None where it is empty.

        Raises:
            UserError: when it is not a finite number.
        """
        if not self[column]:
            return None
        try:
            value = float(self[column])
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            raise self.error(f"{column} is not a number", self[column])
        return value

    def error(self, what: str, value: object = None, hint: str | None = None) -> UserError:
        """A complaint about this row."""
        return UserError(what, file=self.file, line=self.line, value=value, hint=hint)


def read_csv(
    path: str | os.PathLike[str],
    required: Sequence[str],
    optional: Sequence[str] = (),
    delimiter: str = ",",
) -> list[Row]:
    """The rows of a CSV file that has a header.

    Args:
        path: the file; UTF-8 with or without a byte order mark, else Windows-1252 with a warning.
        required: columns it must have.
        optional: columns it may have; others are left out.
        delimiter: what separates cells.

    Raises:
        UserError: with file and line: when it is missing, has no row, lacks a column or names one
            twice, or a row has more or fewer cells than the header.
    """
    rows = list(iter_csv(path, required, optional, delimiter))
    if not rows:
        raise UserError("no rows", file=path)
    return rows


def iter_csv(
    path: str | os.PathLike[str],
    required: Sequence[str],
    optional: Sequence[str] = (),
    delimiter: str = ",",
) -> Iterator[Row]:
    """The rows of ``read_csv`` one by one, for tables too long to be held as rows.

    Raises:
        UserError: as ``read_csv``, when the row is reached; a table without rows is none.
    """
    path = Path(path)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        yield from _rows(path, reader, header, _columns(path, header, required, optional))
    except csv.Error as error:
        raise UserError(f"no well-formed CSV ({error})", file=path, line=reader.line_num) from None


def read_text(path: str | os.PathLike[str]) -> str:
    """A text file that may have been saved on Windows.

    Raises:
        UserError: when it is missing, empty, holds NUL bytes (UTF-16, or no text), or cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError("no such file", file=path) from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from None
    if not data.strip():
        raise UserError("empty file", file=path)
    if b"\0" in data:
        raise UserError("no text in UTF-8", file=path, hint="Save it as UTF-8")
    text, line = decoded(data)
    if line:
        logger.warning("%s:%d: not UTF-8, read as Windows-1252", path, line)
    return text


def decoded(data: bytes) -> tuple[str, int]:
    """Bytes as text: UTF-8 with or without a byte order mark, else Windows-1252.

    Returns:
        the text, and the first line that is not UTF-8, or 0.
    """
    try:
        return data.decode("utf-8-sig"), 0
    except UnicodeDecodeError as error:
        return data.decode("cp1252", errors="replace"), data.count(b"\n", 0, error.start) + 1


def plain_text(text: str) -> str:
    """A transcript in one line: curly quotes, dashes and dots made plain, blanks joined.

    >>> plain_text("\\u201cIt\\u2019s  fine\\u2026\\u201d\\n")
    '"It\\'s fine..."'
    """
    return " ".join(text.translate(STRAIGHT).split())


def _columns(
    path: Path, header: list[str], required: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    """Where the wanted columns stand."""
    if missing := [name for name in required if name not in header]:
        hint = f"It has {', '.join(filter(None, header)) or 'none'}"
        raise UserError(f"lacks the column {', '.join(missing)}", file=path, line=1, hint=hint)
    wanted = [name for name in (*required, *optional) if name in header]
    if twice := [name for name in wanted if header.count(name) > 1]:
        raise UserError("two columns of one name", file=path, line=1, value=twice[0])
    return {name: header.index(name) for name in wanted}


def _rows(
    path: Path, reader: Iterator[list[str]], header: list[str], wanted: dict[str, int]
) -> Iterator[Row]:
    """The rows below the header; empty lines are skipped."""
    for cells in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            what = f"{counted(len(cells), 'cell')}, and the header has {len(header)}"
            raise UserError(
                what, file=path, line=line, value=",".join(cells)[:80], hint="Quote cells that hold commas"
            )
        yield Row(path, line, {name: cells[index].strip() for name, index in wanted.items()})
