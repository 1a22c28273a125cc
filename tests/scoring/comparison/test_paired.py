"""The bootstrap of a difference: against a loop over utterances, its symmetries, seeds, and coverage."""

import numpy as np
import pytest
from confidence_intervals import evaluate_with_conf_int
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import resample

from ser.scoring import intervals
from ser.scoring.comparison.paired import difference, draw_seeds, drawn, estimate, two_sided_p
from ser.scoring.intervals import draw_counts
from ser.scoring.measure import measure_attribute, measure_classes
from ser.scoring.schema import Bootstrap

HOW = Bootstrap(draws=300, seed=3, level=0.95, unit="speaker")
CLASSES = 4


def case(clusters=24, each=20, skills=(0.5, 0.7), seed=0, spread=0.15):
    """Reference, one prediction a skill, and clusters; a cluster is hard or easy for all systems alike."""
    random = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), each)
    truth = random.integers(CLASSES, size=cluster.size)
    own, luck = spread * random.normal(size=clusters)[cluster], random.random(cluster.size)
    wrong = (truth + random.integers(1, CLASSES, size=cluster.size)) % CLASSES
    return truth, [np.where(luck < skill + own, truth, wrong) for skill in skills], cluster


def drawn_uar(truth, guesses, cluster, seeds=(0,), how=HOW):
    return drawn(measure_classes(truth, guesses, cluster, CLASSES), "UAR", seeds, how)


def test_equals_a_loop_that_resamples_the_utterances_of_both():
    truth, (a, b), cluster = case()
    found = difference(drawn_uar(truth, [b], cluster), drawn_uar(truth, [a], cluster), HOW)
    gaps = []
    for counts in np.concatenate(list(draw_counts(24, HOW.draws, HOW.seed))):
        taken = np.repeat(np.arange(truth.size), counts[cluster].astype(int))
        gaps.append(
            balanced_accuracy_score(truth[taken], b[taken]) - balanced_accuracy_score(truth[taken], a[taken])
        )
    gaps = np.array(gaps)
    assert (found.low, found.high) == pytest.approx(np.percentile(gaps, [2.5, 97.5]), abs=1e-12)
    assert found.p == 2 * (1 + min((gaps <= 1e-12).sum(), (gaps >= -1e-12).sum())) / (HOW.draws + 1)


def test_equals_the_library_for_its_own_draws(monkeypatch):
    """Utterances of a cluster are alike here: what the library draws inside a cluster changes nothing."""
    each = 10
    truth, (a, b), cluster = case(clusters=30, each=each)
    truth, a, b = (values[::each][cluster] for values in (truth, a, b))

    def gap(labels, samples):
        truth, a, b = np.unravel_index(samples.astype(int), (CLASSES,) * 3)
        return np.mean(b == truth) - np.mean(a == truth)

    packed = np.ravel_multi_index((truth, a, b), (CLASSES,) * 3)
    _, (low, high) = evaluate_with_conf_int(packed, gap, labels=truth, conditions=cluster, num_bootstraps=200)

    def library_draws(num_clusters, draws, seed):
        for draw in range(draws):
            taken = resample(np.arange(num_clusters), n_samples=num_clusters, random_state=draw)
            yield np.bincount(taken, minlength=num_clusters)[None].astype(float)

    monkeypatch.setattr(intervals, "draw_counts", library_draws)
    how = Bootstrap(200, 0, 0.95, "speaker")
    one, other = (drawn(measure_classes(truth, [g], cluster, CLASSES), "WA", [0], how) for g in (b, a))
    found = difference(one, other, how)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_swapped_systems_turn_the_interval_and_keep_p(seeds):
    truth, guesses, cluster = case(skills=(0.5, 0.52, 0.54, 0.56, 0.58, 0.6))
    one = drawn_uar(truth, guesses[: len(seeds)], cluster, seeds)
    other = drawn_uar(truth, guesses[-len(seeds) :], cluster, seeds)
    there, back = difference(one, other, HOW), difference(other, one, HOW)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p == back.p


def test_the_same_system_differs_by_nothing_with_p_1():
    truth, guesses, cluster = case(skills=(0.5, 0.6, 0.7))
    system = drawn_uar(truth, guesses, cluster, (0, 1, 2))
    found = difference(system, system, HOW)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_what_is_hard_for_both_cancels():
    truth, (a, b), cluster = case(clusters=40, spread=0.3)
    one, other = drawn_uar(truth, [b], cluster), drawn_uar(truth, [a], cluster)
    paired = difference(one, other, HOW)
    own = estimate(one, HOW)
    assert paired.high - paired.low < 0.6 * (own.high - own.low)


def test_one_seed_has_the_interval_of_the_scores():
    truth, (a, _), cluster = case()
    measured = measure_classes(truth, [a], cluster, CLASSES)
    found, value = estimate(drawn(measured, "UAR", [4], HOW), HOW), measured.values(HOW)["UAR"]
    assert (found.value, found.low, found.high) == (value.value, value.low, value.high)


@pytest.mark.parametrize("size", [2, 3, 10])
def test_drawn_seeds_have_the_variance_of_a_mean_of_seeds(size):
    """n - 1 of n: the variance over draws is s^2 / n, not (n - 1) / n of it."""
    how = Bootstrap(40_000, 0, 0.95, "speaker")
    weights, values = draw_seeds(range(size), how), np.random.default_rng(0).normal(size=size)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights @ values).var() == pytest.approx(values.var(ddof=1) / size, rel=0.05)
    assert (weights @ values).mean() == pytest.approx(values.mean(), abs=0.02)


def test_seeds_are_a_second_source_of_variance():
    """Alike in skill, the seeds change nothing; far apart, they widen the interval to what they say."""
    truth, guesses, cluster = case(clusters=60, skills=(0.3, 0.5, 0.7), spread=0.0)
    far = drawn_uar(truth, guesses, cluster, (0, 1, 2))
    by_seed = [balanced_accuracy_score(truth, guess) for guess in guesses]
    clusters_alone = measure_classes(truth, guesses, cluster, CLASSES).draws("UAR", HOW)
    assert far.draws.std() == pytest.approx(np.std(by_seed, ddof=1) / np.sqrt(3), rel=0.15)
    assert far.draws.std() > 5 * clusters_alone.std()
    alike = drawn_uar(truth, [guesses[0]] * 3, cluster, (0, 1, 2))
    np.testing.assert_allclose(alike.draws, drawn_uar(truth, guesses[:1], cluster).draws)


def test_systems_with_other_seeds_draw_them_independently():
    one, same, other = (draw_seeds(seeds, HOW)[:, 0] for seeds in ((0, 1, 2), (0, 1, 2), (3, 4, 5)))
    np.testing.assert_array_equal(one, same)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2


def test_p_agrees_with_the_paired_t_on_many_normal_clusters():
    random = np.random.default_rng(5)
    gap = random.normal(0.17, 1, 120)
    counts = np.concatenate(list(draw_counts(120, 4000, 0)))
    p = two_sided_p(counts @ gap / 120)
    assert p == pytest.approx(stats.ttest_1samp(gap, 0).pvalue, abs=0.03)


def test_an_undefined_seed_that_is_not_drawn_does_not_matter():
    """PCC of a constant prediction is undefined: only draws of that seed are."""
    random = np.random.default_rng(0)
    truth, cluster = random.normal(size=200), np.repeat(np.arange(20), 10)
    measured = measure_attribute(truth, [truth + 0.1 * random.normal(size=200), np.zeros(200)], cluster)
    found = drawn(measured, "PCC", (0, 1), HOW)
    undefined = np.isnan(found.draws).mean()
    assert 0.4 < undefined < 0.6, "one of two seeds a draw"
    assert np.isnan(found.value) and estimate(found, HOW).p is None
    assert estimate(found, HOW).low is None, "no interval from lucky draws"


def test_one_cluster_has_neither_interval_nor_p():
    truth, (a, b), cluster = case(clusters=1)
    found = difference(drawn_uar(truth, [a], cluster), drawn_uar(truth, [b], cluster), HOW)
    assert found.value is not None and (found.low, found.high, found.p) == (None, None, None)


def test_other_clusters_are_refused():
    truth, (a, b), cluster = case()
    with pytest.raises(ValueError, match="24 and 23 clusters"):
        difference(
            drawn_uar(truth, [a], cluster), drawn_uar(truth[20:], [b[20:]], cluster[20:]), HOW
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 0.08])
def test_intervals_hold_the_true_difference_and_p_keeps_its_level(gap):
    """40 clusters, 400 corpora: 95 % intervals hold it in 95 of 100, less what few clusters cost.

    The standard error of a share of .95 over 400 corpora is .011.
    """
    how, held, small = Bootstrap(500, 0, 0.95, "speaker"), 0, 0
    cluster = np.repeat(np.arange(40), 25)
    for seed in range(400):
        random = np.random.default_rng(seed)
        truth = random.integers(CLASSES, size=cluster.size)
        hard, own = 0.08 * random.normal(size=(2, 40))[:, cluster]
        systems = []
        for chance in (0.5 + hard, 0.5 + gap + hard + own):
            guess = np.where(random.random(truth.size) < chance, truth, (truth + 1) % CLASSES)
            systems.append(drawn(measure_classes(truth, [guess], cluster, CLASSES), "WA", [0], how))
        found = difference(systems[1], systems[0], how)
        held += found.low <= gap <= found.high
        small += found.p < 0.05
    assert 0.91 <= held / 400 <= 0.98
    if gap:
        assert small / 400 > 0.8
    else:
        assert 0.02 <= small / 400 <= 0.09
