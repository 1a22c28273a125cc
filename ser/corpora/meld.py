"""MELD, the Multimodal EmotionLines Dataset: 13,708 utterances of the series Friends in 1,433 dialogues.

Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: "MELD: A multimodal multi-party dataset for
emotion recognition in conversations", ACL 2019. Labels are train_sent_emo.csv, dev_sent_emo.csv and
test_sent_emo.csv; row (Dialogue_ID, Utterance_ID) is the clip ``dia<D>_utt<U>.mp4`` in the split's
folder. The numbers of dialogues begin anew in every split, so original ids begin with the split.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from ser.core import log
from ser.corpora.base import Corpus, corpus_arguments
from ser.corpora.csv_file import Row, plain_text, read_csv
from ser.corpora.durations import durations, table
from ser.corpora.meld_clips import Clips
from ser.corpora.paths import word
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.wording import counted, first_few

logger = log.get_logger(__name__)

# The release's counts, by split.
COUNTS = {
    "train": {
        "anger": 1109, "disgust": 271, "fear": 268, "joy": 1743, "neutral": 4710, "sadness": 683,
        "surprise": 1205,
    },
    "dev": {
        "anger": 153, "disgust": 22, "fear": 40, "joy": 163, "neutral": 470, "sadness": 111, "surprise": 150,
    },
    "test": {
        "anger": 345, "disgust": 68, "fear": 50, "joy": 402, "neutral": 1256, "sadness": 208, "surprise": 281,
    },
}  # fmt: skip
CLASSES = list(COUNTS["train"])
SENTIMENTS = ("negative", "neutral", "positive")
CORPUS = Corpus(
    name="meld",
    title="MELD",
    release="1.0",
    licence="GPL-3.0 (labels); the clips are of a television series, for research",
    links=("https://affective-meld.github.io", "https://github.com/declare-lab/MELD"),
    speech="acted English, from a television series",
    expected={name: sum(counts[name] for counts in COUNTS.values()) for name in CLASSES},
)
SETS = {"train": "train", "dev": "validation", "test": "test"}
# What the archive itself lacks: a clip that cannot be decoded, and one that is not in it.
DAMAGED = ("train_dia125_utt3", "dev_dia110_utt7")
# The main characters; MELD does not tell anybody's gender.
GENDERS = {"Chandler": "m", "Joey": "m", "Monica": "f", "Phoebe": "f", "Rachel": "f", "Ross": "m"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``ser prepare meld``."""
    corpus_arguments(parser, "the data directories 'train', 'validation' and 'test', and 'audio', are")


def prepare(args: Namespace) -> None:
    """Write ``<out>/train``, ``validation`` and ``test``, and the sound of video clips in ``audio``.

    Raises:
        UserError: when the corpus is not there, is not whole, or has labels that cannot be.
    """
    out = Path(args.out)
    sets = read(CORPUS.find_root(args.db_root), out / "audio", args.allow_partial, args.nj)
    for name, data in sets.items():
        data.write(out / name)
        logger.info(
            "%s: %d utterances, %d dialogues, %d speakers, %.1f minutes",
            data.path,
            len(data.utterances),
            len(set(data.tables["utt2dialogue"].values())),
            len(data.spk2utt),
            sum(data.durations().values()) / 60,
        )


def read(db_root: Path, audio: Path, allow_partial: bool = False, nj: int = 1) -> dict[str, DataDir]:
    """The three sets as data directories in memory; the clips' sound is written.

    Args:
        db_root: a folder with the three csv files and the clips, in it or in folders below.
        audio: the folder for the sound of clips that are video.
        allow_partial: accept a copy that lacks utterances.
        nj: clips decoded at once.

    Returns:
        set -> data directory.

    Raises:
        UserError: as ``prepare``.
    """
    clips = Clips.find(db_root, CORPUS, audio)
    rows = {split: read_rows(clips.labels(split), split) for split in SETS}
    speakers = unify(row.need("Speaker") for split in rows.values() for row in split.values())
    return {
        name: _read_set(split, rows[split], speakers, clips, audio, allow_partial, nj)
        for split, name in SETS.items()
    }


def read_rows(path: Path, split: str) -> dict[str, Row]:
    """The rows of a split, by original id, ``<split>_dia<D>_utt<U>``.

    Raises:
        UserError: with file and line, for a row that lacks something, stands twice, or has a label
            or a number that cannot be.
    """
    rows: dict[str, Row] = {}
    required = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
    for row in read_csv(path, required):
        row.need("Speaker")
        for column, known in (("Emotion", CLASSES), ("Sentiment", SENTIMENTS)):
            if row.need(column).lower() not in known:
                raise row.error(f"unknown {column.lower()}", row[column], f"MELD has {', '.join(known)}")
        for column in ("Dialogue_ID", "Utterance_ID"):
            if not re.fullmatch("[0-9]{1,6}", row[column]):
                raise row.error(f"{column} is not a whole number", row[column])
        original = f"{split}_dia{int(row['Dialogue_ID'])}_utt{int(row['Utterance_ID'])}"
        if original in rows:
            raise row.error(f"a second row of one utterance, the first is on line {rows[original].line}")
        rows[original] = row
    return rows


def unify(names: Iterable[str]) -> dict[str, str]:
    """Speaker's name as written -> speaker id.

    Names that differ in blanks, case or punctuation alone are one person's, spelt as they are most
    often. Nothing else is merged: ``Both`` and ``Ross and Joey`` stay speakers of their own.
    """
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        spellings[word(plain_text(name)).casefold()][name] += 1
    ids, several = {}, []
    for found in spellings.values():
        usual = min(found, key=lambda name: (-found[name], name))
        ids |= dict.fromkeys(found, word(plain_text(usual)))
        if len(found) > 1:
            several.append(" = ".join(sorted(found)))
    if several:
        logger.info("%s spelt in several ways, taken as one each: %s",
                    counted(len(several), "speaker"), first_few(several))  # fmt: skip
    return ids


def _read_set(
    split: str,
    rows: dict[str, Row],
    speakers: dict[str, str],
    clips: Clips,
    audio: Path,
    allow_partial: bool,
    nj: int,
) -> DataDir:
    """One split's data directory."""
    emotions = {original: row["Emotion"].lower() for original, row in rows.items()}
    partial = CORPUS.check_counts(emotions, clips.labels(split), allow_partial, COUNTS[split])
    wavs = clips.sound(split, rows, DAMAGED, audio, allow_partial, nj)
    lacking = [original for original in rows if original not in wavs]
    expected = Counter(COUNTS[split])
    expected.subtract(emotions[original] for original in lacking if original in DAMAGED)
    partial = partial or any(original not in DAMAGED for original in lacking)

    speaker = {original: speakers[rows[original]["Speaker"]] for original in wavs}
    ids = {original: f"{speaker[original]}-{original}" for original in wavs}
    gender = {ids[original]: GENDERS[name] for original, name in speaker.items() if name in GENDERS}
    recordings = {ids[original]: path for original, path in wavs.items()}
    columns = {
        "utt2spk": speaker,
        "utt2emo": emotions,
        "utt2sentiment": {original: row["Sentiment"].lower() for original, row in rows.items()},
        "utt2orig": {original: original for original in rows},
        "utt2dialogue": {original: original.rpartition("_")[0] for original in rows},
        "utt2turn": {original: str(int(row["Utterance_ID"]) + 1) for original, row in rows.items()},
        # Dots alone, written as U+0085, count as a blank; a text must not be empty.
        "text": {original: plain_text(row["Utterance"]) or "..." for original, row in rows.items()},
    }
    tables = {name: {ids[original]: of[original] for original in wavs} for name, of in columns.items()}
    tables["utt2dur"] = table(durations(recordings, nj))
    if gender:
        tables["utt2gender"] = gender
    return DataDir(
        path=clips.root,
        labels=LabelSchema(
            corpus=CORPUS.name,
            release=CORPUS.release,
            licence=CORPUS.licence,
            classes=CLASSES,
            expected=dict(expected),
            partial=partial,
        ),
        tables=tables,
        recordings={"wav.scp": {utterance: str(path.resolve()) for utterance, path in recordings.items()}},
    )
