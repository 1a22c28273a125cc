"""Similar speakers by divergence: closed forms, Monte Carlo against quadrature, planted neighbours, c_r."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from ser.personalise.mixture import Mixture, fit_mixture, gaussian_divergence, symmetric_divergences
from ser.personalise.similar import Selection, divergences, selected, selection_counts, speaker_weights


def gaussian(means, variances):
    return Mixture(np.ones(1), np.array([means], float), np.array([variances], float))


def test_density_is_scipys():
    rng = np.random.default_rng(0)
    model = Mixture(np.array([0.3, 0.7]), rng.normal(size=(2, 3)), rng.uniform(0.2, 2, (2, 3)))
    points = rng.normal(size=(20, 3))
    expected = sum(
        w * multivariate_normal(m, np.diag(v)).pdf(points)
        for w, m, v in zip(model.weights, model.means, model.variances, strict=True)
    )
    np.testing.assert_allclose(model.log_density(points), np.log(expected), rtol=1e-10)


def test_divergence_of_gaussians_is_the_integral():
    p, q = gaussian([1.0], [0.5]), gaussian([-0.5], [2.0])
    one, other = norm(1, np.sqrt(0.5)), norm(-0.5, np.sqrt(2))
    integral, _ = quad(lambda x: one.pdf(x) * (one.logpdf(x) - other.logpdf(x)), -20, 20)
    assert gaussian_divergence(p, q) == pytest.approx(integral, rel=1e-8)
    assert gaussian_divergence(p, p) == 0


def test_draws_come_near_the_closed_form_and_the_integral():
    p, q = gaussian([0.5, 1.0], [0.5, 1.0]), gaussian([0.0, 0.0], [1.0, 2.0])
    exact = symmetric_divergences([p], [q], 10, 0)[0, 0]
    assert exact == pytest.approx(gaussian_divergence(p, q) + gaussian_divergence(q, p))
    halves = [
        Mixture(np.full(2, 0.5), np.repeat(m.means, 2, 0), np.repeat(m.variances, 2, 0)) for m in (p, q)
    ]
    drawn = symmetric_divergences(halves[:1], halves[1:], 20000, 0)[0, 0]
    assert drawn == pytest.approx(exact, rel=0.05)
    assert symmetric_divergences(halves, halves, 500, 0).diagonal().tolist() == [0, 0]


def test_samples_follow_the_mixture():
    model = Mixture(np.array([0.25, 0.75]), np.array([[-4.0], [4.0]]), np.array([[0.01], [1.0]]))
    points = model.sample(4000, np.random.default_rng(0))[:, 0]
    assert (points < 0).mean() == pytest.approx(0.25, abs=0.001)
    assert points[points > 0].std() == pytest.approx(1, rel=0.05)


def test_few_utterances_have_one_gaussian():
    points = np.random.default_rng(0).normal(size=(49, 4))
    assert len(fit_mixture(points, 5, 0).weights) == 1
    assert len(fit_mixture(np.tile(points, (2, 1)), 5, 0).weights) == 5
    single = fit_mixture(points[:1], 5, 0)
    assert (single.variances > 0).all()
    np.testing.assert_allclose(fit_mixture(points, 1, 0).variances[0], points.var(0))


@pytest.mark.parametrize("each", [15, 80])
def test_planted_neighbours_are_found(each):
    """Voices in three groups: a test speaker's nearest training speakers are those of the group."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 40)) * 1.5

    def speech(names: list[str]) -> tuple[np.ndarray, list[str]]:
        parts = [centres[int(name[-1])] + rng.normal(size=(each, 40)) for name in names]
        return np.concatenate(parts), [name for name in names for _ in range(each)]

    train_names = [f"t{n}-{n % 3}" for n in range(9)]
    train, test = speech(train_names), speech(["x-0", "y-1", "z-2"])
    constant = [np.hstack([values, np.full((len(values), 1), 7.0)]) for values, _ in (train, test)]
    tested, trained, table = divergences(constant[0], train[1], constant[1], test[1], Selection(samples=200))
    assert tested == ["x-0", "y-1", "z-2"]
    for row, chosen in enumerate(selected(table, 3)):
        assert {trained[index][-1] for index in chosen} == {str(row)}
    again = divergences(constant[0], train[1], constant[1], test[1], Selection(samples=200))[2]
    np.testing.assert_array_equal(again, table)


def test_counts_and_weights():
    chosen = np.array([[0, 2], [2, 3]])
    counts = selection_counts(chosen, 5)
    assert counts.tolist() == [1, 0, 2, 1, 0]
    assert counts.sum() == chosen.size
    assert speaker_weights(counts, "unique").tolist() == [1, 0, 1, 1, 0]
    assert speaker_weights(counts, "oversampling").tolist() == counts.tolist()
    assert speaker_weights(counts, "weighting", 0.0).tolist() == [1] * 5
    ones = np.ones(5, int)
    np.testing.assert_array_equal(speaker_weights(ones, "oversampling"), speaker_weights(ones, "unique"))


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_shares_of_all_selections_whatever_the_order(seed):
    """c_r: P N in sum, at most P each; test speakers in any order; training speakers renumbered with it."""
    rng = np.random.default_rng(seed)
    table = rng.random((7, 11))
    counts = selection_counts(selected(table, 4), 11)
    assert counts.sum() == 7 * 4
    assert counts.min() >= 0
    assert counts.max() <= 7
    rows, columns = rng.permutation(7), rng.permutation(11)
    np.testing.assert_array_equal(selection_counts(selected(table[rows], 4), 11), counts)
    np.testing.assert_array_equal(selection_counts(selected(table[:, columns], 4), 11), counts[columns])
    np.testing.assert_array_equal(selection_counts(selected(np.exp(table) + 3, 4), 11), counts)
    halves = [selection_counts(selected(part, 4), 11) for part in (table[:3], table[3:])]
    np.testing.assert_array_equal(halves[0] + halves[1], counts)
    np.testing.assert_array_equal(selection_counts(selected(table, 11), 11), np.full(11, 7))


def test_more_neighbours_than_speakers_are_all():
    assert selected(np.array([[3.0, 1.0, 2.0]]), 10).tolist() == [[1, 2, 0]]
