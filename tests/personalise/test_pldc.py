"""PLDC against a worked example, and what must hold of it whatever the numbers."""

import numpy as np
import pytest

from ser.personalise.moments import Moments, moments
from ser.personalise.pldc import borrowed, calibrate, nearest

TRAIN = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def test_the_equations_by_hand():
    """One test speaker, predictions 2, 4, 6; the two nearest training speakers' labels 1, 3 and 4, 6, 8."""
    predictions = np.array([[2.0], [4.0], [6.0]])
    speaker = np.zeros(3, int)
    labels = moments(np.array([[1.0], [3.0], [4.0], [6.0], [8.0], [9.0]]), np.array([0, 0, 1, 1, 1, 2]), 3)
    neighbours = nearest(np.array([[2.0, 0.5]]), TRAIN, k=2)
    assert neighbours.index.tolist() == [[0, 1]]
    mean_bar, deviation_bar = borrowed(labels, neighbours)
    assert mean_bar[0, 0] == pytest.approx((2 + 6) / 2)
    assert deviation_bar[0, 0] == pytest.approx((1 + np.sqrt(8 / 3)) / 2)
    own = moments(predictions, speaker, 1)
    scale = deviation_bar[0, 0] / np.sqrt(8 / 3)
    for shift, expected in {
        "mu": [2, 4, 6],
        "sigma": [4 - 2 * scale, 4, 4 + 2 * scale],
        "both": [4 - 2 * scale, 4, 4 + 2 * scale],
    }.items():
        outcome = calibrate(predictions, speaker, own, mean_bar, deviation_bar, shift)
        np.testing.assert_allclose(outcome[:, 0], expected)
    shifted = calibrate(predictions, speaker, own, mean_bar + 1, deviation_bar, "mu")
    np.testing.assert_allclose(shifted[:, 0], [3, 5, 7])


@pytest.fixture
def random_case():
    rng = np.random.default_rng(0)
    speaker = rng.permutation(np.repeat(np.arange(6), rng.integers(5, 40, 6)))
    predictions = rng.normal(4, 1, (len(speaker), 2)) + speaker[:, None] / 3
    return speaker, predictions, rng.normal(4, 1, (6, 2)), rng.uniform(0.5, 2, (6, 2))


@pytest.mark.parametrize(("shift", "mean", "deviation"), [("mu", 1, 0), ("sigma", 0, 1), ("both", 1, 1)])
def test_afterwards_a_speaker_has_the_borrowed_moments(random_case, shift, mean, deviation):
    speaker, predictions, mean_bar, deviation_bar = random_case
    own = moments(predictions, speaker, 6)
    after = moments(calibrate(predictions, speaker, own, mean_bar, deviation_bar, shift), speaker, 6)
    np.testing.assert_allclose(after.mean, mean_bar if mean else own.mean)
    np.testing.assert_allclose(after.deviation, deviation_bar if deviation else own.deviation)


def test_order_within_a_speaker_and_other_speakers_do_not_matter(random_case):
    speaker, predictions, mean_bar, deviation_bar = random_case
    own = moments(predictions, speaker, 6)
    whole = calibrate(predictions, speaker, own, mean_bar, deviation_bar, "both")
    ranks = [np.argsort(np.argsort(table[speaker == 2], axis=0), axis=0) for table in (predictions, whole)]
    np.testing.assert_array_equal(*ranks)
    alone = speaker == 2
    zeros = np.zeros(alone.sum(), int)
    own = moments(predictions[alone], zeros, 1)
    single = calibrate(predictions[alone], zeros, own, mean_bar[2:3], deviation_bar[2:3], "both")
    np.testing.assert_allclose(single, whole[alone])


def test_borrowing_its_own_distribution_changes_nothing(random_case):
    speaker, predictions, _, _ = random_case
    own = moments(predictions, speaker, 6)
    np.testing.assert_allclose(
        calibrate(predictions, speaker, own, own.mean, own.deviation, "both"), predictions
    )


def test_what_cannot_be_scaled_is_not():
    """One utterance, and constant predictions, keep their spread; mu still moves."""
    predictions = np.array([[3.0], [5.0], [5.0], [5.0]])
    speaker = np.array([0, 1, 1, 1])
    own = moments(predictions, speaker, 2)
    bar = np.array([[1.0], [2.0]]), np.array([[9.0], [9.0]])
    np.testing.assert_array_equal(calibrate(predictions, speaker, own, *bar, "sigma"), predictions)
    np.testing.assert_array_equal(calibrate(predictions, speaker, own, *bar, "both")[:, 0], [1, 2, 2, 2])


def test_nearest_is_a_full_search_by_cosine():
    rng = np.random.default_rng(1)
    test, train = rng.normal(size=(7, 5)), rng.normal(size=(30, 5)) * rng.uniform(0.1, 9, (30, 1))
    cosine = (test @ train.T) / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(train, axis=1)
    for k in (1, 4, 30):
        found = nearest(test, train, k)
        np.testing.assert_array_equal(found.index, np.argsort(-cosine, axis=1)[:, :k])
        np.testing.assert_allclose(found.cosine, -np.sort(-cosine, axis=1)[:, :k], atol=1e-12)
    np.testing.assert_array_equal(nearest(test, train, 9).first(3).index, nearest(test, train, 3).index)


def test_of_equally_near_speakers_the_first_is_taken():
    train = np.repeat(TRAIN, 4, axis=0)
    assert nearest(np.array([[5.0, 0.0]]), train, 3).index.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("vector", [[0.0, 0.0], [np.nan, 1.0]])
def test_a_vector_without_direction_is_refused(vector):
    with pytest.raises(ValueError, match="has no direction"):
        nearest(np.array([vector]), TRAIN, 1)
    with pytest.raises(ValueError, match="k = 4 of 3"):
        nearest(TRAIN, TRAIN, 4)


def test_a_neighbour_without_labels_is_left_out():
    labels = Moments(np.array([[2.0], [0.0]]), np.array([[3.0], [np.nan]]), np.array([[1.0], [np.nan]]))
    neighbours = nearest(np.array([[0.0, 1.0]]), TRAIN[:2], 2)
    mean, deviation = borrowed(labels, neighbours)
    assert (mean[0, 0], deviation[0, 0]) == (3, 1)
    with pytest.raises(ValueError, match="no labels"):
        borrowed(labels, neighbours.first(1))
