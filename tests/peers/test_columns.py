"""From a peer's outputs to a corpus's: by name, never by place, on the corpus's scale."""

from types import SimpleNamespace

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.peers.columns import Columns
from tests.scoring.builder import CLASSES, make_data

UNIT = {"arousal": (0.0, 1.0), "dominance": (0.0, 1.0), "valence": (0.0, 1.0)}


def columns(tmp_path, classes=(), attributes=(), of_data=CLASSES, scales=None, mapping=None):
    data = make_data(tmp_path / "data", 2, 7, classes=list(of_data), attributes=scales or {})
    peer = SimpleNamespace(classes=list(classes), attributes=list(attributes))
    return Columns.between(peer, UNIT, data, mapping)


def test_classes_go_by_name_and_what_is_not_shared_is_divided_away(tmp_path):
    found = columns(
        tmp_path, ["Sad", "Contempt", "Angry", "Neutral"], of_data=["anger", "boredom", "sadness"]
    )
    assert found.classes == ["anger", "boredom", "sadness"] and found.unknown == ["boredom"]
    converted = found.convert(np.array([[0.2, 0.3, 0.4, 0.1], [0.0, 0.5, 0.0, 0.5]]))
    np.testing.assert_allclose(converted, [[2 / 3, 0, 1 / 3], [0.5, 0, 0.5]], rtol=1e-6)


def test_two_names_of_the_peer_for_one_class_are_added_up(tmp_path):
    found = columns(tmp_path, ["happy", "excited", "sad"], of_data=["happiness", "sadness"])
    np.testing.assert_allclose(found.convert(np.array([[0.2, 0.3, 0.5]])), [[0.5, 0.5]], rtol=1e-6)


def test_attributes_go_by_name_and_to_the_scale_of_the_corpus(tmp_path):
    scales = {"valence": (-1.0, 1.0), "arousal": (1.0, 5.0)}
    found = columns(tmp_path, attributes=UNIT, of_data=[], scales=scales)
    assert list(found.attributes) == ["arousal", "valence"] and found.classes == []
    np.testing.assert_allclose(
        found.convert(np.array([[0.25, 9.0, 0.75], [1.1, 9.0, 0.0]])), [[2.0, 0.5], [5.4, -1.0]], rtol=1e-6
    )  # nothing is cut off at the ends of the scale


def test_the_order_of_the_peer_changes_nothing(tmp_path):
    names = ["Angry", "Sad", "Happy", "Neutral"]
    rows = np.random.default_rng(0).dirichlet(np.ones(4), size=5)
    order = [2, 0, 3, 1]
    straight = columns(tmp_path / "a", names).convert(rows)
    shuffled = columns(tmp_path / "b", [names[i] for i in order]).convert(rows[:, order])
    np.testing.assert_allclose(straight, shuffled, rtol=1e-6)


def test_nothing_in_common_is_refused(tmp_path):
    with pytest.raises(UserError, match="too little in common") as error:
        columns(tmp_path, ["Angry", "Contempt"], of_data=["anger", "boredom"])
    assert "Angry, Contempt" in str(error.value) and "--mapping" in str(error.value)


def test_classes_that_the_mapping_joins_are_refused_until_it_does_not(tmp_path):
    classes = ["excitement", "happiness", "sadness"]
    with pytest.raises(UserError, match="tells excitement and happiness apart"):
        columns(tmp_path / "a", ["happy", "sad"], of_data=classes)
    own = tmp_path / "mapping.yaml"
    own.write_text("classes:\n  happiness: [happy]\n  sadness: [sad]\n")
    found = columns(tmp_path / "b", ["happy", "sad"], of_data=classes, mapping=own)
    assert found.unknown == ["excitement"]
