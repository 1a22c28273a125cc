"""Which training speakers sound like the test speakers: Sridhar & Busso (IEEE TAFFC 2022, arXiv 2201.07876).

Functionals of the utterances -> principal components -> a Gaussian mixture a speaker -> KL divergence.
For every test speaker the N training speakers of least divergence are selected; with

    c_r = how many test speakers selected training speaker r

the three strategies give an utterance of speaker r the weight

    unique        1 if c_r > 0, else 0
    oversampling  c_r
    weighting     1 + lambda c_r

The paper does not tell the number of components of either model, N, or the weights: the defaults of
``Selection`` are this project's, and results say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ser.personalise.mixture import fit_mixture, symmetric_divergences

Strategy = Literal["unique", "oversampling", "weighting"]


@dataclass(frozen=True)
class Selection:
    """How similar speakers are found.

    Args:
        variance: share of the variance that the principal components keep.
        components: Gaussians of a speaker's mixture.
        neighbours: N, training speakers selected by each test speaker.
        samples: draws of the Monte Carlo divergence.
        seed: of mixtures and draws.
    """

    variance: float = 0.95
    components: int = 5
    neighbours: int = 10
    samples: int = 1000
    seed: int = 0


def divergences(
    train: np.ndarray,
    train_speakers: Sequence[str],
    test: np.ndarray,
    test_speakers: Sequence[str],
    how: Selection,
) -> tuple[list[str], list[str], np.ndarray]:
    """Symmetric KL divergence of every test speaker from every training speaker.

    Scaling and principal components are fitted on training utterances alone.

    Args:
        train: functionals ``(N, F)``.
        train_speakers: speaker of each.
        test: functionals ``(M, F)``.
        test_speakers: speaker of each.
        how: the models.

    Returns:
        test speakers (P), training speakers (R), both in C order, and the divergences ``(P, R)``.
    """
    scaler = StandardScaler().fit(train)
    scaled = scaler.transform(train)
    # Of a constant functional nothing is left but rounding.
    scaled, useful = _without_constants(scaled)
    # The covariance's eigenvectors cost F^3 whatever N is; a decomposition of the data would cost N F^2.
    solver = "covariance_eigh" if len(scaled) > scaled.shape[1] else "full"
    space = PCA(how.variance, svd_solver=solver).fit(scaled)
    ours = _mixtures(space.transform(scaled), train_speakers, how)
    theirs = _mixtures(space.transform(scaler.transform(test)[:, useful]), test_speakers, how)
    table = symmetric_divergences(list(theirs.values()), list(ours.values()), how.samples, how.seed)
    return list(theirs), list(ours), table


def selected(table: np.ndarray, neighbours: int) -> np.ndarray:
    """Indices ``(P, N)`` of the training speakers of least divergence ``(P, R)``, the nearest first."""
    return np.argsort(table, axis=1, kind="stable")[:, : min(neighbours, table.shape[1])]


def selection_counts(chosen: np.ndarray, num_train: int) -> np.ndarray:
    """c_r ``(R,)``: how many test speakers selected each training speaker; ``chosen (P, N)``."""
    return np.bincount(chosen.ravel(), minlength=num_train)


def speaker_weights(counts: np.ndarray, strategy: Strategy, weight: float = 1.0) -> np.ndarray:
    """The weight ``(R,)`` of a training speaker's utterances.

    Args:
        counts: c_r ``(R,)``.
        strategy: see the module's text.
        weight: lambda of ``weighting``.

    >>> counts = np.array([0, 1, 3])
    >>> [speaker_weights(counts, s, 0.5).tolist() for s in ("unique", "oversampling", "weighting")]
    [[0.0, 1.0, 1.0], [0.0, 1.0, 3.0], [1.0, 1.5, 2.5]]
    """
    if strategy == "unique":
        return (counts > 0).astype(np.float64)
    if strategy == "oversampling":
        return counts.astype(np.float64)
    return 1 + weight * counts


def _without_constants(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns ``(N, F')`` that vary, and which they are ``(F,)``."""
    useful = scaled.std(0) > 0.5  # 1 by scaling, or 0
    return scaled[:, useful], useful


def _mixtures(points: np.ndarray, speakers: Sequence[str], how: Selection) -> Mapping[str, object]:
    """Speaker -> mixture, in C order."""
    labels = np.asarray(speakers)
    return {
        speaker: fit_mixture(points[labels == speaker], how.components, how.seed)
        for speaker in sorted(set(speakers))
    }
