"""RAVDESS: 24 actors speak (1,440 files) and sing (1,012) two statements in 8 emotions, English.

Livingstone, Russo: "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 13(5), 2018.
A file ``03-01-06-01-02-01-12.wav`` is modality, channel, emotion, intensity, statement, repetition,
actor. The design is complete, so that the files a copy lacks are known by name. There is no official
split: the six folds are ours, of four actors each, two women and two men.
"""

from __future__ import annotations

import itertools
import re
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.named_files import assemble, one_of_each, write_all
from ser.corpora.paths import find_files
from ser.data.datadir import DataDir

logger = log.get_logger(__name__)

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
CHANNELS = {"01": "speech", "02": "song"}
MODALITIES = {"01": "audio and video", "02": "video", "03": "audio"}
ACTORS = {f"{number:02d}": f"Actor_{number:02d}" for number in range(1, 25)}
NOT_SUNG = ("disgust", "surprise")
SILENT_IN_SONG = "18"  # this actor's songs are not in the release
AUDIO_ONLY = "03"
ACTORS_A_FOLD = 4


class Name(NamedTuple):
    """The seven fields of a file's name, two digits each, in their order."""

    modality: str
    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: str


KNOWN = Name(
    MODALITIES, CHANNELS, EMOTIONS, INTENSITIES, STATEMENTS, {"01": "first", "02": "second"}, ACTORS
)  # fmt: skip
CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    release="1.0.0",
    licence="CC-BY-NC-SA-4.0",
    links=("https://zenodo.org/records/1188976",),
    speech="acted English",
    speaker_of=lambda original: ACTORS.get(original[-2:]),
    expected={
        "neutral": 96, "calm": 192, "happiness": 192, "sadness": 192, "anger": 192, "fear": 192,
        "disgust": 192, "surprise": 192,
    },
)  # fmt: skip


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare ravdess``."""
    corpus_arguments(parser)
    parser.add_argument(
        "--channel", choices=("speech", "song", "both"), default="speech", help="spoken, sung, or both"
    )


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, six folds of four actors.

    Raises:
        UserError: when the corpus is not there, is not whole, or has a wrong name or a broken file.
    """
    write_all(read(CORPUS.find_root(args.db_root), args.channel, args.allow_partial, args.nj), args.out)


def read(root: Path, channel: str = "speech", allow_partial: bool = False, nj: int = 1) -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        root: the folder that has ``Actor_01`` and so on, or one above it.
        channel: ``speech``, ``song`` or ``both``.
        allow_partial: accept a copy that lacks files.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    names = list(design(channel))
    files = _audio_only(find_files(root, (".wav",)), root)
    if not files.keys() & set(names):
        raise UserError(f"no {channel} of names like 03-01-06-01-02-01-12.wav", file=root, hint=CORPUS.where)
    if others := len(files.keys() - set(names)):
        logger.info("%s: %d files are not of the channel %s, left out", root, others, channel)
    listed = {name: files.get(name, _place(root, name)) for name in names}
    present = CORPUS.check_files(listed, root, allow_partial, "the release has")
    wavs = {f"{ACTORS[name[-2:]]}-{name}": files[name] for name in present}
    parts = {utterance: Name(*utterance.partition("-")[2].split("-")) for utterance in wavs}
    counts = Counter(EMOTIONS[Name(*name.split("-")).emotion] for name in names)
    data = assemble(
        CORPUS,
        root,
        wavs,
        tables={
            "utt2spk": {utterance: ACTORS[part.actor] for utterance, part in parts.items()},
            "utt2emo": {utterance: EMOTIONS[part.emotion] for utterance, part in parts.items()},
            "utt2orig": {utterance: "-".join(part) for utterance, part in parts.items()},
            "utt2channel": {utterance: CHANNELS[part.channel] for utterance, part in parts.items()},
            "utt2intensity": {utterance: INTENSITIES[part.intensity] for utterance, part in parts.items()},
            "utt2repetition": {utterance: str(int(part.repetition)) for utterance, part in parts.items()},
            "text": {utterance: STATEMENTS[part.statement] for utterance, part in parts.items()},
            "utt2fold": {utterance: fold_of(part.actor) for utterance, part in parts.items()},
        },
        expected={emotion: counts[emotion] for emotion in EMOTIONS.values() if counts[emotion]},
        partial=len(present) < len(names),
        nj=nj,
    )
    data.speakers["spk2gender"] = {speaker: gender_of(speaker[-2:]) for speaker in data.spk2utt}
    return data


def design(channel: str = "both") -> Iterator[str]:
    """The names, without ``.wav``, of the audio-only files of the release, by actor."""
    for fields in itertools.product(ACTORS, CHANNELS, EMOTIONS, INTENSITIES, STATEMENTS, ("01", "02")):
        actor, sound, emotion, intensity, statement, repetition = fields
        name = Name(AUDIO_ONLY, sound, emotion, intensity, statement, repetition, actor)
        if channel in ("both", CHANNELS[sound]) and exists(name):
            yield "-".join(name)


def exists(name: Name) -> bool:
    """Whether the release has a file of these fields, each of which is a known one."""
    if EMOTIONS[name.emotion] == "neutral" and INTENSITIES[name.intensity] == "strong":
        return False
    sung = CHANNELS[name.channel] == "song"
    return not (sung and (EMOTIONS[name.emotion] in NOT_SUNG or name.actor == SILENT_IN_SONG))


def gender_of(actor: str) -> str:
    """Odd actors are men, even ones women."""
    return "m" if int(actor) % 2 else "f"


def fold_of(actor: str) -> str:
    """Actors 1 to 4 are fold 1, and so on: two women and two men in each."""
    return f"fold{(int(actor) - 1) // ACTORS_A_FOLD + 1}"


def parse(path: Path) -> Name | None:
    """The fields of a file's name, or None where it is no name of numbers with hyphens between.

    Raises:
        UserError: for a number of fields that is not seven, a field with an unknown value, a
            combination that the release does not have, or a file in another actor's folder.
    """
    fields = path.stem.split("-")
    if len(fields) < 2 or not all(re.fullmatch("[0-9]+", field) for field in fields):
        return None
    if len(fields) != len(Name._fields):
        hint = f"The fields are {', '.join(Name._fields)}"
        raise UserError(f"a name of {len(fields)} fields, not {len(Name._fields)}", file=path, hint=hint)
    name = Name(*fields)
    for field, value, known in zip(Name._fields, name, KNOWN, strict=True):
        if value not in known:
            raise UserError(
                f"unknown {field} in the name", file=path, value=value, hint=f"Known: {', '.join(known)}"
            )
    if not exists(name):
        hint = "Neutral has no strong intensity; songs have no disgust, no surprise, and none is by actor 18"
        raise UserError("the release has no file of this name", file=path, hint=hint)
    folder = path.parent.name
    if folder in ACTORS.values() and folder != ACTORS[name.actor]:
        raise UserError(f"the name says {ACTORS[name.actor]}, its folder {folder}", file=path)
    return name


def _audio_only(found: list[Path], root: Path) -> dict[str, Path]:
    """Name -> file, of the files that are audio only; others are warned of."""
    names = {path: parse(path) for path in found}
    audio = [path for path, name in names.items() if name is not None and name.modality == AUDIO_ONLY]
    CORPUS.report_unlisted(found, audio, root)
    return one_of_each(audio)


def _place(root: Path, name: str) -> Path:
    """Where a file that is not there would be looked for."""
    return root / ACTORS[name[-2:]] / f"{name}.wav"
