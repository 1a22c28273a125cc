"""One's own corpus as a table: what its rows say, checked, with line numbers for every complaint."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.csv_file import Row, decoded, read_csv
from ser.corpora.paths import inside, word
from ser.data.speakers import UNKNOWN

logger = log.get_logger(__name__)

ATTRIBUTES = ("arousal", "valence", "dominance")
LABELS = ("emotion", *ATTRIBUTES)
OTHERS = ("speaker", "split", "text", "dialogue", "turn", "gender", "age", "id")
GENDERS = {"m": "m", "male": "m", "f": "f", "female": "f"}
NO_GENDER = ("", "unknown", "other")
SETS = {"train": "train", "training": "train"}
SETS |= dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation")
OLDEST = 120


@dataclass(eq=False)
class Clip:
    """A row: one audio file and its labels.

    Attributes:
        row: where it stands.
        path: the file as the table names it, from the corpus's folder, ``/`` between folders.
        wav: the file.
        speaker: one word; ``""`` where nobody knows.
        emotion: one word; ``""`` where there is none.
        name: its part of the utterance's id, after the speaker.
    """

    row: Row
    path: str
    wav: Path
    speaker: str
    emotion: str
    name: str = ""

    @property
    def speaker_id(self) -> str:
        """The speaker in utt2spk: an id of its own where nobody knows who speaks."""
        return self.speaker or f"{UNKNOWN}_{self.name}"

    @property
    def utterance(self) -> str:
        """``<speaker>-<name>``."""
        return f"{self.speaker_id}-{self.name}"

    @property
    def original(self) -> str:
        """The column id, or the path: what utt2orig says."""
        return self.row["id"] or self.path


def read_clips(file: str | os.PathLike[str], root: Path) -> list[Clip]:
    """The rows of a table, each with an utterance id that no other has.

    Args:
        file: a CSV with the columns ``path``, at least one of ``LABELS``, and any of ``OTHERS``.
        root: the folder that paths start from.

    Raises:
        UserError: with file and line, for a table without labels, a path that leads out of ``root``,
            a file that is listed twice, or names that cannot be told apart.
    """
    rows = read_csv(file, ("path",), (*LABELS, *OTHERS))
    if not any(label in rows[0].cells for label in LABELS):
        hint = f"Add one of the columns {', '.join(LABELS)}"
        raise UserError("no column of labels", file=file, line=1, hint=hint)
    _report_columns(file)
    clips = [_clip(row, root) for row in rows]
    for first, second in _twins(clips, lambda clip: clip.wav):
        raise _listed_twice(first, second)
    for first, second in _twins(clips, lambda clip: clip.speaker, lambda clip: clip.row["speaker"]):
        if first.speaker:
            hint = f"Both become {first.speaker}: give them names that differ in letters or digits"
            what = f"two names of speakers that are one id (the other, line {first.row.line}, "
            raise second.row.error(f"{what}is {first.row['speaker']!r})", second.row["speaker"], hint)
    _name(clips)
    return clips


def set_of(clip: Clip) -> str:
    """The set that a row's split names: ``train``, ``validation``, or any name that begins with ``test``.

    Raises:
        UserError: for another name.
    """
    given = clip.row.need("split").lower()
    if given.startswith("test"):
        return word(given)
    if given not in SETS:
        hint = f"Known: {', '.join(SETS)}, and what begins with test"
        raise clip.row.error("unknown split", clip.row["split"], hint)
    return SETS[given]


def gender_of(clip: Clip) -> str | None:
    """``m`` or ``f``, or None where the row does not tell.

    Raises:
        UserError: for another word.
    """
    given = clip.row["gender"].lower()
    if given in NO_GENDER:
        return None
    if given not in GENDERS:
        hint = f"Known: {', '.join(GENDERS)}; leave it empty where it is not known"
        raise clip.row.error("unknown gender", clip.row["gender"], hint)
    return GENDERS[given]


def age_of(clip: Clip) -> str | None:
    """Years, or None where the row does not tell.

    Raises:
        UserError: for what is no age.
    """
    years = clip.row.number("age")
    if years is None:
        return None
    if not 0 < years <= OLDEST:
        raise clip.row.error("no age in years", clip.row["age"])
    return f"{years:g}"


def turns_of(clips: Iterable[Clip]) -> tuple[dict[str, str], dict[str, str]]:
    """utt2dialogue and utt2turn.

    Raises:
        UserError: for a turn without a dialogue, one that is no whole number, or one that is there twice.
    """
    dialogues = {clip.utterance: row_word(clip.row, "dialogue") for clip in clips if clip.row["dialogue"]}
    turns: dict[str, str] = {}
    first: dict[tuple[str, int], Row] = {}
    for clip in clips:
        row = clip.row
        if not row["turn"]:
            continue
        if clip.utterance not in dialogues:
            raise row.error("a turn without a dialogue", row["turn"])
        if not row["turn"].isdecimal():
            raise row.error("turn is not a whole number", row["turn"])
        turn = int(row["turn"])
        before = first.setdefault((dialogues[clip.utterance], turn), row)
        if before is not row:
            what = f"a second turn {turn} of dialogue {row['dialogue']} (the first is on line {before.line})"
            raise row.error(what)
        turns[clip.utterance] = str(turn)
    return dialogues, turns


def row_word(row: Row, column: str) -> str:
    """A cell as a part of an id.

    Raises:
        UserError: when no letter or digit is in it.
    """
    try:
        return word(row[column])
    except UserError as error:
        raise row.error(f"{column}: {error.what}", row[column]) from None


def _clip(row: Row, root: Path) -> Clip:
    """A row, with its path and its speaker understood."""
    wav = inside(root, row.need("path"), row.file, row.line)
    known = row["speaker"] and row["speaker"].lower() != UNKNOWN
    path = wav.relative_to(root).as_posix()
    speaker = row_word(row, "speaker") if known else ""
    return Clip(row, path, wav, speaker, row_word(row, "emotion") if row["emotion"] else "")


def _twins(
    clips: Iterable[Clip], key: Callable[[Clip], object], value: Callable[[Clip], object] = id
) -> Iterable[tuple[Clip, Clip]]:
    """Pairs of rows with one key and different values, the earlier one first."""
    first: dict[object, Clip] = {}
    for clip in clips:
        before = first.setdefault(key(clip), clip)
        if value(before) != value(clip):
            yield before, clip


def _listed_twice(first: Clip, second: Clip) -> UserError:
    """The complaint about two rows of one file."""
    for label in LABELS:
        one, other = first.row[label], second.row[label]
        if one != other:
            what = f"{label} is {other!r} here and {one!r} on line {first.row.line}, of one file"
            return second.row.error(what, second.row["path"])
    return second.row.error(f"the file is listed twice, first on line {first.row.line}", second.row["path"])


def _name(clips: Sequence[Clip]) -> None:
    """Give every row a name that no other of its speaker has: the file's, with its folders where need be."""
    choices = {clip: _choices(clip) for clip in clips}
    while True:
        groups: dict[tuple[str, str], list[Clip]] = {}
        for clip in clips:
            clip.name = choices[clip][0]
            groups.setdefault((clip.speaker, clip.name), []).append(clip)
        clashes = [group for group in groups.values() if len(group) > 1]
        if not clashes:
            return
        unclear = [clip for group in clashes for clip in group if len(choices[clip]) > 1]
        if not unclear:
            first, second = clashes[0][:2]
            hint = "Give the column id a different word for each"
            what = f"the same id as on line {first.row.line}, {second.utterance}"
            raise second.row.error(what, second.row["id"] or second.row["path"], hint)
        for clip in unclear:
            del choices[clip][0]


def _choices(clip: Clip) -> list[str]:
    """Names that a row may have, the one to try first at the front."""
    if clip.row["id"]:
        return [row_word(clip.row, "id")]
    stem, _ = os.path.splitext(clip.path)
    try:
        return [word(os.path.basename(stem)), word(stem), word(clip.path)]
    except UserError as error:
        raise clip.row.error(error.what, clip.row["path"], "Give it a word in the column id") from None


def _report_columns(file: str | os.PathLike[str]) -> None:
    """Warn of columns that are not read: a column's name may be mistyped."""
    known = ("path", *LABELS, *OTHERS)
    text, _ = decoded(Path(file).read_bytes())
    header = next(csv.reader(io.StringIO(text, newline="")))
    for name in (cell.strip() for cell in header):
        if name and name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
            logger.warning("%s: the column %s is not read%s", file, name, f"; {near[0]} is" if near else "")
