"""The data directory: Kaldi's flat tables, labels by name, labels.yaml.

Tables are keyed by utterance (``utt2*``, ``text``, ``feats.scp``), by speaker (``spk2*``) or by
recording (``wav.scp``, ``reco2*``); ``segments`` cuts utterances out of recordings, and without
it the recordings are the utterances.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ser.core.errors import UserError
from ser.data.audio_header import read_header
from ser.data.labels import CLASS_LABEL, LabelSchema
from ser.data.table import line_of, read_table, write_table
from ser.data.validate import inconsistencies
from ser.data.whole_dir import whole_dir
from ser.data.wording import counted

LABELS = "labels.yaml"
NO_TEXT = "<unk>"  # Kaldi's usual word: where there is a text, every utterance has one
BY_UTTERANCE = re.compile(r"utt2[\w-]+|text|feats\.scp|vad\.scp")
BY_SPEAKER = re.compile(r"spk2(?!utt$)[\w-]+|cmvn\.scp")
BY_RECORDING = re.compile(r"wav\.scp|reco2[\w-]+")
OTHER_FILES = ("spk2utt", "segments", LABELS, "sdata")


class Segment(NamedTuple):
    """An utterance's place in a recording; ``start`` and ``end`` in seconds."""

    recording: str
    start: float
    end: float


@dataclass
class DataDir:
    """A data directory in memory.

    Attributes:
        path: where it was read from or was written to last.
        labels: labels.yaml.
        tables: tables by utterance, by file name: ``utt2spk`` (always), ``text``, ``utt2emo`` ...
        speakers: tables by speaker, by file name: ``spk2gender`` ...
        recordings: tables by recording, by file name: ``wav.scp`` (always), ``reco2dur`` ...
        segments: utterance -> ``Segment``, or None.
    """

    path: Path
    labels: LabelSchema
    tables: dict[str, dict[str, str]]
    recordings: dict[str, dict[str, str]]
    speakers: dict[str, dict[str, str]] = field(default_factory=dict)
    segments: dict[str, Segment] | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], check: bool = True) -> DataDir:
        """Read a data directory.

        Args:
            path: the directory.
            check: also check that its tables agree with each other and with labels.yaml.

        Raises:
            UserError: for the first mistake found. ``ser prepare validate`` lists all.
        """
        data, errors = examine(path, check)
        if errors or data is None:
            raise errors[0]
        return data

    @property
    def utt2spk(self) -> dict[str, str]:
        """Utterance -> speaker, in C order."""
        return self.tables["utt2spk"]

    @property
    def utterances(self) -> list[str]:
        """The utterances in C order."""
        return sorted(self.utt2spk)

    @property
    def spk2utt(self) -> dict[str, list[str]]:
        """Speaker -> utterances, both in C order."""
        return invert(self.utt2spk)

    @property
    def spk2gender(self) -> dict[str, str]:
        """Speaker -> ``m`` or ``f``; empty when not known of all (Kaldi wants all or none)."""
        return self.speakers.get("spk2gender", {})

    def trait(self, name: str) -> dict[str, str]:
        """Utterance -> its speaker's ``gender``, ``age`` or the like, of those where it is known.

        ``utt2<name>`` comes first: a corpus that knows it of some speakers only has no spk2gender.
        """
        if f"utt2{name}" in self.tables:
            return self.tables[f"utt2{name}"]
        of_speaker = self.speakers.get(f"spk2{name}", {})
        return {
            utterance: of_speaker[speaker]
            for utterance, speaker in self.utt2spk.items()
            if speaker in of_speaker
        }

    @property
    def wav_scp(self) -> dict[str, str]:
        """Recording -> path of its audio, or a command that ends in ``|``."""
        return self.recordings["wav.scp"]

    def classes_of(self) -> dict[str, str]:
        """Utterance -> emotion class, of the utterances that have one."""
        return self.tables.get(f"utt2{CLASS_LABEL}", {})

    def folds(self) -> dict[str, str]:
        """Utterance -> the fold in which it is tested; empty when the corpus has fixed sets."""
        return self.tables.get("utt2fold", {})

    def attribute(self, name: str) -> dict[str, float]:
        """Utterance -> value of an attribute, in the label's own units; unlabelled ones are absent.

        Raises:
            UserError: when labels.yaml has no such attribute, or a value is no number (NaN is
                none) or outside its range.
        """
        if name not in self.labels.attributes:
            known = ", ".join(self.labels.attributes) or "none"
            raise UserError("no such attribute", file=self.path / LABELS, value=name, hint=f"It has {known}")
        limits, table = self.labels.attributes[name], f"utt2{name}"
        values = self.numbers(table) if table in self.tables else {}
        for utterance, value in values.items():
            if value not in limits:
                raise UserError(
                    f"{name} of {utterance!r} is outside {limits.min:g} to {limits.max:g}",
                    file=self.path / table, line=line_of(values, utterance), value=f"{value:g}",
                )  # fmt: skip
        return values

    def durations(self) -> dict[str, float]:
        """Utterance -> duration in seconds: from utt2dur, else segments, else the audio's headers.

        Raises:
            UserError: for a duration that is no positive number, a pipe without utt2dur.
            BrokenAudio: when a header must be read and cannot.
        """
        if "utt2dur" in self.tables:
            return self.numbers("utt2dur")
        if self.segments is not None:
            return {utterance: segment.end - segment.start for utterance, segment in self.segments.items()}
        for number, entry in enumerate(self.wav_scp.values(), 1):
            if entry.endswith("|"):
                hint = "Write utt2dur, so that no command runs only to learn durations"
                raise UserError("duration of a command's output is not known", value=entry, hint=hint,
                                file=self.path / "wav.scp", line=number)  # fmt: skip
        return {name: read_header(entry, name).seconds for name, entry in self.wav_scp.items()}

    def numbers(self, table: str) -> dict[str, float]:
        """A table by utterance as finite numbers.

        Raises:
            UserError: for a value that is not one, with file and line.
        """
        values = {}
        for line, (utterance, text) in enumerate(self.tables[table].items(), 1):
            value = as_number(text)
            if not math.isfinite(value):
                raise UserError(f"value of {utterance!r} is not a finite number", file=self.path / table,
                                line=line, value=text)  # fmt: skip
            values[utterance] = value
        return values

    def subset(self, utterances: Iterable[str]) -> DataDir:
        """The same directory with these utterances only, their speakers and their recordings.

        Raises:
            UserError: when an utterance is not in this directory, or none is left.
        """
        wanted = set(utterances)
        if missing := sorted(wanted - self.utt2spk.keys()):
            raise UserError(f"{counted(len(missing), 'utterance')} not in it, the first", file=self.path,
                            value=missing[0])  # fmt: skip
        if not wanted:
            raise UserError("no utterance is left", file=self.path)
        segments = None
        if self.segments is not None:
            segments = {name: segment for name, segment in self.segments.items() if name in wanted}
        kept_recordings = wanted if segments is None else {item.recording for item in segments.values()}
        kept_speakers = {self.utt2spk[utterance] for utterance in wanted}
        return replace(
            self,
            labels=replace(self.labels, expected={}, partial=False),  # those are counts of the whole
            tables=_restrict(self.tables, wanted),
            recordings=_restrict(self.recordings, kept_recordings),
            speakers=_restrict(self.speakers, kept_speakers),
            segments=segments,
        )

    def check(self) -> None:
        """Raise for the first rule that the tables break; no audio is looked at.

        Raises:
            UserError: with file, line, value and remedy.
        """
        if errors := inconsistencies(self):
            raise errors[0]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the directory whole or not at all, in place of an older one at ``path``.

        Raises:
            UserError: when its tables do not agree (nothing is written), or when ``path`` is
                something else than a data directory.
        """
        self.check()
        with whole_dir(path, owns=is_data_file) as folder:
            for group in (self.tables, self.recordings, self.speakers):
                for name, table in group.items():
                    write_table(folder / name, table)
            write_table(folder / "spk2utt", {name: " ".join(utts) for name, utts in self.spk2utt.items()})
            if self.segments is not None:
                rows = {name: f"{s.recording} {s.start!r} {s.end!r}" for name, s in self.segments.items()}
                write_table(folder / "segments", rows)
            self.labels.write(folder / LABELS)
        self.path = Path(path)


def examine(path: str | os.PathLike[str], check: bool = True) -> tuple[DataDir | None, list[UserError]]:
    """Read what can be read of a data directory, and collect the complaints about the rest.

    Args:
        path: the directory.
        check: when all files are well-formed, also look for mistakes between them.

    Returns:
        the directory, or None when a table that it cannot do without is missing or malformed;
        and the mistakes, one for each file or rule.
    """
    path, errors = Path(path), list[UserError]()
    if not path.is_dir():
        return None, [UserError("no such data directory", file=path)]
    names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    if not any(is_data_file(name) for name in names):
        return None, [UserError("empty data directory", file=path, hint="Run the stage that prepares it")]
    for required in ("utt2spk", "spk2utt", "wav.scp", LABELS):
        if required not in names:
            errors.append(UserError("no such file, and every data directory needs it", file=path / required))
    data = DataDir(path, LabelSchema("unknown"), {}, {})
    spk2utt: dict[str, str] | None = None
    for name in filter(is_data_file, names):
        try:
            if name == LABELS:
                data.labels = LabelSchema.read(path / name)
            elif name == "segments":
                data.segments = read_segments(path / name)
            elif name == "spk2utt":
                spk2utt = read_table(path / name)
            else:
                group_of(data, name)[name] = read_table(path / name)
        except UserError as error:
            errors.append(error)
    if "utt2spk" not in data.tables or "wav.scp" not in data.recordings:
        return None, errors
    if check and not errors and spk2utt is not None:
        errors = inconsistencies(data) + _compare_spk2utt(data, spk2utt)
    return data, errors


def read_segments(path: str | os.PathLike[str]) -> dict[str, Segment]:
    """Read ``segments``: ``<utterance> <recording> <start> <end>``, seconds.

    Raises:
        UserError: as ``read_table``, and unless 0 <= start < end, with the line.
    """
    rows = enumerate(read_table(path).items(), 1)
    return {name: parse_segment(path, line, name, value) for line, (name, value) in rows}


def parse_segment(path: str | os.PathLike[str], line: int | None, utterance: str, value: str) -> Segment:
    """A line of ``segments`` without its key.

    Raises:
        UserError: unless it is ``<recording> <start> <end>`` with 0 <= start < end.
    """
    parts = value.split()
    start, end = (as_number(parts[1]), as_number(parts[2])) if len(parts) == 3 else (math.nan, math.nan)
    if not 0 <= start < end < math.inf:
        raise UserError(f"segment {utterance!r} is not '<recording> <start> <end>' with 0 <= start < end",
                        file=path, line=line, value=value)  # fmt: skip
    return Segment(parts[0], start, end)


def as_number(text: str) -> float:
    """``text`` as a number, NaN when it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def is_data_file(name: str) -> bool:
    """Whether a file or folder name belongs to a data directory, which replaces it when written."""
    if name in OTHER_FILES:
        return True
    return any(pattern.fullmatch(name) for pattern in (BY_UTTERANCE, BY_SPEAKER, BY_RECORDING))


def group_of(data: DataDir, name: str) -> dict[str, dict[str, str]]:
    """The group of tables, by utterance, speaker or recording, in which a file belongs."""
    if BY_UTTERANCE.fullmatch(name):
        return data.tables
    return data.speakers if BY_SPEAKER.fullmatch(name) else data.recordings


def invert(utt2spk: dict[str, str]) -> dict[str, list[str]]:
    """Speaker -> utterances, both in C order."""
    spk2utt: dict[str, list[str]] = {speaker: [] for speaker in sorted(set(utt2spk.values()))}
    for utterance in sorted(utt2spk):
        spk2utt[utt2spk[utterance]].append(utterance)
    return spk2utt


def _restrict(group: dict[str, dict[str, str]], keys: set[str]) -> dict[str, dict[str, str]]:
    """Every table of ``group`` with these keys only; a table left empty is left out."""
    restricted = {
        name: {key: value for key, value in table.items() if key in keys} for name, table in group.items()
    }
    return {name: table for name, table in restricted.items() if table}


def _compare_spk2utt(data: DataDir, written: dict[str, str]) -> list[UserError]:
    """Complain when the file spk2utt is not the inverse of utt2spk."""
    expected = {speaker: " ".join(utterances) for speaker, utterances in data.spk2utt.items()}
    for speaker in sorted(expected.keys() | written.keys()):
        if " ".join(written.get(speaker, "").split()) != expected.get(speaker, ""):
            return [UserError("spk2utt is not the inverse of utt2spk, first for speaker", value=speaker,
                              file=data.path / "spk2utt", line=line_of(written, speaker),
                              hint="Mend it with 'ser prepare fix'")]  # fmt: skip
    return []
