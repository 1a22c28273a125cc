"""PLDC, personalised label distribution calibration (Tran et al., Interspeech 2023, arXiv 2309.02418).

At test time, without a label of the test speaker: the k training speakers whose voices are nearest
lend their labels' mean and deviation to the speaker's predictions.

    v_s       = mean over the speaker's utterances of the utterance vectors
    N(s)      = the k training speakers r of highest cos(v_s, v_r)
    mu_bar    = mean over N(s) of the means of r's training labels;  sigma_bar: of their deviations
    y~        = (y - mu) / sigma * sigma_bar + mu_bar                 both
    y~        = y - mu + mu_bar                                       mu only
    y~        = (y - mu) / sigma * sigma_bar + mu                     sigma only

mu and sigma are those of the model's own predictions for the speaker. The equations of "both" are the
paper's; it reports "mu" and "sigma" without writing them out, so these two are a reconstruction.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ser.metrics.similarity import Neighbours, nearest
from ser.personalise.moments import Moments

__all__ = ["Neighbours", "Shift", "borrowed", "calibrate", "nearest"]

Shift = Literal["mu", "sigma", "both"]


def borrowed(labels: Moments, neighbours: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """mu_bar and sigma_bar ``(S, A)``: means over the neighbours of their labels' mean and deviation.

    A neighbour without a label of an attribute is left out for that attribute.

    Raises:
        ValueError: when no neighbour has a label.
    """
    known = labels.count[neighbours.index] > 0
    number = known.sum(1)
    if not (number > 0).all():
        raise ValueError("a test speaker's neighbours have no labels")
    mean = np.where(known, labels.mean[neighbours.index], 0).sum(1) / number
    deviation = np.where(known, labels.deviation[neighbours.index], 0).sum(1) / number
    return mean, deviation


def calibrate(
    predictions: np.ndarray,
    speaker: np.ndarray,
    own: Moments,
    mean_bar: np.ndarray,
    deviation_bar: np.ndarray,
    shift: Shift = "sigma",
) -> np.ndarray:
    """Predictions with the borrowed distribution.

    Where sigma is 0 or not defined (one utterance, constant predictions) nothing can be scaled: such
    a speaker keeps the predictions' own spread, and ``mu`` alone is shifted where that is asked for.

    Args:
        predictions: ``(N, A)``, in the label's units.
        speaker: index ``(N,)`` into the rows of the others.
        own: mean and deviation of the speaker's predictions, of these or of enrolment utterances.
        mean_bar: ``(S, A)``.
        deviation_bar: ``(S, A)``.
        shift: which of the two moments is replaced.

    Returns:
        ``(N, A)``.
    """
    scalable = own.deviation > 0
    scale = np.ones_like(own.mean)
    if shift in ("sigma", "both"):
        np.divide(deviation_bar, own.deviation, out=scale, where=scalable)
    target = mean_bar if shift in ("mu", "both") else own.mean
    return (predictions - own.mean[speaker]) * scale[speaker] + target[speaker]
