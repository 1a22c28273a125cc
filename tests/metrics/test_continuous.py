"""Continuous metrics: against formulas written out, and what happens at the edges."""

import numpy as np
import pytest

from ser.metrics.continuous import ccc, mae, pcc


@pytest.fixture
def values():
    random = np.random.default_rng(0)
    reference = random.normal(3, 1, 200)
    return reference, 0.6 * reference + random.normal(1, 0.5, 200)


def test_ccc_is_lins_formula(values):
    x, y = values
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert ccc(x, y) == pytest.approx(expected, abs=1e-12)


def test_ccc_never_exceeds_pcc_and_equals_it_after_matching_moments(values):
    x, y = values
    assert abs(ccc(x, y)) < abs(pcc(x, y))
    matched = (y - y.mean()) / y.std() * x.std() + x.mean()
    assert ccc(x, matched) == pytest.approx(pcc(x, y), abs=1e-12)


def test_mae_and_pcc(values):
    x, y = values
    assert mae(x, y) == pytest.approx(np.mean(np.abs(x - y)), abs=1e-15)
    assert pcc(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)


def test_constants():
    constant, varied = np.full(5, 3.3), np.arange(5.0)
    assert ccc(varied, constant) == 0 and ccc(constant, varied) == 0
    assert np.isnan(ccc(constant, constant)) and ccc(constant, constant + 1) == 0
    assert np.isnan(pcc(varied, constant)) and np.isnan(pcc(constant, varied))


def test_too_few():
    one, none = np.array([1.0]), np.array([])
    assert np.isnan(ccc(one, one)) and np.isnan(pcc(one, one)) and mae(one, one) == 0
    assert np.isnan(mae(none, none))


@pytest.mark.parametrize("metric", [ccc, mae, pcc])
def test_nan_and_unequal_lengths_are_refused(metric):
    with pytest.raises(ValueError, match="predicted value 1 is nan"):
        metric(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="shapes"):
        metric(np.array([1.0, 2.0]), np.array([1.0]))
