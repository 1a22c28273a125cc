"""What the corpus's label files say of each audio file, one ``Label`` a file, whatever file says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser.core.errors import UserError
from ser.corpora.csv_file import read_csv, read_text
from ser.data.labels import Range
from ser.data.wording import counted

# The order is that of the Odyssey 2024 challenge's baseline.
CLASSES = {
    "A": "anger", "S": "sadness", "H": "happiness", "U": "surprise",
    "F": "fear", "D": "disgust", "C": "contempt", "N": "neutral",
}  # fmt: skip
NO_CLASS = ("O", "X")  # other, and no agreement: labels of the attributes count all the same
ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
SCALE = Range(1, 7)
SETS = {
    "train": "train", "development": "validation", "validation": "validation",
    "test1": "test1", "test2": "test2", "test3": "test3",
}  # fmt: skip
GENDERS = {"male": "m", "m": "m", "female": "f", "f": "f"}
NOT_KNOWN = ("", "unknown", "nan", "none")
PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\.wav")
# The mean of votes is rounded in some files and not in others.
TOLERANCE = 1e-3
FIELDS = ("emotion", *ATTRIBUTES, "speaker", "gender", "set")


@dataclass(slots=True)
class Label:
    """What is known of an audio file; ``""`` or None is not known.

    Attributes:
        emotion: letter of the consensus class.
        arousal: 1 to 7, mean of the votes.
        valence: the same.
        dominance: the same.
        speaker: the corpus's number, without zeros before it.
        gender: ``m`` or ``f``.
        set: ``train``, ``validation``, ``test1``, ``test2`` or ``test3``.
        line: where the file says it.
    """

    emotion: str = ""
    arousal: float | None = None
    valence: float | None = None
    dominance: float | None = None
    speaker: str = ""
    gender: str = ""
    set: str = ""
    line: int | None = None


def read_consensus(path: Path) -> dict[str, Label]:
    """labels_consensus.csv or .json: file name -> label.

    Raises:
        UserError: with file and line (of a JSON file: the entry), for what is not as it must be.
    """
    labels: dict[str, Label] = {}
    for line, name, cells in _json_rows(path) if path.suffix == ".json" else _csv_rows(path):
        where = Place(path, line, name)
        label = Label(
            emotion=where.emotion(cells["EmoClass"]),
            **{key: where.number(column, cells[column]) for key, column in ATTRIBUTES.items()},
            speaker=where.speaker(cells["SpkrID"]),
            gender=where.gender(cells["Gender"]),
            set=where.set(cells["Split_Set"]),
            line=line,
        )
        if not label.emotion and label.set != "test3":
            raise where.error("empty EmoClass")
        where.add(labels, label)
    return labels


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a label file, and what may stand there."""

    file: Path
    line: int | None
    name: str

    def error(self, what: str, value: object = None) -> UserError:
        """A complaint about this line."""
        of = "" if self.line else f" of {self.name}"
        return UserError(f"{what}{of}", file=self.file, line=self.line, value=value)

    def emotion(self, text: str) -> str:
        """The letter of a class, of other (O) or of no agreement (X)."""
        if text and text not in CLASSES and text not in NO_CLASS:
            raise self.error(f"EmoClass is none of {' '.join((*CLASSES, *NO_CLASS))}", text)
        return text

    def number(self, column: str, text: str) -> float | None:
        """An attribute within its range."""
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if value not in SCALE:
            raise self.error(f"{column} is no number from {SCALE.min:g} to {SCALE.max:g}", text)
        return value

    def speaker(self, text: str) -> str:
        """A speaker's number."""
        if text.isascii() and text.isdigit():
            return str(int(text))
        if text.lower() not in NOT_KNOWN:
            raise self.error("SpkrID is neither a number nor Unknown", text)
        return ""

    def gender(self, text: str) -> str:
        """``m`` or ``f``."""
        if text.lower() not in GENDERS and text.lower() not in NOT_KNOWN:
            raise self.error("Gender is none of Male, Female, Unknown", text)
        return GENDERS.get(text.lower(), "")

    def set(self, text: str) -> str:
        """The set's folder."""
        if text and text.lower() not in SETS:
            raise self.error("no set is called so; they are Train, Development, Test1, Test2, Test3", text)
        return SETS.get(text.lower(), "")

    def add(self, labels: dict[str, Label], label: Label) -> None:
        """Put the label among the others, under a name that is plain and new."""
        if not PLAIN_NAME.fullmatch(self.name):
            raise UserError("not a plain file name like MSP-PODCAST_0001_0008.wav", file=self.file,
                            line=self.line, value=self.name)  # fmt: skip
        if self.name in labels:
            first = labels[self.name].line
            known = f" (first on line {first})" if first else ""
            raise UserError(f"listed twice{known}", file=self.file, line=self.line, value=self.name)
        labels[self.name] = label


def read_pairs(path: Path) -> Iterator[tuple[Place, str]]:
    """Partitions.txt, ``Train; MSP-PODCAST_0001_0008.wav``, and Speaker_ids.txt, ``MSP-...wav; 127``.

    Yields:
        the place, which has the audio file's name, and what is said of it. Lines about speakers
        (``Speaker_127; Male``) come with the speaker as the name.

    Raises:
        UserError: for a line that is not two fields with ``;`` between.
    """
    for line, text in enumerate(lines_of(path), 1):
        if not text.strip():
            continue
        fields = [field.strip() for field in text.strip().rstrip(";").split(";")]
        if len(fields) != 2:
            raise UserError("not two fields with ';' between", file=path, line=line, value=text.strip())
        name, value = fields if fields[0].endswith(".wav") or not fields[1].endswith(".wav") else fields[::-1]
        yield Place(path, line, name), value


def read_partitions(path: Path) -> dict[str, Label]:
    """Partitions.txt: file name -> its set.

    Raises:
        UserError: with the line.
    """
    labels: dict[str, Label] = {}
    for place, text in read_pairs(path):
        place.add(labels, Label(set=place.set(text), line=place.line))
    return labels


def read_speakers(path: Path) -> dict[str, Label]:
    """Speaker_ids.txt: file name -> speaker and gender.

    Raises:
        UserError: with the line.
    """
    labels: dict[str, Label] = {}
    genders: dict[str, str] = {}
    for place, text in read_pairs(path):
        if place.name.endswith(".wav"):
            number = text.removeprefix("Speaker_")
            place.add(labels, Label(speaker=place.speaker(number), line=place.line))
        else:
            genders[place.speaker(place.name.removeprefix("Speaker_"))] = place.gender(text)
    for label in labels.values():
        label.gender = genders.get(label.speaker, "") if label.speaker else ""
    return labels


def merge(labels: dict[str, Label], others: Mapping[str, Label], file: Path, other: Path) -> None:
    """Fill what ``labels`` leaves open with what another file says of the same audio.

    Args:
        labels: changed in place.
        others: what the other file says.
        file: where ``labels`` are from.
        other: where ``others`` are from.

    Raises:
        UserError: when the two contradict each other: one message, the first place and how many.
    """
    wrong = []
    for name, label in labels.items():
        if (said := others.get(name)) is None:
            continue
        for field in FIELDS:
            ours, theirs = getattr(label, field), getattr(said, field)
            if theirs in ("", None) or ours == theirs:
                continue
            if ours in ("", None):
                setattr(label, field, theirs)
            elif isinstance(ours, str) or abs(ours - theirs) > TOLERANCE:
                wrong.append((name, field, ours, said.line, theirs))
    if wrong:
        name, field, ours, line, theirs = wrong[0]
        more = f", the first of {counted(len(wrong), 'contradiction')}" if len(wrong) > 1 else ""
        raise UserError(
            f"contradicts {file.name}, where {field} of {name} is {ours}{more}", file=other, line=line,
            value=theirs, hint="One of the two is of another release: fetch them anew",
        )  # fmt: skip


def lines_of(path: Path) -> list[str]:
    """The lines of a text file, with any line ends."""
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that maps file names to something.

    Raises:
        UserError: when it is none, or names one file twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(content := dict(pairs)) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for place, key in enumerate(keys) if key in keys[:place])
            raise UserError("listed twice", file=path, value=twice)
        return content

    try:
        content = json.loads(read_text(path), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise UserError(f"no JSON ({error.msg})", file=path, line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise UserError("JSON that cannot be taken", file=path, value=error) from None
    if not isinstance(content, dict) or not content:
        raise UserError("not a mapping of file names to labels", file=path)
    return content


COLUMNS = ("EmoClass", *ATTRIBUTES.values())
OPEN_COLUMNS = ("SpkrID", "Gender", "Split_Set")


def _csv_rows(path: Path) -> Iterator[tuple[int | None, str, Mapping[str, str]]]:
    """Line, file name and cells of labels_consensus.csv."""
    for row in read_csv(path, ("FileName", *COLUMNS), OPEN_COLUMNS):
        yield row.line, row["FileName"], row


def _json_rows(path: Path) -> Iterator[tuple[int | None, str, Mapping[str, str]]]:
    """The same of labels_consensus.json, whose entries have no line."""
    for name, entry in read_json_object(path).items():
        if not isinstance(entry, dict) or not all(column in entry for column in COLUMNS):
            raise UserError(f"the entry of {name} lacks one of {', '.join(COLUMNS)}", file=path)
        cells = {column: str(entry.get(column, "")).strip() for column in (*COLUMNS, *OPEN_COLUMNS)}
        yield None, name, cells
