"""Categorical metrics against scikit-learn and audmetric, and what happens at the edges."""

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ser.metrics import categorical as cat

pairs = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60).map(
        lambda rows: (k, np.array(rows)[:, 0], np.array(rows)[:, 1])
    )
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(pairs)
def test_equal_to_scikit_learn_on_any_labels(case):
    classes, reference, predicted = case
    counts = cat.confusion(reference, predicted, classes)
    assert (counts == sk.confusion_matrix(reference, predicted, labels=range(classes))).all()
    assert cat.uar(counts) == pytest.approx(sk.balanced_accuracy_score(reference, predicted), abs=1e-12)
    assert cat.wa(counts) == pytest.approx(sk.accuracy_score(reference, predicted), abs=1e-12)
    assert cat.macro_f1(counts) == pytest.approx(
        sk.f1_score(reference, predicted, average="macro"), abs=1e-12
    )
    assert cat.weighted_f1(counts) == pytest.approx(
        sk.f1_score(reference, predicted, average="weighted"), abs=1e-12
    )
    expected = sk.precision_recall_fscore_support(
        reference, predicted, labels=range(classes), zero_division=np.nan
    )
    np.testing.assert_allclose(cat.precision(counts), expected[0], atol=1e-12)
    np.testing.assert_allclose(cat.recall(counts), expected[1], atol=1e-12)


def test_uar_equals_audmetric_when_every_class_is_present():
    random = np.random.default_rng(0)
    reference, predicted = random.permutation(np.repeat(np.arange(7), 30)), random.integers(7, size=210)
    value = cat.uar(cat.confusion(reference, predicted, 7))
    assert value == pytest.approx(
        audmetric.unweighted_average_recall(reference, predicted, range(7)), abs=1e-12
    )
    f1 = np.array(list(audmetric.fscore_per_class(reference, predicted, range(7)).values()))
    np.testing.assert_allclose(cat.f1(cat.confusion(reference, predicted, 7)), f1, atol=1e-12)


def test_class_absent_from_the_reference_does_not_lower_uar():
    counts = cat.confusion(np.array([0, 0, 1]), np.array([0, 0, 1]), 3)
    assert cat.uar(counts) == 1.0
    assert np.isnan(cat.recall(counts)[2]) and np.isnan(cat.f1(counts)[2])


def test_leading_axes_are_independent():
    random = np.random.default_rng(1)
    stack = random.integers(0, 9, size=(4, 3, 5, 5))
    for metric in cat.METRICS.values():
        each = [[metric(stack[i, j]) for j in range(3)] for i in range(4)]
        np.testing.assert_array_equal(metric(stack), each)


def test_nothing_gives_nan_and_no_warning():
    empty = cat.confusion(np.array([], int), np.array([], int), 4)
    with np.errstate(all="raise"):
        assert all(np.isnan(metric(empty)) for metric in cat.METRICS.values())


@pytest.mark.parametrize("bad", [[0, 1, 3], [0, -1, 1], [0.0, 1.0, 1.0], [0, 1]])
def test_indices_out_of_range_or_of_another_length_are_refused(bad):
    with pytest.raises(ValueError):
        cat.confusion(np.array([0, 1, 2]), np.array(bad), 3)
