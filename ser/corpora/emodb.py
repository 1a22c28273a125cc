"""EmoDB, the Berlin Database of Emotional Speech: 535 acted German utterances, 10 speakers, 7 emotions.

Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: "A database of German emotional speech",
Interspeech 2005. A file ``03a01Fa.wav`` is speaker 03, sentence a01, emotion F, take a. The
corpus's own listening test (about 20 listeners) is erkennung.txt: recognition rate and
naturalness in per cent; here they are the attributes ``recognition`` and ``naturalness``. It rates
816 takes, and no threshold on its figures gives the 535 that were released: those are listed in
emodb_files.txt, so that what a copy lacks is known by name.
"""

from __future__ import annotations

import math
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ser.core import log
from ser.core.errors import UserError
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.named_files import assemble, write_all
from ser.data.datadir import DataDir
from ser.data.labels import Range
from ser.data.splits import assign_folds

logger = log.get_logger(__name__)

CORPUS = Corpus(
    name="emodb",
    title="EmoDB",
    release="2005",
    licence="CC0-1.0",
    links=("http://emodb.bilderbar.info", "https://zenodo.org (search for EmoDB)"),
    speech="acted German",
    speaker_of=lambda original: original[:2],
    expected={
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79, "sadness": 62,
    },
)  # fmt: skip
# The letters are those of the German words: Wut, Langeweile, Ekel, Angst, Freude, neutral, Trauer.
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}
GENDERS = {speaker: "m" for speaker in ("03", "10", "11", "12", "15")}
GENDERS |= {speaker: "f" for speaker in ("08", "09", "13", "14", "16")}
AGES = {
    "03": "31", "08": "34", "09": "21", "10": "32", "11": "26",
    "12": "30", "13": "32", "14": "35", "15": "25", "16": "31",
}  # fmt: skip
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(rf"({'|'.join(GENDERS)})({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])[a-z]")
RELEASE = Path(__file__).with_name("emodb_files.txt")
LISTENING_TEST = "erkennung.txt"
PERCENT = Range(0, 100)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare emodb``."""
    corpus_arguments(parser)


def prepare(args: Namespace) -> None:
    """Write ``<out>/all``, folds by speaker (leave one speaker out).

    Raises:
        UserError: when the corpus is not there, is not whole, or has a broken file.
    """
    write_all(read(CORPUS.find_root(args.db_root), args.allow_partial, args.nj), args.out)


def read(db_root: Path, allow_partial: bool = False, nj: int = 1) -> DataDir:
    """The corpus as a data directory in memory.

    Args:
        db_root: the folder that has ``wav/``, or a folder above it, or ``wav`` itself.
        allow_partial: accept a copy that lacks utterances.
        nj: processes that read the audio's headers.

    Raises:
        UserError: as ``prepare``.
    """
    found = _find_wavs(db_root)
    folder, released = found[0].parent, release()
    listed = {stem: folder / f"{stem}.wav" for stem in released}
    present = CORPUS.check_files(listed, db_root, allow_partial, "the release has")
    CORPUS.report_unlisted(found, listed.values(), db_root)
    utterances = {f"{stem[:2]}-{stem}": listed[stem] for stem in present}
    parts = {utterance: NAME.fullmatch(wav.stem).groups() for utterance, wav in utterances.items()}  # type: ignore[union-attr]
    utt2spk = {utterance: speaker for utterance, (speaker, _, _) in parts.items()}
    tables = {
        "utt2spk": utt2spk,
        "utt2emo": {utterance: EMOTIONS[letter] for utterance, (_, _, letter) in parts.items()},
        "utt2orig": {utterance: wav.stem for utterance, wav in utterances.items()},
        "text": {utterance: SENTENCES[sentence] for utterance, (_, sentence, _) in parts.items()},
    }
    if len(set(utt2spk.values())) > 1:
        tables["utt2fold"] = assign_folds(utt2spk)
    ratings = _ratings(folder, db_root, utterances)
    partial = len(present) < len(released)
    data = assemble(CORPUS, db_root, utterances, tables | ratings, CORPUS.expected, partial, nj)
    data.labels.attributes = {table.removeprefix("utt2"): PERCENT for table in sorted(ratings)}
    data.speakers["spk2gender"] = {speaker: GENDERS[speaker] for speaker in data.spk2utt}
    data.speakers["spk2age"] = {speaker: AGES[speaker] for speaker in data.spk2utt}
    return data


def release() -> list[str]:
    """The names of the release's files, without ``.wav``, sorted."""
    rows = (row.split() for row in RELEASE.read_text(encoding="ascii").splitlines() if row[0] != "#")
    return [f"{place}{take}" for place, *takes in rows for take in takes]


def _find_wavs(db_root: Path) -> list[Path]:
    """The corpus's files, sorted, from the first folder that has any: db_root, its wav/, those below."""
    for folder in (
        db_root,
        db_root / "wav",
        *sorted(db_root.glob("*/wav")),
        *sorted(db_root.glob("*/*/wav")),
    ):
        if folder.is_dir():
            wavs = sorted(wav for wav in folder.glob("*.wav") if NAME.fullmatch(wav.stem))
            if wavs:
                return wavs
    raise UserError("no wav/ with files like 03a01Fa.wav", file=db_root, hint=CORPUS.where)


def _ratings(wav_folder: Path, db_root: Path, utterances: dict[str, Path]) -> dict[str, dict[str, str]]:
    """utt2naturalness and utt2recognition; nothing, and a warning, when there is no erkennung.txt."""
    places = (db_root, wav_folder, wav_folder.parent, *sorted(wav_folder.parent.glob("*/")))
    path = next((place / LISTENING_TEST for place in places if (place / LISTENING_TEST).is_file()), None)
    if path is None:
        logger.warning("%s: no %s, so no naturalness and no recognition", db_root, LISTENING_TEST)
        return {}
    ratings = read_listening_test(path)
    rated = {utterance: ratings[wav.stem] for utterance, wav in utterances.items() if wav.stem in ratings}
    if len(rated) < len(utterances):
        logger.warning("%s: no ratings for %d utterances", path, len(utterances) - len(rated))
    tables = {
        "utt2recognition": {utterance: f"{recognition:g}" for utterance, (recognition, _) in rated.items()},
        "utt2naturalness": {utterance: f"{naturalness:g}" for utterance, (_, naturalness) in rated.items()},
    }
    return {name: table for name, table in tables.items() if table}


def read_listening_test(path: Path) -> dict[str, tuple[float, float]]:
    """erkennung.txt: file stem -> recognition rate and naturalness, in per cent.

    Latin-1, columns number, file, recognised, natural; separated by tabs, decimal commas, padded
    with no-break spaces. It also has the takes that were left out of the release.

    Raises:
        UserError: for a line that is not so, with its number.
    """
    ratings = {}
    for line, text in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        fields = [part.strip() for part in text.split("\t")]
        if line == 1 or not text.strip():
            continue
        if len(fields) != 4 or not fields[1].endswith(".wav"):
            raise UserError(
                "not 'number, file, recognised, natural' between tabs", file=path, line=line, value=text
            )
        recognition, naturalness = (_percent(part, path, line) for part in fields[2:])
        ratings[fields[1].removesuffix(".wav")] = (recognition, naturalness)
    return ratings


def _percent(text: str, path: Path, line: int) -> float:
    """A percentage with a decimal comma."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if value not in PERCENT:
        raise UserError("not a percentage", file=path, line=line, value=text)
    return value
