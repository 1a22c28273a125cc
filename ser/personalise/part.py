"""What a trained fold says of some utterances: predictions and utterance vectors, by speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from ser.data.speakers import is_known
from ser.data.wording import first_few

PREDICT = "Run 'ser predict EXP --parts [train,validation,test]'"


@dataclass(frozen=True)
class Part:
    """Utterances of one data set as one fold's model sees them.

    Attributes:
        utterances: N ids.
        speakers: S ids, in C order.
        speaker: index of each utterance's speaker, ``(N,)``.
        attributes: A names.
        predictions: ``(N, A)``, in the labels' units.
        vectors: utterance vectors ``(N, D)``.
    """

    utterances: list[str]
    speakers: list[str]
    speaker: np.ndarray
    attributes: list[str]
    predictions: np.ndarray
    vectors: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Utterances of each speaker, ``(S,)``."""
        return np.bincount(self.speaker, minlength=len(self.speakers))

    def speaker_vectors(self) -> np.ndarray:
        """v_s ``(S, D)``: the mean over each speaker's utterances of their vectors."""
        total = np.zeros((len(self.speakers), self.vectors.shape[1]))
        np.add.at(total, self.speaker, self.vectors)
        return total / self.counts[:, None]

    def take(self, rows: np.ndarray) -> Part:
        """Some of the utterances ``(M,)``, and their speakers."""
        left, speaker = np.unique(self.speaker[rows], return_inverse=True)
        return replace(
            self,
            utterances=[self.utterances[row] for row in rows],
            speakers=[self.speakers[index] for index in left],
            speaker=speaker,
            predictions=self.predictions[rows],
            vectors=self.vectors[rows],
        )


def read_part(folder: Path, utt2spk: Mapping[str, str]) -> Part:
    """Read pred.scp and emb.scp of ``exp/<tag>/seed<k>/fold<j>/<part>``.

    Args:
        folder: the part's folder.
        utt2spk: of its data directory.

    Raises:
        UserError: when a file is missing, the two do not hold the same utterances, or one of them
            has no speaker.
    """
    for name in ("pred.scp", "emb.scp"):
        if not (folder / name).is_file():
            raise UserError("no such file, and calibration wants it", file=folder / name, hint=PREDICT)
    columns = read_yaml(folder / "columns.yaml")
    predictions, vectors = ArkReader(folder / "pred.scp"), ArkReader(folder / "emb.scp")
    utterances = list(predictions)
    if set(utterances) != set(vectors):
        raise UserError("other utterances than in pred.scp", file=folder / "emb.scp", hint=PREDICT)
    if lost := [utterance for utterance in utterances if utterance not in utt2spk]:
        raise UserError(f"utterances without a speaker: {first_few(lost)}", file=folder / "pred.scp")
    speakers = sorted({utt2spk[utterance] for utterance in utterances})
    index = {speaker: row for row, speaker in enumerate(speakers)}
    skip = len(columns["classes"])
    return Part(
        utterances,
        speakers,
        np.array([index[utt2spk[utterance]] for utterance in utterances]),
        columns["attributes"],
        np.stack(predictions.load(utterances)).astype(np.float64)[:, skip:],
        np.stack(vectors.load(utterances)).astype(np.float64),
    )


def labels_of(part: Part, attributes: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """Labels ``(N, A)`` of a part's utterances, NaN where there is none.

    Args:
        part: whose utterances.
        attributes: attribute -> utterance -> label.
    """
    columns = [[attributes[name].get(each, np.nan) for each in part.utterances] for name in part.attributes]
    return np.array(columns, np.float64).reshape(len(part.attributes), -1).T


def of_known_speakers(part: Part) -> Part:
    """The utterances whose speaker is a person: nobody's voice is the mean of strangers' voices."""
    return part.take(np.flatnonzero([is_known(part.speakers[index]) for index in part.speaker]))
