"""A trained fold as calibration sees it: training speakers who lend, validation, test parts, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.wording import counted, first_few
from ser.downstream.experiment import Experiment
from ser.personalise.calibration import Donors
from ser.personalise.part import Part, labels_of, of_known_speakers, read_part

FIXED_PARTS = ("train", "validation")


def load_data(experiment: Experiment) -> dict[str, DataDir]:
    """Source name -> data directory, of a trained experiment; ``train`` alone in cross-validation."""
    _, sources = experiment.load_config()
    return {name: DataDir.load(data) for name, (data, _) in sources.pairs().items()}


@dataclass(frozen=True)
class FoldParts:
    """What a fold's model says of its training part, and where its other parts are.

    Attributes:
        folder: ``exp/<tag>/seed<k>/fold<j>``.
        train: utterances of known training speakers.
        donors: these speakers.
        sets: source name -> data directory.
    """

    folder: Path
    train: Part
    donors: Donors
    sets: Mapping[str, DataDir]

    @classmethod
    def read(cls, folder: Path, sets: Mapping[str, DataDir]) -> FoldParts:
        """Read the training part.

        Raises:
            UserError: when its predictions are missing, or it predicts no attribute.
        """
        train = of_known_speakers(read_part(folder / "train", sets["train"].utt2spk))
        if not train.attributes:
            raise UserError(
                "it predicts no attribute, and classes have no distribution to calibrate", file=folder
            )
        return cls(folder, train, Donors.of(train, _labels(train, sets["train"])), sets)

    @property
    def crossed(self) -> bool:
        """Whether all parts are of one data directory."""
        return list(self.sets) == ["train"]

    @property
    def tests(self) -> list[str]:
        """Names of the test parts."""
        return ["test"] if self.crossed else [name for name in self.sets if name not in FIXED_PARTS]

    def data_of(self, name: str) -> DataDir | None:
        """The data directory of a part; None when there is none of that name."""
        return self.sets["train"] if self.crossed else self.sets.get(name)

    def part(self, name: str) -> Part:
        """A test part.

        Raises:
            UserError: when its predictions are missing, or it has training speakers: each would be its own
                nearest, and borrow its own labels.
        """
        part = read_part(self.folder / name, self.sets["train" if self.crossed else name].utt2spk)
        if shared := sorted(set(part.speakers) & set(self.donors.speakers)):
            what = f"{counted(len(shared), 'test speaker')} among the training speakers: {first_few(shared)}"
            raise UserError(
                what, file=self.folder / name, hint="PLDC wants test speakers that were not trained on"
            )
        return part

    def validation(self) -> tuple[Part, np.ndarray]:
        """The validation part of known speakers, and its labels ``(N, A)``.

        Raises:
            UserError: when there is none.
        """
        data = self.data_of("validation")
        # In cross-validation the speakers that chose the model are among the donors: each would be its own.
        if data is None or self.crossed or not (self.folder / "validation" / "pred.scp").is_file():
            raise UserError(
                "no validation part to choose k on", file=self.folder / "validation", hint="Give --k"
            )
        part = of_known_speakers(read_part(self.folder / "validation", data.utt2spk))
        return part, _labels(part, data)

    def enrolment(self, name: str | None) -> Part | None:
        """The part that speakers are enrolled on, if one is named.

        Raises:
            UserError: when there is none of that name.
        """
        if name is None:
            return None
        data = self.data_of(name)
        if data is None:
            raise UserError("no such part to enrol from", value=name, hint=f"Known: {', '.join(self.sets)}")
        return read_part(self.folder / name, data.utt2spk)

    def train_labels(self) -> np.ndarray:
        """Labels of the training part, ``(N, A)``."""
        return _labels(self.train, self.sets["train"])

    def labels(self, name: str, part: Part) -> np.ndarray:
        """Labels of a test part ``(N, A)``, NaN where there is none: to score, never to calibrate.

        Raises:
            UserError: when an attribute has no label at all.
        """
        data = self.sets["train" if self.crossed else name]
        labels = _labels(part, data)
        for attribute, column in zip(part.attributes, labels.T, strict=True):
            if np.isnan(column).all():
                raise UserError(f"no labels of {attribute} to compare with", file=data.path)
        return labels


def _labels(part: Part, data: DataDir) -> np.ndarray:
    """Labels ``(N, A)``."""
    return labels_of(part, {name: data.attribute(name) for name in part.attributes})
