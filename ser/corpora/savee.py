"""SAVEE, Surrey Audio-Visual Expressed Emotion: 480 acted British English sentences, 4 men, 7 emotions.

Haq, Jackson: "Multimodal emotion recognition", in "Machine Audition", IGI Global, 2010. A file
``DC_a01.wav``, or ``AudioData/DC/a01.wav``, is speaker DC, anger, the first of its 15 sentences; 30
sentences are neutral. The sentences are those of TIMIT; the release has no table of them.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.named_files import assemble, one_of_each, write_all
from ser.corpora.paths import find_files
from ser.data.datadir import DataDir
from ser.data.splits import assign_folds

SPEAKERS = ("DC", "JE", "JK", "KL")
EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SENTENCES = {letters: 30 if emotion == "neutral" else 15 for letters, emotion in EMOTIONS.items()}
NAME = re.compile(rf"({'|'.join(SPEAKERS)})_({'|'.join(EMOTIONS)})([0-9]{{2}})")

CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    release="2011",
    licence="for research, after registration",
    links=("http://kahlan.eps.surrey.ac.uk/savee",),
    speech="acted English",
    speaker_of=lambda original: original[:2],
    expected={EMOTIONS[letters]: len(SPEAKERS) * number for letters, number in SENTENCES.items()},
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare savee``."""
    corpus_arguments(parser)


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, a fold for each speaker.

    Raises:
        UserError: when the corpus is not there, is not whole, or has a broken file.
    """
    write_all(read(CORPUS.find_root(args.db_root), args.allow_partial, args.nj), args.out)


def read(root: Path, allow_partial: bool = False, nj: int = 1) -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        root: the folder that has all files, or ``AudioData``, or a speaker's folder each.
        allow_partial: accept a copy that lacks files.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    names = design()
    found = find_files(root, (".wav",))
    named = [path for path in found if name_of(path) in names]
    if not named:
        raise UserError("no files like DC_a01.wav or DC/a01.wav", file=root, hint=CORPUS.where)
    CORPUS.report_unlisted(found, named, root)
    files = one_of_each(named, name_of)
    flat = NAME.fullmatch(named[0].stem) is not None
    listed = {name: files.get(name, _place(named[0], name, flat)) for name in names}
    present = CORPUS.check_files(listed, root, allow_partial, "the release has")
    parts = {f"{name[:2]}-{name}": NAME.fullmatch(name).groups() for name in present}  # type: ignore[union-attr]
    utt2spk = {utterance: speaker for utterance, (speaker, _, _) in parts.items()}
    tables = {
        "utt2spk": utt2spk,
        "utt2emo": {utterance: EMOTIONS[letters] for utterance, (_, letters, _) in parts.items()},
        "utt2orig": {utterance: utterance.partition("-")[2] for utterance in parts},
    }
    if len(set(utt2spk.values())) > 1:
        tables["utt2fold"] = assign_folds(utt2spk)
    wavs = {f"{name[:2]}-{name}": files[name] for name in present}
    data = assemble(CORPUS, root, wavs, tables, CORPUS.expected, len(present) < len(names), nj)
    data.speakers["spk2gender"] = dict.fromkeys(data.spk2utt, "m")
    return data


def design() -> list[str]:
    """The names of the release's files, as the flat layout has them, without ``.wav``."""
    return [
        f"{speaker}_{letters}{number:02d}"
        for speaker in SPEAKERS
        for letters, most in SENTENCES.items()
        for number in range(1, most + 1)
    ]


def name_of(path: Path) -> str:
    """A file's name as the flat layout has it."""
    if NAME.fullmatch(path.stem) or path.parent.name not in SPEAKERS:
        return path.stem
    return f"{path.parent.name}_{path.stem}"


def _place(example: Path, name: str, flat: bool) -> Path:
    """Where a file that is not there would be looked for, in the layout that the others have."""
    if flat:
        return example.parent / f"{name}.wav"
    return example.parent.parent / name[:2] / f"{name[3:]}.wav"
