"""PLDC of one fold: from training speakers and a test part to calibrated predictions.

Beside the paper's rule there are two of this project's: statistics of enrolment utterances in place of
the utterances that are calibrated, and shrinkage for speakers with few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser.core.errors import UserError
from ser.data.wording import first_few
from ser.metrics.continuous import ccc
from ser.personalise.moments import Moments, moments
from ser.personalise.part import Part
from ser.personalise.pldc import Neighbours, Shift, borrowed, calibrate, nearest

# Tried on validation where k is not given; the paper does not tell its k.
CANDIDATES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100)


@dataclass(frozen=True)
class Donors:
    """The training speakers: their vectors and the distribution of their labels.

    Attributes:
        speakers: R ids.
        vectors: ``(R, D)``.
        labels: moments ``(R, A)`` of their training labels.
    """

    speakers: list[str]
    vectors: np.ndarray
    labels: Moments

    @classmethod
    def of(cls, part: Part, labels: np.ndarray) -> Donors:
        """From a training part and its labels ``(N, A)``; speakers without any label lend nothing.

        Raises:
            UserError: when no speaker has a label.
        """
        found = moments(labels, part.speaker, len(part.speakers))
        useful = np.flatnonzero((found.count > 0).all(1))
        if not len(useful):
            raise UserError("no training speaker has labels of every attribute", value=part.attributes)
        kept = Moments(found.count[useful], found.mean[useful], found.deviation[useful])
        return cls([part.speakers[index] for index in useful], part.speaker_vectors()[useful], kept)


@dataclass(frozen=True)
class Calibrated:
    """The outcome for a part.

    Attributes:
        predictions: ``(N, A)``.
        neighbours: of the part's speakers.
        own: moments of the speakers' predictions that were used, ``(S, A)``.
        mean_bar: borrowed means, ``(S, A)``.
        deviation_bar: borrowed deviations, ``(S, A)``.
        unscaled: speakers whose sigma is undefined or 0 for an attribute.
    """

    predictions: np.ndarray
    neighbours: Neighbours
    own: Moments
    mean_bar: np.ndarray
    deviation_bar: np.ndarray
    unscaled: list[str]


def calibrate_part(
    part: Part, donors: Donors, k: int, shift: Shift, shrinkage: float = 0.0, enrolment: Part | None = None
) -> Calibrated:
    """Give a part's predictions the label distribution of its speakers' nearest training speakers.

    Args:
        part: what is calibrated.
        donors: the training speakers.
        k: how many of them each speaker borrows from; at most all.
        shift: ``mu``, ``sigma`` or ``both``.
        shrinkage: as ``Moments.shrunk``.
        enrolment: utterances of the same speakers from which voice, mu and sigma are taken; the part
            itself by default, as in the paper.

    Raises:
        UserError: for a speaker without enrolment, or vectors of another width than the donors'.
    """
    source = part if enrolment is None else _enrolled(part, enrolment)
    if part.vectors.shape[1] != donors.vectors.shape[1]:
        widths = f"{part.vectors.shape[1]} and {donors.vectors.shape[1]}"
        raise UserError("test and training speakers' vectors differ in width", value=widths)
    own = moments(source.predictions, source.speaker, len(source.speakers)).shrunk(shrinkage)
    neighbours = nearest(source.speaker_vectors(), donors.vectors, min(k, len(donors.speakers)))
    mean_bar, deviation_bar = borrowed(donors.labels, neighbours)
    unscaled = [part.speakers[index] for index in np.flatnonzero(~(own.deviation > 0).all(1))]
    predictions = calibrate(part.predictions, part.speaker, own, mean_bar, deviation_bar, shift)
    return Calibrated(predictions, neighbours, own, mean_bar, deviation_bar, unscaled)


def choose_k(
    part: Part,
    labels: np.ndarray,
    donors: Donors,
    shift: Shift,
    shrinkage: float = 0.0,
    candidates: Sequence[int] = CANDIDATES,
) -> tuple[int, dict[int, float]]:
    """The k of the best mean O-CCC over attributes on validation speakers; the least of equals.

    Args:
        part: the validation part.
        labels: its labels ``(N, A)``, NaN where there is none.
        donors: the training speakers.
        shift: as ``calibrate_part``.
        shrinkage: as ``calibrate_part``.
        candidates: values of k; those above the number of donors stand for all of them.

    Returns:
        k, and the mean O-CCC of every k that was tried.

    Raises:
        UserError: when no attribute has two labels.
    """
    scores: dict[int, float] = {}
    for k in sorted({min(k, len(donors.speakers)) for k in candidates}):
        scores[k] = mean_ccc(calibrate_part(part, donors, k, shift, shrinkage).predictions, labels)
    best = max(scores, key=lambda k: (round(scores[k], 9), -k))
    return best, scores


def mean_ccc(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean over attributes of the CCC of all utterances that have a label: both ``(N, A)``.

    Raises:
        UserError: when an attribute has fewer than two labels.
    """
    values = []
    for prediction, label in zip(predictions.T, labels.T, strict=True):
        known = ~np.isnan(label)
        if known.sum() < 2:
            raise UserError("k cannot be chosen on a validation part without labels", hint="Give --k")
        values.append(ccc(label[known], prediction[known]))
    return float(np.mean(values))


def _enrolled(part: Part, enrolment: Part) -> Part:
    """The enrolment utterances of a part's speakers, with the part's numbering of speakers."""
    if missing := sorted(set(part.speakers) - set(enrolment.speakers)):
        raise UserError(f"speakers without an enrolment utterance: {first_few(missing)}")
    wanted = set(part.speakers)
    return enrolment.take(
        np.flatnonzero([enrolment.speakers[index] in wanted for index in enrolment.speaker])
    )
