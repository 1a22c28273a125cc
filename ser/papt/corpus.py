"""Audio, speakers and units of the data that an encoder is pre-trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml, sha256
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from ser.data.wording import counted

# Frames that units may be longer or shorter than the encoder's; HuBERT trims to the shorter too.
TOLERANCE = 2
SAMPLE_RATE = 16000


class Units:
    """The units of one set, ``exp/units/<name>/<set>``.

    Args:
        folder: with units.scp; meta.yaml lies in the folder above.
        frame_rate: of the encoder, in Hz.

    Attributes:
        clusters: number of units.
        ratio: units a frame.

    Raises:
        UserError: no units there, or of a rate that is no multiple of the encoder's.
    """

    def __init__(self, folder: Path, frame_rate: float) -> None:
        self.folder, self.meta_path = folder, folder.parent / "meta.yaml"
        self.reader = ArkReader(folder / "units.scp")
        meta = read_yaml(self.meta_path)
        try:
            self.rate, self.clusters = float(meta["frame_rate"]), int(meta["clusters"])
        except (KeyError, TypeError, ValueError):
            raise UserError("no frame_rate and clusters in it", file=self.meta_path,
                            hint="Run 'ser units'") from None  # fmt: skip
        self.ratio = round(self.rate / frame_rate)
        if self.ratio < 1 or abs(self.ratio * frame_rate - self.rate) > 1e-6:
            raise UserError(
                f"units of {self.rate:g} Hz for an encoder of {frame_rate:g} Hz: only whole multiples fit",
                file=self.meta_path, hint="Make units from features of the encoder's frame rate",
            )  # fmt: skip

    def __getitem__(self, utterance: str) -> np.ndarray:
        """Units of an utterance at the encoder's rate, ``(F,)`` int32: every ``ratio``-th.

        Raises:
            UserError: for a unit that is none of the clusters.
        """
        units = self.reader[utterance]
        if units.ndim != 1 or units.dtype != np.int32:
            raise UserError(f"entry of {utterance!r} is no vector of integers", file=self.reader.scp)
        if units.min() < 0 or units.max() >= self.clusters:
            wrong = units[(units < 0) | (units >= self.clusters)][0]
            raise UserError(f"{utterance!r} has a unit that is none of {self.clusters}", file=self.reader.scp,
                            value=wrong)  # fmt: skip
        return units[:: self.ratio]

    def aligned(self, utterance: str, frames: int, tolerance: int = TOLERANCE) -> np.ndarray:
        """Units of an utterance of ``frames`` frames, ``(F,)`` with F the smaller of the two numbers.

        Raises:
            UserError: when the numbers differ by more than ``tolerance``.
        """
        units = self[utterance]
        if abs(len(units) - frames) > tolerance:
            raise UserError(
                f"{utterance!r} has {len(units)} units for {frames} frames: another rate, or other audio",
                file=self.reader.scp, hint="Make the units of this data directory with 'ser units'",
            )  # fmt: skip
        return units[:frames]


@dataclass(frozen=True)
class Part:
    """One data directory and its units."""

    reader: AudioReader
    units: Units


class Corpus:
    """Data directories with their units.

    Args:
        data: data directories.
        units: folders of their units, in the same order.
        frame_rate: of the encoder, in Hz.
        speakers: whether it matters who speaks.

    Attributes:
        seconds: utterance -> duration.
        speaker_of: utterance -> speaker.
        clusters: number of units.

    Raises:
        UserError: units that are missing or of another rate, k-means that differ, an utterance in two of
            the directories, or a speaker who is not known.
    """

    def __init__(
        self, data: Sequence[Path], units: Sequence[Path], frame_rate: float, speakers: bool = True
    ) -> None:
        if len(data) != len(units):
            raise UserError(
                f"{counted(len(data), 'data directory')} and"
                f" {counted(len(units), 'folder')} of units", hint="Give one folder of units a directory",
            )  # fmt: skip
        self.seconds: dict[str, float] = {}
        self.speaker_of: dict[str, str] = {}
        self._part_of: dict[str, Part] = {}
        self.metas: list[str] = []
        for directory, folder in zip(data, units, strict=True):
            loaded = DataDir.load(directory)
            part = Part(AudioReader(loaded, SAMPLE_RATE), Units(folder, frame_rate))
            self._add(loaded, part, speakers)
            self.metas.append(sha256(part.units.meta_path))
        parts = list(dict.fromkeys(self._part_of.values()))
        self.clusters = parts[0].units.clusters
        for part in parts[1:]:
            if sha256(part.units.meta_path) != self.metas[0]:
                raise UserError("units of another k-means than the first set's", file=part.units.folder)
        self.about_units: dict[str, Any] = {
            "name": parts[0].units.folder.parent.name, "meta_sha256": self.metas[0],
            "clusters": self.clusters, "frame_rate": parts[0].units.rate,
        }  # fmt: skip

    def _add(self, data: DataDir, part: Part, speakers: bool) -> None:
        """Take the utterances of one directory in."""
        lacking = [name for name in data.utterances if name not in part.units.reader]
        if lacking:
            raise UserError(f"{counted(len(lacking), 'utterance')} without units, the first",
                            file=part.units.reader.scp, value=lacking[0])  # fmt: skip
        for utterance, seconds in data.durations().items():
            if utterance in self._part_of:
                raise UserError("utterance is also in another of the data directories",
                                file=data.path, value=utterance)  # fmt: skip
            if speakers and not is_known(data.utt2spk[utterance]):
                raise UserError(
                    "pre-training with speakers needs to know who speaks; this one is nobody's",
                    file=data.path / "utt2spk", value=utterance,
                    hint="Take such utterances out with 'ser prepare subset'",
                )  # fmt: skip
            self.seconds[utterance] = seconds
            self.speaker_of[utterance] = data.utt2spk[utterance]
            self._part_of[utterance] = part

    def wave(self, utterance: str) -> np.ndarray:
        """Samples ``(T,)``."""
        return self._part_of[utterance].reader.read(utterance)

    def units(self, utterance: str, frames: int, tolerance: int = TOLERANCE) -> np.ndarray:
        """Units ``(F,)`` of an utterance of ``frames`` frames; see :meth:`Units.aligned`."""
        return self._part_of[utterance].units.aligned(utterance, frames, tolerance)
