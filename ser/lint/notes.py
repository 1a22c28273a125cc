"""Notes of what was heard, so that a stopped run goes on, and the next one listens to new files only.

Lines of JSON, one a file, appended as results come; a line that a kill has cut short is not believed.
A file counts by its path, size and time of change, and by the segments cut from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.lint.sound import Sound

VERSION = 1  # of what is measured: notes of another are not believed
SPARE = 1000  # lines without use that are worth no rewriting


class Piece(NamedTuple):
    """A file, and the start and end in seconds of each segment cut from it; None: the whole file."""

    file: str
    cuts: tuple[tuple[float, float], ...] | None

    def stamp(self) -> list[object] | None:
        """What says that the file is the same; None when it cannot be looked at."""
        try:
            status = os.stat(self.file)
        except OSError:
            return None
        cuts = None if self.cuts is None else [list(cut) for cut in self.cuts]
        return [VERSION, status.st_size, status.st_mtime_ns, cuts]


class Notes:
    """What is known of files, from this run and earlier ones.

    Args:
        path: the file of notes; it is made when there is something to note.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lines = path, 0
        self._known: dict[str, list[tuple[list[object], list[Sound]]]] = {}  # two sets may cut one file
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            self._lines += 1
            try:
                file, stamp, sounds = json.loads(line)
                self._known.setdefault(file, []).append((stamp, [Sound(**sound) for sound in sounds]))
            except (ValueError, TypeError):
                continue

    def of(self, piece: Piece) -> list[Sound] | None:
        """What was heard in a file as it is now, or None."""
        if piece.file not in self._known:
            return None
        now = piece.stamp()
        return next((sounds for stamp, sounds in self._known[piece.file] if stamp == now), None)

    def add(self, heard: Iterable[tuple[Piece, list[Sound]]]) -> None:
        """Append what was heard; a file that cannot be looked at, or was broken, is tried again next time.

        Raises:
            UserError: when nothing can be written there.
        """
        lines = []
        for piece, sounds in heard:
            stamp = piece.stamp()
            if stamp is not None and not any(sound.broken for sound in sounds):
                self._known.setdefault(piece.file, []).append((stamp, sounds))
                lines.append(_line(piece.file, stamp, sounds))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as stream:  # the first line end closes a line that was cut short
                stream.write(b"\n" + b"\n".join(lines) + b"\n" if lines else b"")
        except OSError as error:
            hint = "Name a folder for it with --work"
            what = f"what was heard cannot be noted ({error.strerror})"
            raise UserError(what, file=self.path, hint=hint) from None
        self._lines += len(lines)

    def tidy(self, pieces: Iterable[Piece]) -> None:
        """Write the file anew with notes of these files alone, when most of its lines are of no use."""
        pieces = list(pieces)
        if self._lines > 2 * len(pieces) + SPARE:
            known = [(piece.file, piece.stamp(), self.of(piece)) for piece in pieces]
            with whole_file(self.path, "wb") as stream:
                stream.writelines(_line(*entry) + b"\n" for entry in known if entry[2] is not None)


def _line(file: str, stamp: object, sounds: Iterable[Sound] | None) -> bytes:
    """A line of the notes, without its end."""
    return json.dumps([file, stamp, [asdict(sound) for sound in sounds or ()]]).encode()
