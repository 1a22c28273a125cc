"""Metrics from sums by cluster equal metrics from utterances."""

import numpy as np
import pytest

from ser.metrics import categorical as cat
from ser.metrics import continuous as con
from ser.metrics.sums import ConfusionSums, MomentSums

PLAIN = {"CCC": con.ccc, "PCC": con.pcc, "MAE": con.mae}


@pytest.fixture(params=[0.0, 1e6], ids=["near 0", "far from 0"])
def continuous(request):
    random = np.random.default_rng(0)
    clusters = random.integers(9, size=400)
    reference = request.param + random.normal(3, 1, 400) + 0.3 * clusters
    return reference, reference + random.normal(0.5, 1, 400), clusters


def taken(counts: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Utterance indices of a draw, written out."""
    return np.concatenate(
        [np.flatnonzero(clusters == s) for s, c in enumerate(counts) for _ in range(int(c))]
    )


@pytest.mark.parametrize("metric", PLAIN)
def test_moments_give_the_metric_of_all_of_each_and_of_draws(continuous, metric):
    reference, predicted, clusters = continuous
    sums = MomentSums.of(reference, predicted, clusters, 9)
    whole = sums.weighted(np.ones((1, 9))).metric(metric)[0]
    assert whole == pytest.approx(PLAIN[metric](reference, predicted), abs=1e-9)
    for s, value in enumerate(sums.metric(metric)):
        own = clusters == s
        assert value == pytest.approx(PLAIN[metric](reference[own], predicted[own]), abs=1e-8)
    counts = np.random.default_rng(1).multinomial(9, np.full(9, 1 / 9), size=20)
    for row, value in zip(counts, sums.weighted(counts).metric(metric), strict=True):
        chosen = taken(row, clusters)
        assert value == pytest.approx(PLAIN[metric](reference[chosen], predicted[chosen]), abs=1e-9)


@pytest.mark.parametrize("metric", cat.METRICS)
def test_confusions_give_the_metric_of_draws_exactly(metric):
    random = np.random.default_rng(2)
    reference, predicted, clusters = (random.integers(k, size=300) for k in (4, 4, 7))
    sums = ConfusionSums.of(reference, predicted, clusters, 4, 7)
    counts = random.multinomial(7, np.full(7, 1 / 7), size=20)
    for row, value in zip(counts, sums.weighted(counts).metric(metric), strict=True):
        chosen = taken(row, clusters)
        expected = cat.METRICS[metric](cat.confusion(reference[chosen], predicted[chosen], 4))
        assert value == pytest.approx(expected, abs=1e-14)


def test_order_of_utterances_changes_nothing(continuous):
    reference, predicted, clusters = continuous
    order = np.random.default_rng(3).permutation(reference.size)
    first = MomentSums.of(reference, predicted, clusters, 9)
    second = MomentSums.of(reference[order], predicted[order], clusters[order], 9)
    np.testing.assert_allclose(first.metric("CCC"), second.metric("CCC"), atol=1e-9)


@pytest.mark.parametrize("value", [0.0, 3.3, 1e5 / 3])
def test_constant_clusters_are_seen_as_constant_whatever_the_offset(value):
    random = np.random.default_rng(4)
    clusters = np.repeat([0, 1, 2], 20_000)
    reference = np.where(clusters == 0, value, random.normal(value, 1 + value, clusters.size))
    predicted = np.where(clusters == 0, random.normal(size=clusters.size), reference)
    sums = MomentSums.of(reference, predicted, clusters, 3)
    assert sums.constant().tolist() == [True, False, False]
    assert sums.metric("CCC")[0] == 0 and np.isnan(sums.metric("PCC")[0])
    assert sums.metric("CCC")[1] == pytest.approx(1, abs=1e-9)


def test_constant_and_equal_is_undefined():
    same = np.full(30, 0.1)
    assert np.isnan(MomentSums.of(same, same, np.zeros(30, int), 1).metric("CCC")[0])
    assert np.isnan(con.ccc(same, same))


def test_empty_cluster_is_nan():
    sums = MomentSums.of(np.arange(4.0), np.arange(4.0), np.array([0, 0, 2, 2]), 3)
    assert np.isnan(sums.metric("CCC")).tolist() == [False, True, False]
    assert np.isnan(sums.metric("MAE")).tolist() == [False, True, False]


def test_bad_cluster_indices_are_refused():
    values = np.arange(3.0)
    for clusters in (np.array([0, 1, 5]), np.array([0, 1])):
        with pytest.raises(ValueError, match="cluster"):
            MomentSums.of(values, values, clusters, 3)
