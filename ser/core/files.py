"""Files written whole or not at all.

A writer fills a hidden temporary file beside the target and renames it at the end, so that a
reader, or the next run after a kill, sees the old file, the new file, or none: never a half.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from ser.core.errors import UserError

TEMPORARY_PREFIX = ".writing-"


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing; it appears, complete and synced, only when the block ends well.

    Args:
        path: the file to write; its folder is made when absent.
        mode: ``"w"`` (UTF-8, ``\\n`` line ends) or ``"wb"``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.name, dir=path.parent)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(handle, mode, **text) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)  # a full disk is told at a write, which knows no name
        raise


def _umask() -> int:
    """The process's umask, which can be read only by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def remove_leftovers(folder: str | os.PathLike[str]) -> int:
    """Delete the temporary files that killed writers left in ``folder``; return how many."""
    leftovers = [path for path in Path(folder).glob(f"{TEMPORARY_PREFIX}*") if path.is_file()]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` whole or not at all."""
    with whole_file(path) as stream:
        stream.write(text)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON.

    Raises:
        UserError: when the file is missing or is no JSON.
    """
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise UserError("not JSON", file=path, line=error.lineno, value=error.msg) from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, brackets in brackets
        raise UserError("JSON that cannot be taken", file=path, value=error) from None


def write_yaml(path: str | os.PathLike[str], value: Any) -> None:
    """Write plain YAML (no tags), keys in the order given."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read YAML without running anything in it.

    Raises:
        UserError: when the file is missing or is no YAML, with the line.
    """
    try:
        return yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise UserError(
            "not plain YAML", file=path, line=line, value=getattr(error, "problem", None) or str(error)
        ) from None
    # What PyYAML raises for !!bool x, the 45th of May, 0b_ and brackets in brackets.
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("YAML with a value that is none", file=path, value=error) from None


def _read(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, with a message fit for a user when there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("no such file", file=path, hint="Run the stage that writes it") from None
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8", file=path, value=error.reason, hint="Convert it with iconv") from None
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from None


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
