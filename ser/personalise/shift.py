"""How far a test speaker is from the training set, in voice and in labels, and what that costs.

The preliminary analysis of Tran et al. (Interspeech 2023): per test speaker,

    feature shift = KL(speaker's utterance vectors || training set's)
    label shift   = KL(speaker's labels || training set's)

and their correlation with the speaker's own CCC. The paper does not tell the densities: here both are
Gaussians, with diagonal covariance on principal components for the vectors (a reconstruction).

How many components is open. The divergence is a sum over them: where a voice lies, and how much it moves,

    KL = 1/2 sum_d mu_d^2  +  1/2 sum_d (var_d - 1 - log var_d)        training set: mean 0, variance 1

and n utterances of a speaker add about 1/n nats a component to it by chance. With few components it tells
of the directions in which training speech varies most, with many of everything that it may do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from ser.core.errors import UserError
from ser.metrics.continuous import ccc, pcc
from ser.personalise.mixture import fit_mixture, gaussian_divergence
from ser.personalise.part import Part

COMPONENTS = 0.95  # the principal components that keep this share of the training vectors' variance
FEWEST = 5  # utterances below which a speaker's distribution is not looked at


@dataclass(frozen=True)
class Shifts:
    """One attribute's shifts, by test speaker.

    Attributes:
        speakers: those with enough labelled utterances.
        feature: feature shift, nats, ``(S,)``.
        label: label shift, nats, ``(S,)``.
        ccc: CCC of the speaker's own utterances, ``(S,)``.
    """

    speakers: list[str]
    feature: np.ndarray
    label: np.ndarray
    ccc: np.ndarray

    def correlations(self) -> dict[str, float]:
        """PCC of each pair, NaN where one does not vary."""
        return {
            "feature shift, CCC": pcc(self.feature, self.ccc),
            "label shift, CCC": pcc(self.label, self.ccc),
            "feature shift, label shift": pcc(self.feature, self.label),
        }


def shifts(
    train: Part,
    train_labels: np.ndarray,
    test: Part,
    test_labels: np.ndarray,
    column: int,
    components: float = COMPONENTS,
) -> Shifts:
    """The shifts of every test speaker with at least five labelled utterances.

    Args:
        train: the training part; of it only vectors are looked at.
        train_labels: its labels ``(N, A)``, NaN where there is none.
        test: the test part, before or after calibration.
        test_labels: its labels ``(M, A)``.
        column: which attribute.
        components: principal components of the vectors: a share of variance below 1, or their number.

    Raises:
        UserError: for a number that is neither.
    """
    space = principal_components(train.vectors, components)
    scale = np.sqrt(space.explained_variance_)
    everybody = fit_mixture(space.transform(train.vectors) / scale, 1, seed=0)
    known_labels = train_labels[~np.isnan(train_labels[:, column]), column]
    centre, spread = known_labels.mean(), known_labels.std()
    all_labels = fit_mixture((known_labels[:, None] - centre) / spread, 1, seed=0)
    points = space.transform(test.vectors) / scale
    labels = (test_labels[:, column] - centre) / spread
    rows = []
    for index, speaker in enumerate(test.speakers):
        own = np.flatnonzero((test.speaker == index) & ~np.isnan(labels))
        if len(own) < FEWEST:
            continue
        feature = gaussian_divergence(fit_mixture(points[own], 1, seed=0), everybody)
        label = gaussian_divergence(fit_mixture(labels[own, None], 1, seed=0), all_labels)
        rows.append((speaker, feature, label, ccc(test_labels[own, column], test.predictions[own, column])))
    names = [row[0] for row in rows]
    values = np.array([row[1:] for row in rows], np.float64).reshape(-1, 3).T
    defined = ~np.isnan(values[2])
    return Shifts([name for name, use in zip(names, defined, strict=True) if use], *values[:, defined])


def principal_components(vectors: np.ndarray, components: float) -> PCA:
    """Those of the training vectors ``(N, D)``.

    Raises:
        UserError: for no share of variance, and no number of components that there are.
    """
    if 0 < components < 1:
        return PCA(components, svd_solver="full").fit(vectors)
    most = min(vectors.shape)
    if components != int(components) or not 1 <= components <= most:
        what = f"--components is neither a share of variance below 1 nor a number from 1 to {most}"
        raise UserError(what, value=components)
    return PCA(int(components), svd_solver="full").fit(vectors)
