"""Folders written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import TEMPORARY_PREFIX

REPLACED_PREFIX = ".replaced-"
# No mistake of the user's options: exit code 1, and the same command again when there is room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextlib.contextmanager
def whole_dir(path: str | os.PathLike[str], owns: Callable[[str], bool]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``path`` when the block ends well.

    What ``path`` held before is replaced where ``owns(name)`` is true, and stays otherwise: a
    folder of notes beside the tables is not ours to delete. A process killed between the two
    renames leaves the old folder as ``.replaced-<name>``; the next writer puts it back first.

    Raises:
        UserError: when ``path`` is a file, or a folder with nothing that is owned, or cannot be written.
        OSError: naming ``path``, when the disk is full or fails.
    """
    path = Path(os.path.realpath(path))
    replaced = path.parent / f"{REPLACED_PREFIX}{path.name}"
    temporary = path.parent / f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _recover(path, replaced, owns)
        _refuse_foreign(path, owns)
        temporary.mkdir()
        yield temporary
        if path.exists():
            os.rename(path, replaced)
        os.rename(temporary, path)
        _recover(path, replaced, owns)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced.exists() and not path.exists():
            os.rename(replaced, path)
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        if isinstance(error, OSError):
            raise UserError(f"cannot be written ({error.strerror or error})", file=path) from error
        raise


def _refuse_foreign(path: Path, owns: Callable[[str], bool]) -> None:
    """Raise for something that this project did not write."""
    if path.exists():
        names = [entry.name for entry in path.iterdir()] if path.is_dir() else None
        if names is None or (names and not any(map(owns, names))):
            hint = "Choose another folder, or remove it"
            raise UserError("exists and is not a data directory; it is not overwritten", file=path, hint=hint)


def _recover(path: Path, replaced: Path, owns: Callable[[str], bool]) -> None:
    """Finish a replacement: put the old folder back, or move over what is not ours and drop the rest."""
    half_written = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}\d+-{re.escape(path.name)}")
    for entry in path.parent.iterdir():
        if half_written.fullmatch(entry.name) and entry.is_dir():
            shutil.rmtree(entry)
    if not replaced.exists():
        return
    if not path.exists():
        os.rename(replaced, path)
        return
    for entry in replaced.iterdir():
        if not owns(entry.name) and not (path / entry.name).exists():
            os.rename(entry, path / entry.name)
    shutil.rmtree(replaced)
