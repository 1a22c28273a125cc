"""The rules of a data directory: Kaldi's own, and those of the labels.

A rule returns complaints, each one line that names the file, the line of the first offender, how
many there are and the first few of them.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ser.core.errors import UserError
from ser.data.audio_header import MAX_OVERSHOOT, BrokenAudio, read_header
from ser.data.labels import CLASS_LABEL
from ser.data.table import line_of
from ser.data.wording import first_few

if TYPE_CHECKING:
    from ser.data.datadir import DataDir

# Tables that, where they exist, hold every utterance: Kaldi's list, then this project's.
COMPLETE_TABLES = ("text", "utt2dur", "utt2num_frames", "utt2uniq", "utt2lang", "feats.scp", "vad.scp",
                   "utt2fold", "utt2orig")  # fmt: skip
KALDI_RESERVED_WORDS = frozenset({"<s>", "</s>", "#0"})
ODD_SPACE = re.compile(r"[^\S \t]")


def inconsistencies(data: DataDir) -> list[UserError]:
    """What is wrong among the tables of a directory; no audio is looked at."""
    rules = (_speakers, _recordings, _utterances, _genders, _durations, _text, _classes,
             _soft_labels, _attributes)  # fmt: skip
    return [complaint for rule in rules for complaint in rule(data)]


def audio_problems(data: DataDir) -> list[UserError]:
    """Audio that is missing, unreadable, empty or truncated by its header, or shorter than said.

    Commands in wav.scp are not run.
    """
    broken, seconds = [], {}
    for name, entry in data.wav_scp.items():
        if not entry.endswith("|"):
            try:
                seconds[name] = read_header(entry).seconds
            except BrokenAudio as error:
                broken.append((name, error))
    complaints = []
    if broken:
        names, first = [name for name, _ in broken], broken[0][1]
        complaints.append(_complaint(data, "wav.scp", f"{first.what} ({first.file})", names))
    if data.segments is not None:
        late = [
            name for name, segment in data.segments.items()
            if segment.end > seconds.get(segment.recording, math.inf) + MAX_OVERSHOOT
        ]  # fmt: skip
        if late:
            complaints.append(_complaint(data, "segments", "segment ends after its recording", late))
    elif "utt2dur" in data.tables:
        said = data.tables["utt2dur"]
        wrong = [name for name, length in seconds.items() if not durations_agree(said.get(name), length)]
        if wrong:
            hint = "Mend it with 'ser prepare fix --durations'"
            complaints.append(_complaint(data, "utt2dur", "not the duration of the audio", wrong, hint))
    return complaints


def unlabelled(data: DataDir) -> dict[str, int]:
    """Label table -> utterances it lacks, for the tables that exist and lack some."""
    names = [CLASS_LABEL, *data.labels.attributes]
    total = len(data.utt2spk)
    lacking = {f"utt2{name}": total - len(data.tables.get(f"utt2{name}", data.utt2spk)) for name in names}
    return {table: count for table, count in lacking.items() if count}


def _speakers(data: DataDir) -> Iterable[UserError]:
    """utt2spk holds one word, and is in order by speaker as well as by utterance."""
    if not data.utt2spk:
        yield UserError("no utterances", file=data.path / "utt2spk")
    bad = [utterance for utterance, speaker in data.utt2spk.items() if len(speaker.split()) != 1]
    if bad:
        yield _complaint(data, "utt2spk", "the speaker must be one word", bad)
    pairs = itertools.pairwise(sorted(data.utt2spk))
    unsorted = [after for before, after in pairs if data.utt2spk[before] > data.utt2spk[after]]
    if unsorted:
        hint = "Begin every utterance id with its speaker: <speaker>-<original id>"
        yield _complaint(data, "utt2spk", "not in order of the speakers", unsorted, hint)


def _recordings(data: DataDir) -> Iterable[UserError]:
    """wav.scp, segments and the other tables by recording hold the same recordings."""
    tilde = [name for name, entry in data.wav_scp.items() if entry.startswith("~")]
    if tilde:
        yield _complaint(data, "wav.scp", "a path with ~ is found by no program", tilde, "Write it out")
    if data.segments is not None:
        used = {segment.recording for segment in data.segments.values()}
        lost = [name for name, segment in data.segments.items() if segment.recording not in data.wav_scp]
        if lost:
            yield _complaint(data, "segments", "recording is not in wav.scp", lost)
        idle = [name for name in data.wav_scp if name not in used]
        if idle:
            yield _complaint(data, "wav.scp", "no segment uses the recording", idle)
    for table in data.recordings:
        if table != "wav.scp":
            yield from _same_keys(data, table, data.recordings[table], data.wav_scp, "wav.scp")
    if data.segments is not None and "reco2dur" in data.recordings:
        lengths = data.recordings["reco2dur"]
        late = [
            name for name, segment in data.segments.items()
            if not segment.end <= _number(lengths.get(segment.recording, "inf")) + MAX_OVERSHOOT
        ]  # fmt: skip
        if late:
            yield _complaint(data, "segments", "segment ends after its recording (reco2dur)", late)


def _utterances(data: DataDir) -> Iterable[UserError]:
    """All tables are about the utterances of utt2spk, and those that must be complete are."""
    if data.segments is None:
        yield from _same_keys(data, "wav.scp", data.wav_scp, data.utt2spk, "utt2spk")
    else:
        yield from _same_keys(data, "segments", data.segments, data.utt2spk, "utt2spk")
    required = {f"utt2{name}" for name in data.labels.complete} | set(COMPLETE_TABLES)
    for name, table in data.tables.items():
        yield from _same_keys(data, name, table, data.utt2spk, "utt2spk", complete=name in required)


def _genders(data: DataDir) -> Iterable[UserError]:
    """spk2gender says m or f for every speaker, and other tables by speaker name known speakers."""
    speakers = dict.fromkeys(data.utt2spk.values(), "")
    for name, table in data.speakers.items():
        complete = name in ("spk2gender", "cmvn.scp")
        hint = "Where some are not known, write utt2gender instead" if name == "spk2gender" else None
        yield from _same_keys(data, name, table, speakers, "utt2spk", complete, hint)
    for name, table in (("spk2gender", data.spk2gender), ("utt2gender", data.tables.get("utt2gender", {}))):
        bad = [key for key, gender in table.items() if gender not in ("m", "f")]
        if bad:
            yield _complaint(data, name, "neither m nor f", bad, values=table)


def _durations(data: DataDir) -> Iterable[UserError]:
    """Durations are positive numbers of seconds."""
    for name, table in (
        ("utt2dur", data.tables.get("utt2dur", {})),
        ("reco2dur", data.recordings.get("reco2dur", {})),
    ):
        bad = [key for key, text in table.items() if not 0 < _number(text) < math.inf]
        if bad:
            yield _complaint(data, name, "not a positive number of seconds", bad, values=table)


def _text(data: DataDir) -> Iterable[UserError]:
    """The text holds none of the words and blanks that Kaldi keeps for itself."""
    text = data.tables.get("text", {})
    reserved = [name for name, line in text.items() if not KALDI_RESERVED_WORDS.isdisjoint(line.split())]
    if reserved:
        yield _complaint(data, "text", "holds a word that Kaldi reserves (<s>, </s>, #0)", reserved)
    odd = [name for name, line in text.items() if ODD_SPACE.search(line)]
    if odd:
        yield _complaint(data, "text", "holds white space other than blanks", odd, values=text)


def _classes(data: DataDir) -> Iterable[UserError]:
    """Classes are among those of labels.yaml."""
    table, classes = data.classes_of(), data.labels.classes
    bad = [name for name, value in table.items() if value not in classes]
    if bad:
        hint = f"labels.yaml has {', '.join(classes) or 'no classes'}"
        yield _complaint(data, f"utt2{CLASS_LABEL}", "no class of labels.yaml", bad, hint, table)


def _soft_labels(data: DataDir) -> Iterable[UserError]:
    """utt2emodist has a share, not negative, for every class."""
    table, size = data.tables.get("utt2emodist", {}), len(data.labels.classes)
    bad = []
    for utterance, text in table.items():
        shares = [_number(part) for part in text.split()]
        if len(shares) != size or not all(0 <= share < math.inf for share in shares) or not sum(shares) > 0:
            bad.append(utterance)
    if bad:
        yield _complaint(data, "utt2emodist", f"not {size} shares, one a class", bad, values=table)


def _attributes(data: DataDir) -> Iterable[UserError]:
    """Attributes are finite numbers within their range."""
    for name, limits in data.labels.attributes.items():
        table = data.tables.get(f"utt2{name}", {})
        values = {utterance: _number(text) for utterance, text in table.items()}
        nan = [utterance for utterance, value in values.items() if not math.isfinite(value)]
        if nan:
            hint = "Leave an utterance without a label out of the table"
            yield _complaint(data, f"utt2{name}", "not a finite number", nan, hint, table)
        outside = [name for name, value in values.items() if math.isfinite(value) and value not in limits]
        if outside:
            what = f"outside {limits.min:g} to {limits.max:g}, the range in labels.yaml"
            yield _complaint(data, f"utt2{name}", what, outside, values=table)


def _same_keys(
    data: DataDir,
    name: str,
    table: Iterable[str],
    reference: Iterable[str],
    reference_name: str,
    complete: bool = True,
    hint: str | None = "Mend it with 'ser prepare fix'",
) -> Iterable[UserError]:
    """``table`` has no key that ``reference`` lacks and, when it must be complete, the reverse."""
    keys, known = set(table), set(reference)
    if extra := [key for key in table if key not in known]:
        yield _complaint(data, name, f"not in {reference_name}", extra, hint)
    if complete and (missing := sorted(known - keys)):
        what = "lacks an entry for"
        if name.removeprefix("utt2") in data.labels.complete:
            what = "utterance without a label"
            hint = "Label it, drop it with 'ser prepare fix', or allow it: 'complete: []' in labels.yaml"
        yield _complaint(data, name, what, missing, hint, line=False)


def _complaint(
    data: DataDir,
    name: str,
    what: str,
    offenders: list[str],
    hint: str | None = None,
    values: dict[str, str] | None = None,
    line: bool = True,
) -> UserError:
    """One line: file, line of the first offender, what, how many, the first few."""
    shown = [f"{key} ({values[key]})" for key in offenders] if values else offenders
    return UserError(
        f"{what}: {first_few(shown)}", file=os.path.join(data.path, name),
        line=line_of(_table(data, name), offenders[0]) if line else None, hint=hint,
    )  # fmt: skip


def _table(data: DataDir, name: str) -> Iterable[str]:
    """The keys of a table, in the order of its file."""
    for group in (data.tables, data.recordings, data.speakers, {"segments": data.segments or {}}):
        if name in group:
            return group[name]
    return ()


def _number(text: str) -> float:
    """``text`` as a number, NaN when it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def durations_agree(said: str | None, seconds: float) -> bool:
    """Whether utt2dur tells the audio's duration, within 50 ms or 1 %."""
    return said is None or abs(_number(said) - seconds) <= max(0.05, 0.01 * seconds)
