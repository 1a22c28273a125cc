"""Tests over folds: against scipy, their floor, and the worked example of docs/statistics.md."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ser.scoring.comparison import folds
from ser.scoring.comparison.folds import fold_ranks, fold_rows, fold_test, sign_flip

DIFFERENCES = st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=8)


@given(DIFFERENCES)
def test_both_tests_are_those_of_scipy(values):
    d, found = np.array(values), fold_test(values)
    exact = stats.permutation_test(
        (d, np.zeros(d.size)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert found.p_flip == pytest.approx(exact.pvalue)
    if np.ptp(d) > 0:
        expected = stats.ttest_rel(d, np.zeros(d.size))
        assert (found.t, found.p_t) == pytest.approx((expected.statistic, expected.pvalue))
        assert found.deviation == pytest.approx(d.std(ddof=1))


@given(DIFFERENCES)
def test_swapped_systems_have_the_same_p_and_the_other_sign(values):
    one, other = fold_test(values), fold_test([-value for value in values])
    assert (one.p_t, one.p_flip) == pytest.approx((other.p_t, other.p_flip))
    assert one.difference == -other.difference
    assert one.t is None or one.t == pytest.approx(-other.t)


@pytest.mark.parametrize("size", [2, 5, 10])
def test_no_p_is_below_the_floor_and_the_clearest_difference_is_at_it(size):
    found = fold_test(np.linspace(1, 2, size))
    assert found.p_flip == found.floor == 2 / 2**size
    assert fold_test([0.3, 0.4, 0.2, 0.5, 0.3]).floor == 0.0625


def test_the_same_system_has_p_1():
    found = fold_test([0.0] * 5)
    assert (found.difference, found.t, found.p_t, found.p_flip) == (0, None, 1, 1)


def test_a_constant_difference_has_no_t():
    found = fold_test([0.1] * 5)  # three times 0.1 is not 0.3: rounding is no deviation
    assert (found.t, found.p_t, found.p_flip) == (None, 0, 0.0625)


def test_above_the_exact_limit_random_signs_come_near_the_exact_p(monkeypatch):
    d = np.random.default_rng(1).normal(0.3, 1, 12)
    exact, _ = sign_flip(d)
    monkeypatch.setattr(folds, "EXACT_FOLDS", 5)
    p, floor = sign_flip(d, seed=3)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / folds.RANDOM_FLIPS))
    assert sign_flip(d, seed=3) == (p, floor) and floor == 1 / (1 + folds.RANDOM_FLIPS)


def test_too_few_or_undefined_differences_are_refused():
    for wrong in ([0.1], [], [0.1, np.nan]):
        with pytest.raises(ValueError, match="two or more finite"):
            fold_test(wrong)
    with pytest.raises(ValueError, match="5 folds, b has 4"):
        fold_rows({"a": [1] * 5, "b": [1] * 4}, [("a", "b")])


def test_ranks_of_clearly_different_systems_are_single():
    random = np.random.default_rng(0)
    scores = {
        name: level + 0.001 * random.normal(size=8) for name, level in (("a", 0.5), ("b", 0.9), ("c", 0.7))
    }
    assert fold_ranks(scores) == fold_ranks(scores, "flip") == {"a": (3, 3), "b": (1, 1), "c": (2, 2)}
    assert set(fold_ranks({k: v[:5] for k, v in scores.items()}, "flip").values()) == {(1, 3)}


def test_the_worked_example_prints_what_the_documentation_shows(root):
    script = root / "benchmarks" / "superb_folds.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=root)
    page = (root / "docs" / "statistics.md").read_text(encoding="utf-8")
    for line in filter(None, done.stdout.splitlines()):
        assert f"    {line}\n" in page
    # The founders' own computation: one of six below .05, .021, and .124 after Holm.
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("HuBERT-large    WavLM-base")]
    assert re.search(r"\.021 +\.124 +\.0625", row)
