"""A set's data directory, out of labels, votes, transcripts and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ser.core import log
from ser.corpora.csv_file import decoded, plain_text
from ser.corpora.durations import table
from ser.corpora.msp_podcast.labels import ATTRIBUTES, CLASSES, SCALE, Label
from ser.corpora.msp_podcast.speakers import gender_tables
from ser.corpora.msp_podcast.votes import Votes
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

NO_TRANSCRIPT = "<unk>"  # Kaldi's usual word for speech that is not known; text must hold every utterance


@dataclass
class Release:
    """All that was read of a release.

    Attributes:
        root: its folder.
        licence: as labels.yaml has it.
        release: its number, and what is special of the protocol.
        labels: file name -> label.
        speakers: file name -> speaker.
        audio: file name -> path.
        seconds: file name -> duration.
        classes: letters of the classes chosen, in order.
        votes: the workers' votes, if there are any.
        transcripts: file name -> its transcript.
        partial: the copy lacks some of the release.
    """

    root: Path
    licence: str
    release: str
    labels: Mapping[str, Label]
    speakers: Mapping[str, str]
    audio: Mapping[str, Path]
    seconds: Mapping[str, float]
    classes: Sequence[str]
    votes: Votes | None = None
    transcripts: Mapping[str, Path] = field(default_factory=dict)
    partial: bool = False


def data_dir(name: str, files: Sequence[str], read: Release, expected: int | None = None) -> DataDir:
    """The data directory of a set, in memory.

    Args:
        name: of the set, for messages.
        files: its file names.
        read: the release.
        expected: how many utterances the whole release has here, where that is known.
    """
    original = {f"{read.speakers[file]}-{file.removesuffix('.wav')}": file for file in files}
    labels = {utterance: read.labels[file] for utterance, file in original.items()}
    utt2spk = {utterance: read.speakers[file] for utterance, file in original.items()}
    genders = {utterance: label.gender for utterance, label in labels.items() if label.gender}
    by_speaker, by_utterance = gender_tables(utt2spk, genders)
    tables = {
        "utt2spk": utt2spk,
        "utt2orig": original,
        "utt2dur": table({utterance: read.seconds[file] for utterance, file in original.items()}),
        **by_utterance,
        **_label_tables(labels, read.classes),
    }
    if read.votes and (shares := _shares(original, read.votes, read.classes)):
        tables["utt2emodist"] = shares
    if text := _text(name, original, read.transcripts):
        tables["text"] = text
    return DataDir(
        path=read.root,
        labels=LabelSchema(
            corpus="msp_podcast",
            release=read.release,
            licence=read.licence,
            classes=[CLASSES[letter] for letter in read.classes],
            attributes=dict.fromkeys(ATTRIBUTES, SCALE),
            complete=[],  # O and X have no class, Test3 has no labels
            expected={} if expected is None else {"utterances": expected},
            partial=read.partial,
        ),
        tables=tables,
        recordings={"wav.scp": {utterance: str(read.audio[file]) for utterance, file in original.items()}},
        speakers=by_speaker,
    )


def _label_tables(labels: Mapping[str, Label], classes: Sequence[str]) -> dict[str, dict[str, str]]:
    """utt2emo and one table an attribute, of the utterances that have them."""
    tables = {
        "utt2emo": {
            utterance: CLASSES[label.emotion]
            for utterance, label in labels.items()
            if label.emotion in classes
        }
    }
    for attribute in ATTRIBUTES:
        values = {utterance: getattr(label, attribute) for utterance, label in labels.items()}
        tables[f"utt2{attribute}"] = {
            utterance: f"{value:.6g}" for utterance, value in values.items() if value is not None
        }
    return {name: table for name, table in tables.items() if table}


def _shares(original: Mapping[str, str], votes: Votes, classes: Sequence[str]) -> dict[str, str]:
    """utt2emodist: each class's share of the votes, of the utterances where one of them has any."""
    shares = {utterance: votes.shares(file, classes) for utterance, file in original.items()}
    return {utterance: share for utterance, share in shares.items() if share}


def _text(name: str, original: Mapping[str, str], transcripts: Mapping[str, Path]) -> dict[str, str]:
    """The transcripts in one line each; nothing where the set has none at all."""
    lines, missing, windows = {}, [], []
    for utterance, file in original.items():
        text, line = decoded(transcripts[file].read_bytes()) if file in transcripts else ("", 0)
        lines[utterance] = plain_text(text) or NO_TRANSCRIPT
        if line:
            windows.append(file)
        if lines[utterance] == NO_TRANSCRIPT:
            missing.append(file)
    if len(missing) == len(original):
        return {}
    for files, what in ((missing, f"without words, text is {NO_TRANSCRIPT}"), (windows, "in Windows-1252")):
        if files:
            shown = first_few(files)
            logger.warning("%s: %s %s: %s", name, counted(len(files), "transcript"), what, shown)
    return lines
