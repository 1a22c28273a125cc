"""A set without labels as the challenge's submission files.

Format of the MSP-Podcast challenges (Odyssey 2024, Interspeech 2025): ``FileName,EmoClass`` with a
letter a class, ``FileName,EmoAct,EmoVal,EmoDom`` with values on the label's scale.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.data.datadir import DataDir
from ser.scoring.predictions import ExperimentPredictions, Predictions

CLASS_LETTERS = {
    "anger": "A", "angry": "A", "sadness": "S", "sad": "S", "happiness": "H", "happy": "H",
    "surprise": "U", "fear": "F", "disgust": "D", "contempt": "C", "neutral": "N",
}  # fmt: skip
ATTRIBUTE_COLUMNS = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}


def write_submissions(
    experiment: Path, set_name: str, data: DataDir, found: ExperimentPredictions
) -> list[Path]:
    """Write exp/<tag>/submission_<set>.csv, with ``_classes`` and ``_attributes`` where it predicts both.

    File names are those of utt2orig, in the data directory's order. Classes are written as the
    challenge's letters when all have one, by name otherwise. Of several seeds the lowest is taken,
    so that the file is the system whose scores are known, not an ensemble of several.

    Raises:
        UserError: when utt2orig is missing.
    """
    columns, predictions = found.columns, found.seeds[0]
    names = _file_names(data)
    both = bool(columns.classes and columns.attributes)
    written = []
    if columns.classes:
        path = experiment / f"submission_{set_name}{'_classes' if both else ''}.csv"
        _write(
            path, ["FileName", "EmoClass"], zip(names, _classes(predictions, columns.classes), strict=True)
        )
        written.append(path)
    if columns.attributes:
        path = experiment / f"submission_{set_name}{'_attributes' if both else ''}.csv"
        ordered = sorted(columns.attributes, key=_challenge_order)
        places = [len(columns.classes) + columns.attributes.index(name) for name in ordered]
        header = ["FileName", *(ATTRIBUTE_COLUMNS.get(name, name) for name in ordered)]
        rows = (
            [name, *(f"{v:.6f}" for v in row)]
            for name, row in zip(names, predictions.values[:, places], strict=True)
        )
        _write(path, header, rows)
        written.append(path)
    return written


def _file_names(data: DataDir) -> list[str]:
    """The corpus's own name of each utterance, in order."""
    originals = data.tables.get("utt2orig", {})
    missing = [utterance for utterance in data.utterances if utterance not in originals]
    if missing:
        raise UserError(
            "a submission needs the corpus's own file names", file=data.path / "utt2orig", value=missing[0]
        )
    return [originals[utterance] for utterance in data.utterances]


def _classes(predictions: Predictions, classes: list[str]) -> list[str]:
    """The most probable class of each row, as the challenge writes it."""
    known = all(name in CLASS_LETTERS for name in classes)
    shown = [CLASS_LETTERS[name] for name in classes] if known else classes
    return [shown[i] for i in predictions.values[:, : len(classes)].argmax(1)]


def _challenge_order(name: str) -> tuple[int, str]:
    """Activation, valence, dominance, then whatever else by name."""
    order = list(ATTRIBUTE_COLUMNS)
    return (order.index(name) if name in order else len(order), name)


def _write(path: Path, header: list[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a csv whole or not at all."""
    with whole_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
