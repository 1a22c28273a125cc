"""Diagonal Gaussian mixtures of speakers' acoustic space, and the divergence between two of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

# Of standardised components: keeps a speaker with one utterance from having no spread at all.
VARIANCE_FLOOR = 1e-3


@dataclass(frozen=True)
class Mixture:
    """sum_m w_m N(x; mu_m, diag(var_m)).

    Attributes:
        weights: ``(M,)``, of sum 1.
        means: ``(M, D)``.
        variances: ``(M, D)``.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """log p(x) of points ``(N, D)``, ``(N,)``."""
        # (x - mu)^2 / var, multiplied out: three products instead of an (N, M, D) tensor.
        precision = 1 / self.variances
        distance = (
            points**2 @ precision.T
            - 2 * points @ (self.means * precision).T
            + (self.means**2 * precision).sum(1)
        )
        normaliser = np.log(2 * np.pi * self.variances).sum(1)
        return logsumexp(np.log(self.weights) - 0.5 * (distance + normaliser), axis=1)

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """``(count, D)``; each component gives its share of them as nearly as whole numbers can."""
        positions = (np.arange(count) + rng.random()) / count
        component = np.searchsorted(np.cumsum(self.weights)[:-1], positions)
        noise = rng.standard_normal((count, self.means.shape[1]))
        return self.means[component] + np.sqrt(self.variances[component]) * noise


def fit_mixture(points: np.ndarray, components: int, seed: int, least: int = 10) -> Mixture:
    """The mixture of a speaker's utterances.

    Args:
        points: ``(N, D)``.
        components: M; a speaker with fewer than ``components * least`` utterances has one Gaussian.
        seed: of the initial k-means.
        least: utterances a component.
    """
    if components == 1 or len(points) < components * least:
        variance = np.maximum(points.var(0), VARIANCE_FLOOR)
        return Mixture(np.ones(1), points.mean(0)[None], variance[None])
    model = GaussianMixture(components, covariance_type="diag", reg_covar=VARIANCE_FLOOR, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an optimum is not what the ranking needs
        model.fit(points)
    return Mixture(model.weights_, model.means_, model.covariances_)


def gaussian_divergence(p: Mixture, q: Mixture) -> float:
    """KL(p || q) of two single Gaussians, in nats, in closed form.

    KL = 1/2 sum_d (var_p / var_q + (mu_q - mu_p)^2 / var_q - 1 + log var_q / var_p)
    """
    ratio = p.variances[0] / q.variances[0]
    distance = (q.means[0] - p.means[0]) ** 2 / q.variances[0]
    return float(0.5 * (ratio + distance - 1 - np.log(ratio)).sum())


def symmetric_divergences(one: list[Mixture], other: list[Mixture], samples: int, seed: int) -> np.ndarray:
    """KL(p || q) + KL(q || p) of every pair, in nats.

    In closed form for two single Gaussians; otherwise a mean over ``samples`` draws of each:
    KL(p || q) = E_p [log p(x) - log q(x)]. Every mixture draws once, and all pairs see those draws;
    of ``other`` one mixture's draws are kept at a time.

    Args:
        one: P mixtures.
        other: Q mixtures.
        samples: draws of each.
        seed: of the draws.

    Returns:
        ``(P, Q)``.
    """
    result = np.zeros((len(one), len(other)))
    drawn = [p.sample(samples, np.random.default_rng([seed, 0, i])) for i, p in enumerate(one)]
    own = np.stack([p.log_density(points) for p, points in zip(one, drawn, strict=True)])
    together = np.concatenate(drawn)
    for j, q in enumerate(other):
        points = q.sample(samples, np.random.default_rng([seed, 1, j]))
        forward = own - q.log_density(together).reshape(own.shape)
        own_q = q.log_density(points)
        for i, p in enumerate(one):
            if len(p.weights) == len(q.weights) == 1:
                result[i, j] = gaussian_divergence(p, q) + gaussian_divergence(q, p)
            elif p is not q:
                result[i, j] = forward[i].mean() + (own_q - p.log_density(points)).mean()
    return result
