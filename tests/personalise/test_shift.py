"""Feature and label shift: who is like the training set has none, and planted correlations are found."""

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.personalise.part import Part
from ser.personalise.shift import shifts


def make(speakers: int, each: int, seed: int, strength: float) -> tuple[Part, np.ndarray]:
    """The further a speaker's voice is from the mean voice, the more are labels and errors off."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), each)
    off = strength * np.linspace(0, 3, speakers)[speaker]
    vectors = rng.normal(size=(len(speaker), 8)) * np.linspace(1, 3, 8)
    vectors[:, -1] += 6 * off
    labels = 4 + off + rng.normal(size=len(speaker))
    predictions = labels - off + 0.5 * rng.normal(size=len(speaker))
    names = [f"s{index:02d}" for index in range(speakers)]
    part = Part([f"{n}" for n in range(len(speaker))], names, speaker, ["a"], predictions[:, None], vectors)
    return part, labels[:, None]


def test_planted_shifts_and_correlations():
    train = make(20, 50, 0, 0.0)
    found = shifts(*train, *make(24, 60, 1, 1.0), column=0)
    assert len(found.speakers) == 24
    assert np.corrcoef(found.feature, np.linspace(0, 3, 24))[0, 1] > 0.9
    correlations = found.correlations()
    assert correlations["feature shift, CCC"] < -0.7
    assert correlations["label shift, CCC"] < -0.7
    assert correlations["feature shift, label shift"] > 0.7


def test_the_label_shift_is_the_divergence_of_gaussians():
    train, train_labels = make(20, 50, 0, 0.0)
    test, labels = make(3, 40, 1, 1.0)
    mean, deviation = train_labels.mean(), train_labels.std()
    own = labels[test.speaker == 2]
    expected = 0.5 * (
        own.var() / deviation**2
        + (own.mean() - mean) ** 2 / deviation**2
        - 1
        - 2 * np.log(own.std() / deviation)
    )
    assert shifts(train, train_labels, test, labels, 0).label[2] == pytest.approx(expected, rel=1e-6)


def test_scale_of_vectors_and_order_do_not_matter():
    train, test = make(10, 40, 0, 0.0), make(6, 40, 1, 1.0)
    found = shifts(*train, *test, column=0)
    scaled = [
        (Part(**{**vars(part), "vectors": 1000 * part.vectors}), labels) for part, labels in (train, test)
    ]
    np.testing.assert_allclose(shifts(*scaled[0], *scaled[1], column=0).feature, found.feature, rtol=1e-6)
    order = np.random.default_rng(0).permutation(len(test[1]))
    moved = shifts(*train, test[0].take(order), test[1][order], column=0)
    np.testing.assert_allclose(moved.feature, found.feature, rtol=1e-9)
    np.testing.assert_allclose(moved.ccc, found.ccc, rtol=1e-9)


def test_speakers_with_few_labels_are_left_out():
    test, labels = make(6, 10, 1, 1.0)
    labels[(test.speaker == 3) & (np.arange(60) % 10 > 3)] = np.nan
    found = shifts(*make(10, 40, 0, 0.0), test, labels, column=0)
    assert found.speakers == ["s00", "s01", "s02", "s04", "s05"]


def test_fewer_components_tell_of_the_directions_of_most_variance():
    train, test = make(20, 50, 0, 0.0), make(6, 60, 1, 1.0)
    # The planted direction is the one of most variance: a single component has it, and adds up to the whole.
    one, two, every = (shifts(*train, *test, column=0, components=n).feature for n in (1, 2, 8))
    assert np.corrcoef(one, np.arange(6) ** 2)[0, 1] > 0.98
    assert (one < two).all() and (two < every).all()
    kept = shifts(*train, *test, column=0, components=0.999999).feature
    np.testing.assert_allclose(kept, every, rtol=1e-9)


@pytest.mark.parametrize("components", [0, -1, 1.5, 9])
def test_components_that_are_none_are_refused(components):
    with pytest.raises(UserError, match="--components is neither"):
        shifts(*make(20, 50, 0, 0.0), *make(6, 60, 1, 1.0), column=0, components=components)
