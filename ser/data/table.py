"""Kaldi's tables: text files of ``<key> <value>`` lines, UTF-8, sorted in C order by key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import whole_file

MEND = "Mend it with 'ser prepare fix'"


def read_table(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a table; its order is the file's.

    Keys and values are separated by ASCII blanks or tabs; a value keeps its inner blanks. Python
    compares strings by code point, which is the C order of their UTF-8 bytes.

    Raises:
        UserError: with file and line, when the file is missing, empty, not UTF-8, has Windows line
            ends or no last newline, or when a line has no value, a key twice, or keys out of order.
    """
    data = _read_bytes(path)
    if b"\r" in data:
        _refuse("Windows line end", path, data, data.index(b"\r"))
    if not data.endswith(b"\n"):
        _refuse("no newline at the end of the file, which may have been cut short", path, data, len(data))
    rows = [line.split(None, 1) for line in data[:-1].split(b"\n")]
    keys = [row[0] if row else b"" for row in rows]
    if any(len(row) != 2 for row in rows):
        number = next(n for n, row in enumerate(rows, 1) if len(row) != 2)
        what = "key without a value" if rows[number - 1] else "empty line"
        raise UserError(what, file=path, line=number, value=keys[number - 1].decode() or None, hint=MEND)
    if any(map(bytes.__ge__, keys, keys[1:])):
        _refuse_order(path, keys)
    return {key.decode(): value.rstrip().decode() for key, value in rows}


def read_rows(path: str | os.PathLike[str]) -> list[tuple[int, str, str]]:
    """Read a table that may be in disorder, as ``(line, key, value)``; a missing value is ``""``.

    Empty lines are skipped and Windows line ends taken off. For ``ser prepare fix``; everything
    else reads with ``read_table``.

    Raises:
        UserError: when the file is missing or not UTF-8.
    """
    rows = []
    for number, line in enumerate(_read_bytes(path, may_be_empty=True).split(b"\n"), 1):
        key, *value = line.split(None, 1)[:2] or [b""]
        if key:
            rows.append((number, key.decode(), value[0].rstrip().decode() if value else ""))
    return rows


def write_table(path: str | os.PathLike[str], table: Mapping[str, str]) -> None:
    """Write a table in C order, whole or not at all.

    Raises:
        UserError: when a key is empty or holds blanks, or a value is empty or holds a line end.
    """
    for key, value in table.items():
        if key.encode().split() != [key.encode()]:
            raise UserError("a table's key must be one word", file=path, value=key)
        if not value.strip() or "\n" in value or "\r" in value:
            raise UserError(f"value of {key!r} is empty or more than one line", file=path, value=value)
    with whole_file(path) as stream:
        stream.writelines(f"{key} {table[key]}\n" for key in sorted(table))


def line_of(table: Iterable[str], key: str) -> int | None:
    """The line of ``key`` in the file that ``read_table`` read ``table`` from, or None."""
    return next((number for number, name in enumerate(table, 1) if name == key), None)


def _read_bytes(path: str | os.PathLike[str], may_be_empty: bool = False) -> bytes:
    """The bytes of a file, known to be UTF-8."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError("no such file", file=path) from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from None
    if not data and not may_be_empty:
        raise UserError("empty file", file=path)
    if data.startswith(b"\xef\xbb\xbf"):
        raise UserError("starts with a byte order mark", file=path, line=1, hint="Save it as plain UTF-8")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data.split(b"\n")[line - 1].decode(errors="backslashreplace")
        hint = "Convert it with iconv -t UTF-8"
        raise UserError("not UTF-8", file=path, line=line, value=text.strip(), hint=hint) from None
    return data


def _refuse(what: str, path: str | os.PathLike[str], data: bytes, position: int) -> None:
    """Raise for the line that holds byte ``position``."""
    raise UserError(what, file=path, line=data.count(b"\n", 0, position) + 1, hint=MEND)


def _refuse_order(path: str | os.PathLike[str], keys: list[bytes]) -> None:
    """Raise for the first key that is a duplicate or out of order."""
    seen: dict[bytes, int] = {}
    for number, key in enumerate(keys, 1):
        if key in seen:
            what = f"duplicate key (first on line {seen[key]})"
        elif number > 1 and key < keys[number - 2]:
            what = "not sorted in C order (LC_ALL=C sort)"
        else:
            seen[key] = number
            continue
        raise UserError(what, file=path, line=number, value=key.decode(), hint=MEND)
