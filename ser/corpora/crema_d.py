"""CREMA-D: 7,442 acted English clips, 91 actors, 12 sentences, 6 emotions, and what a crowd heard in them.

Cao, Cooper, Keutmann, Gur, Nenkova, Verma: "CREMA-D: Crowd-sourced Emotional Multimodal Actors
Dataset", IEEE Transactions on Affective Computing 5(4), 2014. A file ``1001_DFA_ANG_XX.wav`` is actor
1001, sentence DFA, emotion ANG, level XX (not told; LO, MD and HI exist for one sentence). The
crowd's votes are processedResults/tabulatedVotes.csv; those of listeners who had the voice alone are taken.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.csv_file import read_csv
from ser.corpora.named_files import assemble, one_of_each, write_all
from ser.corpora.paths import find_files
from ser.data.audio_header import BrokenAudio, read_header
from ser.data.datadir import DataDir
from ser.data.labels import TOTAL
from ser.data.splits import assign_folds
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    release="2014",
    licence="ODbL-1.0",
    links=("https://github.com/CheyneyComputerScience/CREMA-D (clone with Git LFS)",),
    speech="acted English",
    speaker_of=lambda original: original.partition("_")[0],
    expected={
        "anger": 1271, "disgust": 1271, "fear": 1271, "happiness": 1271, "neutral": 1087, "sadness": 1271,
    },
)  # fmt: skip
EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}  # fmt: skip
CLASSES = list(CORPUS.expected)
SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
# The level of one file, 1040_ITH_SAD_X.wav, has one letter; the votes spell it out.
NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(XX?|LO|MD|HI)")
DEMOGRAPHICS = "VideoDemographics.csv"
GENDERS = {"male": "m", "female": "f"}
VOTES = "processedResults/tabulatedVotes.csv"
LETTERS = dict(zip("ADFHNS", CLASSES, strict=True))
VOICE, KINDS = 1, 100_000  # a row's number is 100,000 x (1 voice, 2 face, 3 both) + the clip's number
SILENT = "1076_MTI_SAD_XX"
FOLDS = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare crema_d``."""
    corpus_arguments(parser)
    parser.add_argument(
        "--labels",
        choices=("intended", "perceived"),
        default="intended",
        help="the class is what the actor meant, or what most listeners heard (none where they tie)",
    )


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, five folds by actor. The corpus has no split of its own: the folds are ours.

    Raises:
        UserError: when the corpus is not there, is not whole, or has a broken file.
    """
    write_all(read(CORPUS.find_root(args.db_root), args.allow_partial, args.nj, args.labels), args.out)


def read(db_root: Path, allow_partial: bool = False, nj: int = 1, labels: str = "intended") -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        db_root: the clone of the repository, or a folder with the wav files.
        allow_partial: accept a copy that lacks clips.
        nj: processes that read the audio's headers.
        labels: ``intended`` or ``perceived``, the source of utt2emo. Votes are in utt2emodist anyhow.

    Raises:
        UserError: as ``prepare``; also when perceived labels are asked for and there are no votes.
    """
    wavs = find_wavs(db_root)
    folder = next(iter(wavs.values())).parent
    parts = {original: NAME.fullmatch(original).groups() for original in wavs}  # type: ignore[union-attr]
    intended = {original: EMOTIONS[emotion] for original, (_, _, emotion, _) in parts.items()}
    expected = _expected(wavs)
    partial = CORPUS.check_counts(intended, db_root, allow_partial, expected)
    votes = _votes(db_root, folder, wavs, allow_partial)
    speaker = {original: actor for original, (actor, *_) in parts.items()}
    ids = {original: f"{speaker[original]}-{original}" for original in wavs}
    utt2spk = {ids[original]: speaker[original] for original in wavs}
    tables = {
        "utt2spk": utt2spk,
        "utt2emo": {ids[original]: emotion for original, emotion in intended.items()},
        "utt2emodist": {ids[original]: _shares(counts) for original, counts in votes.items()},
        "utt2level": {ids[original]: level.ljust(2, "X") for original, (*_, level) in parts.items()},
        "utt2orig": {ids[original]: original for original in wavs},
        "text": {ids[original]: SENTENCES[sentence] for original, (_, sentence, *_) in parts.items()},
        **_folds(utt2spk),
    }
    by_utterance, by_speaker = _demographics(db_root, folder, utt2spk)
    tables = {name: values for name, values in (tables | by_utterance).items() if values}
    recordings = {ids[original]: wav for original, wav in wavs.items()}
    data = assemble(CORPUS, db_root, recordings, tables, expected, partial, nj)
    data.speakers = by_speaker
    if labels == "perceived":
        _take_perceived(data, {ids[original]: counts for original, counts in votes.items()})
    return data


def find_wavs(db_root: Path) -> dict[str, Path]:
    """Original id -> file, of the clips in a folder and below.

    Raises:
        UserError: when there is none, one is there twice, or they are Git LFS's stand-ins.
    """
    found = find_files(db_root, (".wav",))
    wavs = one_of_each(wav for wav in found if NAME.fullmatch(wav.stem))
    if not wavs:
        raise UserError("no files like AudioWAV/1001_DFA_ANG_XX.wav", file=db_root, hint=CORPUS.where)
    if others := [str(wav.relative_to(db_root)) for wav in found if not NAME.fullmatch(wav.stem)]:
        logger.warning(
            "%s not named as clips are, left out: %s", counted(len(others), "file"), first_few(others)
        )
    if stand_ins := [wav for wav in wavs.values() if _is_stand_in(wav)]:
        what = f"{len(stand_ins)} of {len(wavs)} wav files are Git LFS's stand-ins for audio"
        raise UserError(what, file=stand_ins[0], hint="Run 'git lfs pull' in the clone")
    if SILENT in wavs:
        kept = _has_samples(wavs[SILENT])
        logger.warning("%s.wav has no sound in the release: %s", SILENT, "kept" if kept else "left out")
        if not kept:
            del wavs[SILENT]
    return wavs


def read_votes(path: Path) -> dict[str, dict[str, int]]:
    """Clip as the votes spell it -> class -> votes of those who heard the voice alone.

    Raises:
        UserError: with file and line, for a number that is none, or a clip that stands twice.
    """
    votes: dict[str, dict[str, int]] = {}
    for row in read_csv(path, ("", "fileName", *LETTERS)):
        if not row[""].isdecimal():
            raise row.error("the row's number is not a whole number", row[""])
        if int(row[""]) // KINDS != VOICE or row.need("fileName").endswith("_practice"):
            continue
        name = row["fileName"]
        if not NAME.fullmatch(name):
            raise row.error("fileName is not like 1001_DFA_ANG_XX", name)
        if name in votes:
            raise row.error("a second row of one clip's voice", name)
        for letter in LETTERS:
            if not row[letter].isdecimal():
                raise row.error(f"{letter} is not a number of votes", row[letter])
        votes[name] = {emotion: int(row[letter]) for letter, emotion in LETTERS.items()}
    if not votes:
        raise UserError("no row of listeners who had the voice alone (numbers 100001 and on)", file=path)
    return votes


def perceived(votes: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """What most listeners heard; clips for which emotions tie are left out.

    >>> perceived({"a": {"anger": 5, "fear": 4}, "b": {"anger": 4, "fear": 4}})
    {'a': 'anger'}
    """
    heard = {}
    for clip, counts in votes.items():
        most = [emotion for emotion, count in counts.items() if count == max(counts.values())]
        if len(most) == 1:
            heard[clip] = most[0]
    return heard


def _votes(
    db_root: Path, folder: Path, wavs: dict[str, Path], allow_partial: bool
) -> dict[str, dict[str, int]]:
    """Original id -> votes; nothing, and a warning, when there is no file of votes."""
    path = _beside(db_root, folder, VOTES)
    if path is None:
        logger.warning("%s: no %s, so no utt2emodist", db_root, VOTES)
        return {}
    spelt = {_spelt_out(original): original for original in wavs}
    votes = read_votes(path)
    if SILENT not in wavs:
        votes.pop(SILENT, None)
    listed = {clip: wavs[spelt[clip]] if clip in spelt else folder / f"{clip}.wav" for clip in votes}
    found = {
        spelt[clip]: votes[clip]
        for clip in CORPUS.check_files(listed, db_root, allow_partial, "the votes list")
    }
    if silent := [original for original, counts in found.items() if not sum(counts.values())]:
        logger.warning("nobody voted on %s: %s", counted(len(silent), "clip"), first_few(silent))
    if lacking := [original for original in wavs if original not in found]:
        logger.warning("%s: no votes on %s: %s", path, counted(len(lacking), "clip"), first_few(lacking))
    return {original: counts for original, counts in found.items() if sum(counts.values())}


def _take_perceived(data: DataDir, votes: Mapping[str, Mapping[str, int]]) -> None:
    """Put what listeners heard in the place of what was meant.

    Raises:
        UserError: when there are no votes.
    """
    if not votes:
        raise UserError(f"perceived labels need {VOTES}", file=data.path, hint=CORPUS.where)
    data.tables["utt2emo"] = perceived(votes)
    data.labels.complete, data.labels.expected = [], {TOTAL: sum(data.labels.expected.values())}
    unlabelled = len(data.utterances) - len(data.classes_of())
    logger.warning("%s without a class: listeners tie, or there are no votes", counted(unlabelled, "clip"))


def _expected(wavs: Mapping[str, Path]) -> dict[str, int]:
    """The release's counts, without the silent clip where it is left out."""
    return {**CORPUS.expected, "sadness": CORPUS.expected["sadness"] - (SILENT not in wavs)}


def _demographics(
    db_root: Path, folder: Path, utt2spk: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Gender and age, by speaker where those of all are known, else by utterance.

    Raises:
        UserError: with file and line, for an actor who stands twice, or a sex or an age that is none.
    """
    path = _beside(db_root, folder, DEMOGRAPHICS)
    if path is None:
        logger.warning("%s: no %s, so neither gender nor age", db_root, DEMOGRAPHICS)
        return {}, {}
    known: dict[str, dict[str, str]] = {"gender": {}, "age": {}}
    for row in read_csv(path, ("ActorID", "Age", "Sex")):
        actor, age = row.need("ActorID"), row.number("Age")
        if actor in known["gender"]:
            raise row.error("a second row of one actor", actor)
        if row.need("Sex").lower() not in GENDERS:
            raise row.error("Sex is neither Male nor Female", row["Sex"])
        if age is None or not 0 < age < 120:
            raise row.error("Age is not a number of years", row["Age"])
        known["gender"][actor], known["age"][actor] = GENDERS[row["Sex"].lower()], f"{age:g}"
    actors = set(utt2spk.values())
    by_utterance, by_speaker = {}, {}
    if unknown := sorted(actors - known["gender"].keys()):
        logger.warning("%s lacks %s: %s", path, counted(len(unknown), "actor"), first_few(unknown))
    for name, values in known.items():
        if unknown:
            by_utterance[f"utt2{name}"] = {u: values[s] for u, s in utt2spk.items() if s in values}
        else:
            by_speaker[f"spk2{name}"] = {actor: values[actor] for actor in actors}
    return by_utterance, by_speaker


def _folds(utt2spk: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """utt2fold: by actor, fewer than five for a copy with fewer actors."""
    folds = min(FOLDS, len(set(utt2spk.values())))
    return {"utt2fold": assign_folds(utt2spk, folds)} if folds > 1 else {}


def _shares(counts: Mapping[str, int]) -> str:
    """Votes as utt2emodist has them: shares in the order of the classes."""
    total = sum(counts.values())
    return " ".join(f"{counts[emotion] / total:.6g}" for emotion in CLASSES)


def _spelt_out(original: str) -> str:
    """An original id as the votes have it."""
    return f"{original}X" if original.endswith("_X") else original


def _beside(db_root: Path, folder: Path, name: str) -> Path | None:
    """A file of the repository, for a user who may have given the folder of the audio."""
    places = (db_root, folder, folder.parent)
    return next((place / name for place in places if (place / name).is_file()), None)


def _has_samples(wav: Path) -> bool:
    """Whether a file is audio at all."""
    try:
        read_header(wav)
    except BrokenAudio:
        return False
    return True


def _is_stand_in(wav: Path) -> bool:
    """Whether a file is the text that Git leaves where Git LFS has not run."""
    try:
        with open(wav, "rb") as stream:
            return stream.read(40).startswith(b"version https://git-lfs")
    except OSError:
        return False  # whoever reads the header says what is wrong with it
