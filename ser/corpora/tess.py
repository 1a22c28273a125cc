"""TESS, the Toronto Emotional Speech Set: 2,800 acted English phrases, 2 speakers, 200 words, 7 emotions.

Pichora-Fuller, Dupuis: "Toronto emotional speech set (TESS)", University of Toronto, 2010. A file
``OAF_back_angry.wav`` is the older actress (OAF, 64 years; YAF is 26), the word in "Say the word
back", and the emotion; ``ps`` is pleasant surprise. Every actress says every word in every emotion.
The release has one slip, ``OA_bite_neutral.wav``, and archives that hold the whole tree twice.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.named_files import assemble, one_of_each, write_all
from ser.corpora.paths import find_files
from ser.data.datadir import DataDir
from ser.data.splits import assign_folds
from ser.data.wording import first_few

logger = log.get_logger(__name__)

SPEAKERS = {"oaf": "OAF", "oa": "OAF", "yaf": "YAF", "ya": "YAF"}
AGES = {"OAF": "64", "YAF": "26"}
EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
WORDS = 200
NAME = re.compile(rf"({'|'.join(SPEAKERS)})_([a-z]+)_({'|'.join(EMOTIONS)})", re.IGNORECASE)


class Name(NamedTuple):
    """What a file's name says: ``OAF``, ``back``, ``angry``."""

    speaker: str
    word: str
    emotion: str


def speaker_of(original: str) -> str | None:
    """The speaker, as an original id tells it."""
    return SPEAKERS.get(original.partition("_")[0].lower())


CORPUS = Corpus(
    name="tess",
    title="TESS",
    release="2010",
    licence="CC-BY-NC-ND-4.0",
    links=("https://doi.org/10.5683/SP2/E8H2MF", "https://tspace.library.utoronto.ca/handle/1807/24487"),
    speech="acted English",
    speaker_of=speaker_of,
    expected={emotion: len(AGES) * WORDS for emotion in EMOTIONS.values()},
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare tess``."""
    corpus_arguments(parser)


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, a fold for each of the two speakers.

    Raises:
        UserError: when the corpus is not there, is not whole, or has a broken file.
    """
    write_all(read(CORPUS.find_root(args.db_root), args.allow_partial, args.nj), args.out)


def read(root: Path, allow_partial: bool = False, nj: int = 1) -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        root: the folder that has ``OAF_angry`` and so on, or one above it, or one with all files.
        allow_partial: accept a copy that lacks files.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    found = find_files(root, (".wav",))
    named = [path for path in found if NAME.fullmatch(path.stem)]
    if not named:
        raise UserError("no files like OAF_back_angry.wav", file=root, hint=CORPUS.where)
    CORPUS.report_unlisted(found, named, root)
    files = {parse(stem): path for stem, path in one_of_each(named, _spelt_as_the_rest).items()}
    classes = {"_".join(name): EMOTIONS[name.emotion] for name in files}
    _tell_missing(files, root)
    partial = CORPUS.check_counts(classes, root, allow_partial)
    parts = {f"{name.speaker}-{'_'.join(name)}": name for name in files}
    utt2spk = {utterance: name.speaker for utterance, name in parts.items()}
    tables = {
        "utt2spk": utt2spk,
        "utt2emo": {utterance: EMOTIONS[name.emotion] for utterance, name in parts.items()},
        "utt2orig": {utterance: files[name].stem for utterance, name in parts.items()},
        "text": {utterance: f"Say the word {name.word}" for utterance, name in parts.items()},
    }
    if len(set(utt2spk.values())) > 1:
        tables["utt2fold"] = assign_folds(utt2spk)
    wavs = {utterance: files[name] for utterance, name in parts.items()}
    data = assemble(CORPUS, root, wavs, tables, CORPUS.expected, partial, nj)
    data.speakers["spk2gender"] = dict.fromkeys(data.spk2utt, "f")
    data.speakers["spk2age"] = {speaker: AGES[speaker] for speaker in data.spk2utt}
    return data


def parse(stem: str) -> Name:
    """The fields of a name that ``NAME`` matches, capitals and the slip ``OA`` put right."""
    speaker, word, emotion = NAME.fullmatch(stem).groups()  # type: ignore[union-attr]
    return Name(SPEAKERS[speaker.lower()], word.lower(), emotion.lower())


def missing(files: set[Name]) -> list[str]:
    """The files that a copy lacks, as far as it tells: every word it has is said 14 times."""
    words = sorted({name.word for name in files})
    whole = (Name(speaker, word, emotion) for speaker in AGES for emotion in EMOTIONS for word in words)
    return [f"{'_'.join(name)}.wav" for name in whole if name not in files]


def _tell_missing(files: dict[Name, Path], root: Path) -> None:
    """Log what the copy lacks, where its number of files says that it lacks some."""
    counts = Counter((name.speaker, name.emotion) for name in files)
    if all(counts[speaker, emotion] == WORDS for speaker in AGES for emotion in EMOTIONS):
        return
    names = missing(set(files))
    if names:
        logger.warning("%s: of the words that it has, it lacks %s", root, first_few(names))
    for name in names:
        logger.info("missing: %s", name)


def _spelt_as_the_rest(path: Path) -> str:
    """A file's name as the corpus spells the others, so that copies under both spellings are one."""
    return "_".join(parse(path.stem))
