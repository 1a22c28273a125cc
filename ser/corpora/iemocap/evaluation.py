"""dialog/EmoEvaluation/<dialogue>.txt: times, emotion, attributes and the raters' votes of every turn."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.csv_file import read_text
from ser.corpora.iemocap.release import CLASSES, NO_CLASS, TURN, Selection, speaker_of
from ser.data.datadir import as_number
from ser.data.labels import Range

logger = log.get_logger(__name__)

# The order within the brackets, by which nobody else goes: activation, the field's arousal, is second.
ATTRIBUTES = ("valence", "arousal", "dominance")
SCALE = Range(1, 5)
# A mean of two raters, one of whom was a point off the scale: told and left out. Beyond, it is an error.
SLIP = Range(SCALE.min - 0.5, SCALE.max + 0.5)
HEAD = re.compile(r"\[\s*(\S+)\s*-\s*(\S+)\s*\]\s+(\S+)\s+(\S+)\s+\[([^]]*)\]\s*")
# C: categories, A: attributes; E: one of the six raters, F and M: the actors, of themselves.
RATING = re.compile(r"([CA])-([EFM])\d+:(.*)")


@dataclass
class Turn:
    """One turn as the raters heard it.

    Attributes:
        name: the original id.
        dialogue: of which it is part.
        start: in the dialogue's recording, in seconds.
        end: in seconds.
        code: what most raters heard, a code of the release.
        attributes: name -> mean over the raters, 1 to 5, or half a point beyond by a rater's slip.
        votes: for each rater, the codes that they heard; the actors' view of themselves is no vote.
        file: where it was read.
        line: its line there.
    """

    name: str
    dialogue: str
    start: float
    end: float
    code: str
    attributes: dict[str, float]
    file: Path
    line: int
    votes: list[list[str]] = field(default_factory=list)

    @property
    def speaker(self) -> str:
        """Who speaks: ``Ses01M``."""
        return speaker_of(self.name) or ""

    @property
    def utterance(self) -> str:
        """Its id in a data directory."""
        return f"{self.speaker}-{self.name}"

    @property
    def off_the_scale(self) -> list[str]:
        """The attributes whose value is just off the scale."""
        return [name for name, value in self.attributes.items() if value not in SCALE]


def read_evaluation(path: Path) -> list[Turn]:
    """The turns of a dialogue in the order of their start, over both speakers.

    Raises:
        UserError: with file and line: for a malformed line, a turn of another dialogue or one that is
            there twice, an unknown emotion, an end before the start, an attribute off the scale.
    """
    turns: dict[str, Turn] = {}
    stray: list[int] = []
    current: Turn | None = None
    for line, text in enumerate(io.StringIO(read_text(path), newline=None), 1):
        text = text.strip()
        rating = RATING.fullmatch(text)
        if text.startswith("[") or (TURN.search(text) and not rating):
            current = _turn(path, line, text)
            if current.name in turns:
                what = f"a turn for the second time (first on line {turns[current.name].line})"
                raise UserError(what, file=path, line=line, value=current.name)
            turns[current.name] = current
        elif rating and current is None:
            raise UserError("a rating before the first turn", file=path, line=line, value=text)
        elif rating and current is not None:
            if rating[1] + rating[2] == "CE":
                current.votes.append(_codes(path, line, rating[3]))
        elif text and not text.startswith("%"):
            stray.append(line)
    if not turns:
        raise UserError("no turns", file=path, hint="Its lines begin like [6.2901 - 8.2357]")
    if stray:
        are = "1 line is" if len(stray) == 1 else f"{len(stray)} lines are"
        logger.warning("%s:%d: %s neither turn nor rating, left out", path, stray[0], are)
    return sorted(turns.values(), key=lambda turn: (turn.start, turn.end, turn.name))


def soft_label(turn: Turn, selection: Selection) -> list[float] | None:
    """Shares of the classes among the raters' votes, or None where nobody voted for any.

    A rater has one vote, divided among what they heard; what is no class of the selection is lost.
    """
    shares = dict.fromkeys(selection.classes, 0.0)
    for codes in turn.votes:
        for code in codes:
            if code in selection.class_of:
                shares[selection.class_of[code]] += 1 / len(codes)
    total = sum(shares.values())
    return [share / total for share in shares.values()] if total else None


def _turn(path: Path, line: int, text: str) -> Turn:
    """The line that begins a turn."""

    def refuse(what: str, value: str = text, hint: str | None = None) -> UserError:
        return UserError(what, file=path, line=line, value=value, hint=hint)

    match = HEAD.fullmatch(text)
    if match is None:
        raise refuse("not '[start - end] turn emotion [valence, arousal, dominance]'")
    start, end = as_number(match[1]), as_number(match[2])
    if not 0 <= start < end < math.inf:
        raise refuse("the turn's end is not after its start", f"{match[1]} - {match[2]}")
    name, code = match[3], match[4]
    parts = TURN.fullmatch(name)
    if parts is None or parts[1] != path.stem:
        raise refuse(f"no turn of {path.stem}", name)
    if code not in CLASSES and code not in NO_CLASS:
        raise refuse("no such emotion", code, f"There are {', '.join((*CLASSES, *NO_CLASS))}")
    values = [as_number(part) for part in match[5].split(",")]
    if len(values) != len(ATTRIBUTES) or not all(value in SLIP for value in values):
        raise refuse(f"not three values from {SCALE.min:g} to {SCALE.max:g}", f"[{match[5]}]")
    return Turn(name, parts[1], start, end, code, dict(zip(ATTRIBUTES, values, strict=True)), path, line)


def _codes(path: Path, line: int, text: str) -> list[str]:
    """The codes that a rater gave: ``Anger; Frustration; (comment)``, by the first letters of the words."""
    words = [word.strip().lower() for word in text.partition("(")[0].split(";")]
    codes = list(dict.fromkeys(word[:3] for word in words if word))
    for code in codes:
        if code not in CLASSES and code not in NO_CLASS:
            raise UserError("no such emotion in a rating", file=path, line=line, value=text.strip())
    return codes
