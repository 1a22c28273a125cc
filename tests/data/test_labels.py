"""labels.yaml: read as written, and refused where it is wrong."""

import pytest

from ser.core.errors import UserError
from ser.data.labels import LabelSchema, Range

WHOLE = LabelSchema(
    "toy", "1.3", "CC0-1.0", ["a", "b"], {"arousal": Range(1, 5)}, ["arousal"], ["emo", "arousal"]
)


COUNTED = LabelSchema("toy", classes=["a"], expected={"utterances": 9, "a": 3}, partial=True)


@pytest.mark.parametrize("schema", [WHOLE, COUNTED, LabelSchema("bare")])
def test_round_trip(tmp_path, schema):
    schema.write(tmp_path / "labels.yaml")
    assert LabelSchema.read(tmp_path / "labels.yaml") == schema


def test_range_refuses_nan():
    assert 1 in Range(1, 5)
    assert 5 in Range(1, 5)
    assert float("nan") not in Range(1, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("corpus: x\nclases: [a]\n", "labels.yaml:2: unknown key: 'clases'. Did you mean 'classes'?"),
        ("classes: [a]\n", "'corpus' is missing"),
        ("- a\n", "not a mapping"),
        ("corpus: x\nrelease: 1.3\n", "release must be a string"),
        ("corpus: x\nclasses: [yes, no]\n", "Quote it"),
        ("corpus: x\nclasses: [a, a]\n", "twice"),
        ("corpus: x\nclasses: [very angry]\n", "one word"),
        ("corpus: x\nclasses: a\n", "must be a list"),
        ("corpus: x\nattributes: [arousal]\n", "attributes must map"),
        ("corpus: x\nattributes: {arousal: {min: 1}}\n", "range of attribute 'arousal'"),
        ("corpus: x\nattributes: {arousal: {min: 5, max: 1}}\n", "min below max"),
        ("corpus: x\nattributes: {arousal: {min: .nan, max: 1}}\n", "min below max"),
        ("corpus: x\nderived: [valence]\n", "derived: no such label"),
        ("corpus: x\nexpected: {a: 3}\n", "expected: neither 'utterances' nor a class: 'a'"),
        ("corpus: x\nexpected: {utterances: 3.5}\n", "must be a whole number"),
        ("corpus: x\nexpected: 9\n", "expected must map"),
        ("corpus: x\npartial: 3\n", "partial must be true or false"),
        ("corpus: x\nclasses: [a\n", "not plain YAML"),
        ("corpus: !!python/name:os.system\n", "not plain YAML"),
    ],
)
def test_mistakes(tmp_path, text, words):
    (tmp_path / "labels.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        LabelSchema.read(tmp_path / "labels.yaml")
    assert words in str(caught.value)
    assert str(tmp_path / "labels.yaml") in str(caught.value)
