"""The clustered bootstrap: against a plain loop, against ``confidence-intervals``, and its edges."""

import numpy as np
import pytest
from confidence_intervals import evaluate_with_conf_int
from sklearn.utils import resample

from ser.metrics import categorical as cat
from ser.metrics import continuous as con
from ser.metrics.sums import ConfusionSums, MomentSums
from ser.scoring import intervals
from ser.scoring.intervals import bootstrap, draw_counts, mean_over_clusters, percentile_interval

SPEAKERS, EACH = 24, 60


@pytest.fixture(scope="module")
def case():
    """Labels and predictions of speakers who differ in level and in how well they are understood."""
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(SPEAKERS), EACH)
    reference = random.normal(4, 1, clusters.size) + random.normal(0, 0.7, SPEAKERS)[clusters]
    noise = random.uniform(0.3, 1.5, SPEAKERS)[clusters]
    predicted = reference + noise * random.normal(size=clusters.size)
    return reference, predicted, clusters


def uar_of(reference, predicted):
    return float(cat.uar(cat.confusion(reference, predicted, 4)))


def as_classes(values):
    return np.digitize(values, [3, 4, 5])


def test_identical_to_a_loop_over_resampled_utterances(case):
    reference, predicted, clusters = case
    moments = MomentSums.of(reference, predicted, clusters, SPEAKERS)
    counted = ConfusionSums.of(as_classes(reference), as_classes(predicted), clusters, 4, SPEAKERS)

    def statistic(counts):
        return np.stack(
            [moments.weighted(counts).metric("CCC"), counted.weighted(counts).metric("UAR")], axis=1
        )

    values = bootstrap(statistic, SPEAKERS, draws=100, seed=5)
    by_speaker = [np.flatnonzero(clusters == s) for s in range(SPEAKERS)]
    for counts, row in zip(np.concatenate(list(draw_counts(SPEAKERS, 100, 5))), values, strict=True):
        chosen = np.concatenate([by_speaker[s] for s in range(SPEAKERS) for _ in range(int(counts[s]))])
        x, y = reference[chosen], predicted[chosen]
        assert row[0] == pytest.approx(con.ccc(x, y), abs=1e-12)
        assert row[1] == pytest.approx(uar_of(as_classes(x), as_classes(y)), abs=1e-12)


def test_identical_to_the_library_for_its_own_draws(case, monkeypatch):
    """Speakers without spread of their own: the library's resampling within speakers changes nothing."""
    reference, predicted, clusters = case
    x, y = reference[::EACH][clusters], predicted[::EACH][clusters]
    centre, (low, high) = evaluate_with_conf_int(
        y, con.ccc, labels=x, conditions=clusters, num_bootstraps=200
    )

    def library_draws(num_clusters, draws, seed):
        for draw in range(draws):
            drawn = resample(np.arange(num_clusters), n_samples=num_clusters, random_state=draw)
            yield np.bincount(drawn, minlength=num_clusters)[None].astype(float)

    monkeypatch.setattr(intervals, "draw_counts", library_draws)
    sums = MomentSums.of(x, y, clusters, SPEAKERS)
    values = bootstrap(lambda w: sums.weighted(w).metric("CCC"), SPEAKERS, draws=200, seed=0)
    interval = percentile_interval(values, SPEAKERS)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert sums.weighted(np.ones((1, SPEAKERS))).metric("CCC")[0] == pytest.approx(centre, abs=1e-12)


@pytest.mark.parametrize("name", ["CCC", "UAR"])
def test_distribution_agrees_with_the_library(case, name):
    """The library also resamples within a speaker; at 60 utterances each that widens it by little.

    A percentile's Monte Carlo error at 1,000 draws is about .09 of the interval's half width, and both
    sides have one; the second stage adds a few per cent of width. Hence a quarter of the width.
    """
    reference, predicted, clusters = case
    if name == "UAR":
        reference, predicted, metric = as_classes(reference), as_classes(predicted), uar_of
        sums = ConfusionSums.of(reference, predicted, clusters, 4, SPEAKERS)
    else:
        metric, sums = con.ccc, MomentSums.of(reference, predicted, clusters, SPEAKERS)
    _, (low, high) = evaluate_with_conf_int(
        predicted, metric, labels=reference, conditions=clusters, num_bootstraps=400
    )
    values = bootstrap(lambda w: sums.weighted(w).metric(name), SPEAKERS, draws=1000, seed=0)
    interval = percentile_interval(values, SPEAKERS)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.25 * (high - low))
    unclustered = evaluate_with_conf_int(predicted, metric, labels=reference, num_bootstraps=200)[1]
    assert interval.high - interval.low > 1.3 * (unclustered[1] - unclustered[0])


def test_coverage_is_near_its_level():
    """Means of 40 normal clusters: 95 % intervals hold the truth in about 95 of 100 cases."""
    held = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(size=40)
        interval = percentile_interval(bootstrap(mean_over_clusters(values), 40, 400, seed), 40)
        held += interval.low <= 0 <= interval.high
    assert 0.88 <= held / 200 <= 0.98


def test_blocks_and_repetition_change_nothing():
    whole = np.concatenate(list(draw_counts(13, 50, seed=3)))
    blocks = list(draw_counts(13, 50, seed=3, block_cells=100))
    assert len(blocks) > 5
    np.testing.assert_array_equal(whole, np.concatenate(blocks))
    assert (whole.sum(1) == 13).all()
    assert not np.array_equal(whole, np.concatenate(list(draw_counts(13, 50, seed=4))))


def test_undefined_draws_are_left_out_and_counted():
    values = np.r_[np.linspace(0, 1, 97), [np.nan] * 3]
    interval = percentile_interval(values, num_clusters=30)
    assert interval.undefined == 3
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975), abs=1e-9)


@pytest.mark.parametrize(
    ("values", "clusters"),
    [(np.ones(100), 1), (np.full(100, np.nan), 30), (np.r_[np.ones(90), np.full(10, np.nan)], 30)],
    ids=["one cluster", "nothing defined", "a tenth undefined"],
)
def test_no_interval_rather_than_a_wrong_one(values, clusters):
    interval = percentile_interval(values, clusters)
    assert interval.low is None and interval.high is None


def test_mean_over_clusters_leaves_out_undefined_ones():
    values = np.array([1.0, np.nan, 3.0])
    counts = np.array([[1.0, 1, 1], [2, 1, 0], [0, 3, 0]])
    np.testing.assert_allclose(mean_over_clusters(values)(counts), [2, 1, np.nan])
