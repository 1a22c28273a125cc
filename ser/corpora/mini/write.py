"""The corpus on disk: data directories, and the planted truth beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ser.core.files import whole_file, write_yaml
from ser.corpora.mini import CORPUS, design, dialogues, voice
from ser.corpora.mini.audio import audio_path
from ser.corpora.mini.design import Utterance
from ser.corpora.mini.speakers import Speaker
from ser.corpora.mini.votes import RATER_SD
from ser.data.datadir import DataDir
from ser.data.labels import CLASS_LABEL, VOTES, LabelSchema, Range


def schema(classes: Iterable[str], attributes: Sequence[str], rated: bool = False) -> LabelSchema:
    """labels.yaml of a part of the corpus; its classes, and votes, are derived from planted states."""
    return LabelSchema(
        corpus=CORPUS.name,
        release=CORPUS.release,
        licence=CORPUS.licence,
        classes=list(classes),
        attributes={name: Range(*design.LABEL_RANGE) for name in attributes},
        derived=[CLASS_LABEL, VOTES] if rated else [CLASS_LABEL],
    )


def data_dir(
    path: Path,
    utterances: Sequence[Utterance],
    lengths: Mapping[str, int],
    audio: Path,
    labels: LabelSchema,
    votes: Mapping[str, Sequence[float]],
) -> DataDir:
    """The data directory of some utterances, in memory.

    Args:
        path: where it will be written.
        utterances: its utterances.
        lengths: utterance -> samples at 16 kHz.
        audio: folder of the audio, as wav.scp is to name it.
        labels: its labels.yaml.
        votes: utterance -> shares of the raters' votes, in the order of the classes; empty for none.
    """
    by_name = {utterance.name: utterance for utterance in sorted(utterances, key=lambda item: item.name)}
    rows: dict[str, dict[str, str]] = {
        "utt2spk": {name: utterance.speaker.name for name, utterance in by_name.items()},
        "utt2dur": {name: f"{lengths[name] / voice.RATE:.6f}" for name in by_name},
        "utt2orig": {name: utterance.original for name, utterance in by_name.items()},
        "text": {name: utterance.sentence.text for name, utterance in by_name.items()},
        f"utt2{CLASS_LABEL}": {name: utterance.emotion for name, utterance in by_name.items()},
    }
    for attribute in labels.attributes:
        rows[f"utt2{attribute}"] = {
            name: f"{utterance.attributes[attribute]:.3f}" for name, utterance in by_name.items()
        }
    if votes:
        rows[f"utt2{VOTES}"] = {name: " ".join(f"{each:.6g}" for each in votes[name]) for name in by_name}
    if any(utterance.dialogue for utterance in utterances):
        rows["utt2dialogue"] = {name: str(utterance.dialogue) for name, utterance in by_name.items()}
        rows["utt2turn"] = {name: str(utterance.turn) for name, utterance in by_name.items()}
    speakers = sorted((u.speaker for u in by_name.values()), key=lambda speaker: speaker.name)
    return DataDir(
        path=path,
        labels=labels,
        tables=rows,
        recordings={"wav.scp": {name: str(audio_path(audio, u)) for name, u in by_name.items()}},
        speakers={"spk2gender": {speaker.name: speaker.gender for speaker in speakers}},
    )


def write_truth(
    folder: Path,
    parts: Mapping[str, Sequence[Utterance]],
    speakers: Sequence[Speaker],
    settings: dict[str, Any],
) -> None:
    """Write what was planted: ``<part>.csv``, ``speakers.csv`` and ``design.yaml`` with every constant.

    Args:
        folder: where.
        parts: name of a part -> its utterances.
        speakers: all speakers.
        settings: what the corpus was asked to be (seed, strength, ...).
    """
    for part, utterances in parts.items():
        _write_csv(folder / f"{part}.csv", [_truth(utterance) for utterance in utterances])
    _write_csv(folder / "speakers.csv", [asdict(speaker) for speaker in speakers])
    effects = ("PITCH", "RANGE", "RATE", "TILT", "GAIN", "FORMANT")
    constants = {
        "classes": {name: list(centre) for name, centre in design.CENTRES.items()},
        "state_sd": design.STATE_SD,
        "wording_sd": design.WORDING_SD,
        "wording_kernel": design.WORDING_KERNEL,
        "level_dbfs": design.LEVEL,
        "effects": {
            name.lower(): dict(zip(("arousal", "valence", "noise_sd"), getattr(design, name), strict=True))
            for name in effects
        },
        "dialogues": {"step": dialogues.STEP, "jitter": dialogues.JITTER},
    }
    if settings.get("raters"):
        constants["rater_sd"] = RATER_SD
    write_yaml(folder / "design.yaml", {**settings, "synthetic": True, **constants})


def _truth(utterance: Utterance) -> dict[str, Any]:
    """One row of a truth table: who and where, labels, what was drawn, how it is spoken."""
    row: dict[str, Any] = {"utterance": utterance.name, "set": utterance.speaker.set}
    if utterance.dialogue is not None:
        row |= {"dialogue": utterance.dialogue, "turn": utterance.turn}
    row |= {"speaker": utterance.speaker.name, "emotion": utterance.emotion}
    row |= {f"true_{name}": value for name, value in utterance.truth.items()}
    return row | {f"voice_{name}": value for name, value in asdict(utterance.delivery).items()}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns; numbers with all their digits."""
    with whole_file(path) as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
