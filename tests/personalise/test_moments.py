"""Moments by speaker: numpy's own, missing values, and shrinkage."""

import numpy as np
import pytest

from ser.personalise.moments import moments

RNG = np.random.default_rng(0)
SPEAKER = RNG.permutation(np.repeat(np.arange(5), [1, 2, 9, 30, 200]))
VALUES = 1e4 + RNG.normal(size=(len(SPEAKER), 3)) * (1 + SPEAKER[:, None])


def test_they_are_numpys():
    found = moments(VALUES, SPEAKER, 5)
    for speaker in range(5):
        own = VALUES[speaker == SPEAKER]
        np.testing.assert_allclose(found.mean[speaker], own.mean(0), rtol=1e-13)
        np.testing.assert_allclose(found.deviation[speaker], own.std(0), rtol=1e-8)
        assert (found.count[speaker] == len(own)).all()


def test_missing_values_count_for_nothing():
    values = VALUES.copy()
    values[SPEAKER == 3, 1] = np.nan
    values[np.flatnonzero(SPEAKER == 4)[0], 0] = np.nan
    found, whole = moments(values, SPEAKER, 5), moments(VALUES, SPEAKER, 5)
    assert found.count[3].tolist() == [30, 0, 30]
    assert np.isnan(found.mean[3, 1])
    assert np.isnan(found.deviation[3, 1])
    np.testing.assert_array_equal(found.mean[3, [0, 2]], whole.mean[3, [0, 2]])
    own = VALUES[SPEAKER == 4][1:, 0]
    np.testing.assert_allclose([found.mean[4, 0], found.deviation[4, 0]], [own.mean(), own.std()])


def test_a_constant_has_no_deviation_whatever_rounding_leaves():
    assert moments(np.full((30, 1), 0.1), np.zeros(30, int), 1).deviation[0, 0] == 0


def test_shrinkage():
    own = moments(VALUES, SPEAKER, 5)
    assert own.shrunk(0) is own
    mean = own.mean.mean(0)
    within = (own.count * own.deviation**2).sum(0) / own.count.sum(0)
    much = own.shrunk(1e12)
    np.testing.assert_allclose(much.mean, np.tile(mean, (5, 1)))
    np.testing.assert_allclose(much.deviation, np.tile(np.sqrt(within), (5, 1)))
    some = own.shrunk(10)
    np.testing.assert_allclose(some.mean[1], (2 * own.mean[1] + 10 * mean) / 12)
    np.testing.assert_allclose(some.deviation[0] ** 2, 10 * within / 11)
    few, many = np.abs(some.mean - own.mean)[[1, 4], 0] / np.abs(mean - own.mean)[[1, 4], 0]
    assert few > many


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="not \\(N, A\\) and \\(N,\\)"):
        moments(VALUES, SPEAKER[1:], 5)
