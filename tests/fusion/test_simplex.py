"""Weights on the simplex against exhaustive grids, and the line search against brute force."""

import itertools

import numpy as np
import pytest
from scipy.optimize import check_grad

from ser.fusion.combine import borda, mean, uniform, vote, weighted
from ser.fusion.objective import ClassObjective, ConcordanceObjective, envelope
from ser.fusion.simplex import ascend, best_weights, nearest_to_mean, starts
from ser.metrics.continuous import ccc


def posteriors(seed: int, members: int = 3, utterances: int = 80, classes: int = 4):
    """Posteriors (M, N, K) that know something of the truth (N,), each member other classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, utterances, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    skill = rng.uniform(0, 2.5, (members, classes))
    scores = rng.normal(size=(members, utterances, classes))
    scores += np.eye(classes)[truth] * skill[:, truth, None]
    scores = np.exp(scores * rng.uniform(0.5, 2, (members, 1, 1)))
    return scores / scores.sum(2, keepdims=True), truth


def values(seed: int, members: int = 3, utterances: int = 60):
    """Values (M, N, 2) of members that hear the labels (N, 2) with noise; some labels are missing."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(4, 1, (utterances, 2))
    noise = rng.normal(size=(members, utterances, 2)) * rng.uniform(0.3, 1.5, (members, 1, 2))
    found = labels * rng.uniform(0.4, 1.2, (members, 1, 2)) + noise + rng.normal(0, 0.5, (members, 1, 2))
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return found, labels


def grid(members: int, steps: int):
    """All weights that are multiples of 1 / steps."""
    for counts in itertools.product(range(steps + 1), repeat=members - 1):
        if sum(counts) <= steps:
            yield np.array([*counts, steps - sum(counts)]) / steps


def on_the_simplex(weights: np.ndarray) -> bool:
    return bool((weights >= 0).all() and abs(weights.sum() - 1) < 1e-12)


@pytest.mark.parametrize("metric", ["macro-F1", "UAR"])
@pytest.mark.parametrize("seed", range(5))
def test_no_grid_of_two_members_is_better(metric: str, seed: int) -> None:
    """Of two members the line search sees every step there is."""
    objective = ClassObjective(*posteriors(seed, members=2, utterances=200), metric)
    found = best_weights(objective)
    assert on_the_simplex(found)
    assert objective.value(found) >= max(map(objective.value, grid(2, 2000))) - 1e-12


@pytest.mark.parametrize("metric", ["macro-F1", "UAR"])
@pytest.mark.parametrize("seed", range(5))
def test_no_grid_of_three_members_is_better(metric: str, seed: int) -> None:
    objective = ClassObjective(*posteriors(seed), metric)
    found = best_weights(objective)
    assert on_the_simplex(found)
    assert objective.value(found) >= max(map(objective.value, grid(3, 50))) - 1e-12


@pytest.mark.parametrize("members", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_grid_of_concordance_is_better(members: int, seed: int) -> None:
    objective = ConcordanceObjective(*values(seed, members))
    found = best_weights(objective)
    assert on_the_simplex(found)
    rated = {tuple(point): objective.value(point) for point in grid(members, 400 if members == 2 else 60)}
    best = max(rated.values())
    assert best <= objective.value(found) + 1e-9
    assert objective.value(found) < best + 1e-3  # and it is no other function than the grid's


def test_concordance_is_the_mean_ccc_and_its_gradient_is_right() -> None:
    found, labels = values(0)
    objective = ConcordanceObjective(found, labels)
    for weights in starts(3, seed=1):
        combined = weighted(found, weights)
        known = ~np.isnan(labels)
        direct = [ccc(labels[k, i], combined[k, i]) for i, k in enumerate(known.T)]
        assert objective.value(weights) == pytest.approx(np.mean(direct), abs=1e-12)
        by, gradient = objective.value_and_gradient(weights)
        assert by == objective.value(weights)
        # Inside the simplex: across it the formula holds by its continuation only.
        for direction in (np.array([1, -1, 0]), np.array([0.5, 0.5, -1])):
            ahead, behind = (objective.value(weights + step * direction) for step in (1e-6, -1e-6))
            assert gradient @ direction == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)


def test_likelihood_is_concave_with_the_gradient_it_says() -> None:
    objective = ClassObjective(*posteriors(3), "UAR")
    for weights in starts(3, seed=2)[4:]:
        error = check_grad(
            lambda w: objective.likelihood(w)[0], lambda w: objective.likelihood(w)[1], weights
        )
        assert error < 1e-5
    found = ascend(objective.likelihood, uniform(3))
    assert all(objective.likelihood(found)[0] >= objective.likelihood(w)[0] - 1e-9 for w in grid(3, 40))


def test_the_search_never_falls_below_a_member_or_the_mean() -> None:
    for seed in range(4):
        objective = ClassObjective(*posteriors(seed, members=4, utterances=20), "macro-F1")
        best = max(objective.value(start) for start in [*np.eye(4), uniform(4)])
        assert objective.value(best_weights(objective)) >= best


@pytest.mark.parametrize("metric", ["macro-F1", "UAR"])
def test_pieces_of_a_line_are_what_brute_force_finds(metric: str) -> None:
    for seed in range(10):
        objective = ClassObjective(*posteriors(seed, utterances=30), metric)
        weights, direction = np.array([0.5, 0.3, 0.2]), np.array([1.0, -0.4, -0.6])
        low, high = -0.5, 1 / 3
        times, metrics = objective._pieces(weights, direction, low, high)
        assert (times[0], times[-1]) == (low, high) and (np.diff(times) >= 0).all()
        for start, end, expected in zip(times, times[1:], metrics, strict=False):
            if end - start > 1e-9:
                assert objective.value(weights + (start + end) / 2 * direction) == pytest.approx(expected)


def test_envelope_of_lines() -> None:
    start, slope = (
        np.array([[0.0, -1.0, -3.0], [1.0, 1.0, 0.0]]),
        np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 0.5]]),
    )
    first, times, rows, before, after = envelope(start, slope, 10)
    assert first.tolist() == [0, 1]  # of equals the steeper, which is higher at once
    assert list(zip(times, rows, before, after, strict=True)) == [(1.0, 0, 0, 1), (2.0, 0, 1, 2)]
    assert envelope(start, slope, 1.5)[1].tolist() == [1.0]


def test_of_equals_the_nearest_to_the_mean() -> None:
    points = [np.array([1.0, 0.0]), np.array([0.6, 0.4]), np.array([0.2, 0.8])]
    assert nearest_to_mean(points, lambda w: 1.0).tolist() == [0.6, 0.4]
    assert nearest_to_mean(points, lambda w: float(w[0])).tolist() == [1, 0]


def test_the_same_seed_gives_the_same_weights_and_order_only_permutes() -> None:
    probabilities, truth = posteriors(1)
    one, two = (best_weights(ClassObjective(probabilities, truth, "UAR"), seed=4) for _ in range(2))
    assert np.array_equal(one, two)
    found, labels = values(4)
    order = [2, 0, 1]
    permuted = best_weights(ConcordanceObjective(found[order], labels))
    np.testing.assert_allclose(permuted, best_weights(ConcordanceObjective(found, labels))[order], atol=1e-4)


def test_votes_and_ranks_by_hand() -> None:
    a, b, c = [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.0, 0.9, 0.1]
    found = np.array([[a], [b], [c]])
    average = np.mean([a, b, c], axis=0)
    np.testing.assert_allclose(vote(found)[0], (np.array([2, 1, 0]) + average / 2) / 3.5)
    assert vote(found).argmax() == 0 and mean(found).argmax() == 1
    # Points: a 2 1 0, b 2 1 0, c 0 2 1.
    np.testing.assert_allclose(borda(found)[0], (np.array([4, 4, 1]) + average / 2) / 9.5)
    assert borda(found).argmax() == 1  # a tie, settled by the mean
    tied = np.array([[[0.5, 0.5, 0.0]]])
    np.testing.assert_allclose(borda(tied)[0], (np.array([1.5, 1.5, 0]) + tied[0, 0] / 2) / 3.5)


@pytest.mark.parametrize("rule", [mean, vote, borda])
def test_rules_give_probabilities_whatever_the_order_of_members(rule) -> None:
    probabilities, _ = posteriors(5, members=4)
    combined = rule(probabilities)
    np.testing.assert_allclose(combined.sum(1), 1)
    np.testing.assert_allclose(rule(probabilities[[3, 1, 0, 2]]), combined)
    classes = [2, 0, 3, 1]
    np.testing.assert_allclose(rule(probabilities[..., classes]), combined[:, classes])
    np.testing.assert_array_equal(rule(probabilities[:1]).argmax(1), probabilities[0].argmax(1))


def test_a_mean_settles_ties_and_overrules_no_majority() -> None:
    probabilities, _ = posteriors(6, members=3, utterances=500)
    votes = np.eye(4)[probabilities.argmax(2)].sum(0)
    chosen = vote(probabilities).argmax(1)
    assert (votes[np.arange(500), chosen] == votes.max(1)).all()
