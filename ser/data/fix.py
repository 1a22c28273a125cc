"""Mend a data directory as Kaldi's fix_data_dir.sh does: sort, drop what does not fit, say what."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ser.core.errors import UserError
from ser.data.datadir import LABELS, DataDir, Segment, group_of, is_data_file, parse_segment
from ser.data.labels import LabelSchema
from ser.data.table import read_rows
from ser.data.validate import COMPLETE_TABLES
from ser.data.wording import counted, first_few

BACKUP = ".backup"


def fix(path: str | os.PathLike[str], durations: bool = False) -> list[str]:
    """Sort all tables in C order and keep the utterances that every table that must have them has.

    Identical lines and keys without a value are dropped, entries of unknown utterances, speakers
    and recordings too. utt2dur is left out when it lacks utterances (it can be read off the audio),
    spk2gender when it lacks speakers (Kaldi wants all or none). The old tables are kept in
    ``.backup``. Labels are not touched: one that is out of range is for a person to mend.

    Args:
        path: the data directory.
        durations: write utt2dur anew from the headers of the audio.

    Returns:
        what was changed, a line each; empty when nothing was wrong.

    Raises:
        UserError: for what cannot be mended without guessing, such as one key with two values;
            nothing is written then.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError("no such data directory", file=path)
    notes: list[str] = []
    names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    names = list(filter(is_data_file, names))
    for required in ("utt2spk", "wav.scp", LABELS):
        if required not in names:
            raise UserError("no such file, and it cannot be made from the others", file=path / required)
    data = DataDir(path, LabelSchema.read(path / LABELS), {}, {})
    for name in names:
        if name == "segments":
            data.segments = _read_segments(path / name, notes)
        elif name == "spk2utt":
            _note_spk2utt(path / name, notes)
        elif name != LABELS:
            group_of(data, name)[name] = _read(path / name, notes)
    utterances = _common(data, notes)
    if not utterances:
        raise UserError("no utterance is in all of its tables", file=path, hint="; ".join(notes))
    _drop_strangers(data, utterances, notes)
    if durations:
        before = data.tables.pop("utt2dur", None)
        data.tables["utt2dur"] = {name: f"{seconds:.6g}" for name, seconds in data.durations().items()}
        if before != data.tables["utt2dur"]:
            notes.append("utt2dur: written from the headers of the audio")
    if "spk2utt" not in names:
        notes.append("spk2utt: written")
    if notes:
        _replace(data, names)
    return notes


def _read(path: Path, notes: list[str]) -> dict[str, str]:
    """A table in C order, without the lines that say nothing or say it again."""
    table: dict[str, str] = {}
    lines: dict[str, int] = {}
    repeated, empty, order = [], [], []
    for line, key, value in read_rows(path):
        if not value:
            empty.append(key)
        elif key not in table:
            table[key], lines[key] = value, line
            order.append(key)
        elif table[key] == value:
            repeated.append(key)
        else:
            raise UserError(f"key {key!r} has another value than on line {lines[key]}", file=path, line=line,
                            value=value, hint="Delete the wrong line")  # fmt: skip
    if order != sorted(order):
        notes.append(f"{path.name}: sorted")
    for what, keys in (("without a value", empty), ("repeated", repeated)):
        if keys:
            notes.append(f"{path.name}: {counted(len(keys), 'line')} dropped, {what}: {first_few(keys)}")
    text = path.read_bytes()
    if b"\r" in text or (text and not text.endswith(b"\n")):
        notes.append(f"{path.name}: line ends mended")
    return {key: table[key] for key in sorted(table)}


def _read_segments(path: Path, notes: list[str]) -> dict[str, Segment]:
    """The segments; a malformed one cannot be mended."""
    return {name: parse_segment(path, None, name, value) for name, value in _read(path, notes).items()}


def _note_spk2utt(path: Path, notes: list[str]) -> None:
    """Say when spk2utt will change: it is always written anew, from utt2spk."""
    written = {key: " ".join(value.split()) for _, key, value in read_rows(path)}
    utt2spk = {key: value for _, key, value in read_rows(path.parent / "utt2spk")}
    inverse: dict[str, list[str]] = {}
    for utterance in sorted(utt2spk):
        inverse.setdefault(utt2spk[utterance], []).append(utterance)
    expected = {speaker: " ".join(inverse[speaker]) for speaker in sorted(inverse)}
    if list(written.items()) != list(expected.items()):
        notes.append("spk2utt: written anew from utt2spk")


def _common(data: DataDir, notes: list[str]) -> set[str]:
    """The utterances that all tables have which must have them."""
    utterances = set(data.utt2spk)
    if data.segments is None:
        holders = {"wav.scp": set(data.wav_scp)}
    else:
        sound = {name for name, segment in data.segments.items() if segment.recording in data.wav_scp}
        holders = {"segments": sound}
    required = (*COMPLETE_TABLES, *(f"utt2{label}" for label in data.labels.complete))
    holders |= {
        name: set(data.tables[name]) for name in required if name in data.tables and name != "utt2dur"
    }
    for name, holder in holders.items():
        if lost := sorted(utterances - holder):
            notes.append(f"{counted(len(lost), 'utterance')} dropped, not in {name}: {first_few(lost)}")
        utterances &= holder
    return utterances


def _drop_strangers(data: DataDir, utterances: set[str], notes: list[str]) -> None:
    """Take unknown utterances, speakers and recordings out of all tables."""
    speakers = {data.utt2spk[utterance] for utterance in utterances}
    recordings = utterances
    if data.segments is not None:
        data.segments = {name: segment for name, segment in data.segments.items() if name in utterances}
        recordings = {segment.recording for segment in data.segments.values()}
    for group, known in (
        (data.tables, utterances),
        (data.speakers, speakers),
        (data.recordings, recordings),
    ):
        for name, table in list(group.items()):
            if strangers := [key for key in table if key not in known]:
                notes.append(f"{name}: {counted(len(strangers), 'entry')} dropped: {first_few(strangers)}")
            group[name] = {key: value for key, value in table.items() if key in known}
            partial = name in ("utt2dur", "spk2gender") and len(group[name]) < len(known)
            if partial:
                notes.append(f"{name}: left out, since it lacks some (the old one is in {BACKUP})")
            if partial or not group[name]:
                del group[name]


def _replace(data: DataDir, names: list[str]) -> None:
    """Write the mended directory, with the old tables in ``.backup``."""
    path = data.path
    data.check()
    backup = path / BACKUP
    shutil.rmtree(backup, ignore_errors=True)
    backup.mkdir()
    for name in names:
        shutil.copy2(path / name, backup / name)
    data.write(path)
