"""Names of classes and attributes across corpora, and predictions moved from one to the other."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.core.files import write_yaml
from ser.data.labels import Range
from ser.metrics.continuous import ccc
from ser.scoring.mapping import DEFAULT, Mapping, SharedClasses, rescale, shared_attributes

EMODB = ["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"]


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("anger", "anger"), ("Angry", "anger"), ("ANG", "anger"), ("A", "anger"), ("joy", "happiness"),
        ("exc", "happiness"), ("calm", "calm"), ("U", "surprise"), ("N", "neutral"), ("S", "sadness"),
        ("FEA", "fear"), ("pride", "pride"), ("Pride", "Pride"),
    ],
)  # fmt: skip
def test_names_of_the_corpora(name: str, common: str) -> None:
    assert Mapping.read().class_of(name) == common


@pytest.mark.parametrize(("name", "common"), [("act", "arousal"), ("EmoDom", "dominance"), ("grit", "grit")])
def test_names_of_attributes(name: str, common: str) -> None:
    assert Mapping.read().attribute_of(name) == common


def test_the_recipe_s_file_is_the_package_s(root: Path) -> None:
    assert (root / "egs/cross_corpus/ser1/conf/mapping.yaml").resolve() == DEFAULT.resolve()


def test_what_two_corpora_share() -> None:
    shared = SharedClasses.between(EMODB, ["A", "S", "H", "U", "C", "N"], Mapping.read())
    assert shared.names == ["anger", "happiness", "neutral", "sadness"]
    assert shared.of_data == {"anger": ["A"], "happiness": ["H"], "neutral": ["N"], "sadness": ["S"]}
    assert shared.model_only == ["boredom", "disgust", "fear"]
    assert shared.data_only == ["U", "C"]


def test_probabilities_are_those_given_a_shared_class() -> None:
    model = ["ang", "exc", "hap", "fru"]
    shared = SharedClasses.between(model, ["happiness", "anger"], Mapping.read())
    assert shared.names == ["anger", "happiness"] and shared.of_model["happiness"] == ["exc", "hap"]
    found = shared.project(np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]]), model)
    np.testing.assert_allclose(found, [[0.1 / 0.6, 0.5 / 0.6], [0.5, 0.5]])


@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.permutations(EMODB))
def test_projection_keeps_the_odds_and_knows_no_order(weights: list[float], theirs: list[str]) -> None:
    probabilities = np.array([weights]) / sum(weights)
    shared = SharedClasses.between(EMODB, theirs[:4], Mapping.read())
    found = shared.project(probabilities, EMODB)[0]
    assert found.sum() == pytest.approx(1)
    original = probabilities[0, [EMODB.index(name) for name in shared.names]]
    np.testing.assert_allclose(found / found[0], original / original[0])


RANGES = st.sampled_from([Range(1, 5), Range(1, 7), Range(-1, 1), Range(0, 100)])


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20), RANGES, RANGES)
def test_ranges_map_linearly_and_back(shares: list[float], one: Range, other: Range) -> None:
    values = one.min + np.array(shares) * (one.max - one.min)
    moved = rescale(values, one, other)
    assert other.min - 1e-9 <= moved.min() and moved.max() <= other.max + 1e-9
    np.testing.assert_allclose(rescale(moved, other, one), values, atol=1e-9)


def test_ccc_does_not_depend_on_which_side_is_moved() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.uniform(1, 7, 50), rng.uniform(1, 5, 50)
    one = ccc(truth, rescale(guess, Range(1, 5), Range(1, 7)))
    assert one == pytest.approx(ccc(rescale(truth, Range(1, 7), Range(1, 5)), guess), abs=1e-12)
    assert one != pytest.approx(ccc(truth, guess), abs=1e-3)


def test_attributes_are_matched_by_name_never_by_place() -> None:
    found = shared_attributes(["val", "act", "dom"], ["arousal", "valence"], Mapping.read())
    assert found == {"valence": ("val", "valence"), "arousal": ("act", "arousal")}
    with pytest.raises(UserError, match="the attributes act and arousal are both arousal"):
        shared_attributes(["act", "arousal"], ["arousal"], Mapping.read())


def test_a_file_of_one_s_own(tmp_path: Path) -> None:
    write_yaml(tmp_path / "m.yaml", {"classes": {"neutral": ["calm", "neu"]}})
    mapping = Mapping.read(tmp_path / "m.yaml")
    assert mapping.class_of("calm") == "neutral" and mapping.class_of("neutral") == "neutral"
    assert mapping.class_of("angry") == "angry" and mapping.attribute_of("act") == "act"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "has the keys classes and attributes"),
        (["anger"], "has the keys classes and attributes"),
        ({"class": {"anger": ["A"]}}, "has the keys classes and attributes: .*class"),
        ({"classes": ["anger"]}, "classes must map a common name to a list"),
        ({"classes": {"anger": "A"}}, "classes: anger must be a list of names"),
        ({"classes": {"neutral": [False]}}, "neutral must be a list of names.*Quote names"),
        ({"classes": {"very angry": ["A"]}}, "must be one word: 'very angry'"),
        ({"classes": {"anger": ["A"], "fear": ["a"]}}, "a stands for two classes, anger and fear"),
    ],
)
def test_files_that_are_no_mapping(tmp_path: Path, content: object, message: str) -> None:
    write_yaml(tmp_path / "m.yaml", content)
    with pytest.raises(UserError, match=message):
        Mapping.read(tmp_path / "m.yaml")
