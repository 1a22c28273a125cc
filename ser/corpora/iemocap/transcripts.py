"""dialog/transcriptions/<dialogue>.txt: what is said in every turn, and in some that nobody rated."""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.corpora.csv_file import plain_text, read_text
from ser.corpora.iemocap.release import TURN

LINE = re.compile(r"(\S+)\s*\[[\d.\s-]+\]\s*:?(.*)")


@dataclass
class Transcripts:
    """What a file of transcripts holds.

    Attributes:
        text: turn -> words.
        unrated: (line, turn) of numbered turns that the evaluation does not have.
        extra: lines that are about no numbered turn: laughter, asides (``Ses01F_impro01_MXX0``).
    """

    text: dict[str, str]
    unrated: list[tuple[int, str]]
    extra: int = 0


def read_transcripts(path: Path, rated: Collection[str]) -> Transcripts:
    """The transcripts of a dialogue.

    Args:
        path: lines like ``Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.``
        rated: the turns that the evaluation has.

    Raises:
        UserError: with file and line, for a turn of another dialogue, two that differ, or one
            without words.
    """
    found = Transcripts({}, [])
    for line, content in enumerate(io.StringIO(read_text(path), newline=None), 1):
        match = LINE.fullmatch(content.strip())
        name = match[1] if match else content.partition(" ")[0].strip()
        turn = TURN.fullmatch(name)
        if turn is None:
            found.extra += bool(content.strip())
            continue
        if match is None:
            raise UserError("not 'turn [start-end]: words'", file=path, line=line, value=content.strip())
        if turn[1] != path.stem:
            raise UserError(f"no turn of {path.stem}", file=path, line=line, value=name)
        words = plain_text(match[2])
        if not words:
            raise UserError("a transcript without words", file=path, line=line, value=name)
        if found.text.get(name, words) != words:
            raise UserError("another transcript of a turn that has one", file=path, line=line, value=name)
        found.text[name] = words
        if name not in rated:
            found.unrated.append((line, name))
    return found
