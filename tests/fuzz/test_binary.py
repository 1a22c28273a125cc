"""Arks, checkpoints and audio: bits flipped, bytes lost, pickles and commands put in."""

import pytest

from tests.fuzz.binary import make_parsers
from tests.fuzz.harness import arbitrary, mutated, search

EXAMPLES = [60, pytest.param(3000, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def parsers(tmp_path_factory):
    return make_parsers(tmp_path_factory.mktemp("valid"))


KINDS = ("binary", "text", "compressed", "two bytes", "doubles")
NAMES = [
    *(f"ark, {kind}" for kind in KINDS), *(f"ark, {kind}, pickled" for kind in KINDS),
    "scp and its arks", "safetensors", "centroids", "model",
    "model of conversations", "resume.pt", "checkpoint.pt",
    "wav PCM_16", "wav FLOAT", "wav ULAW", "flac PCM_16", "ogg VORBIS", "rf64",
]  # fmt: skip


def test_none_is_forgotten(parsers):
    assert set(NAMES) == set(parsers)


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", NAMES)
def test_a_right_result_or_a_message(parsers, name, examples, tmp_path):
    parser = parsers[name]
    for content in parser.valid:
        parser.hold(tmp_path, content)
    search(parser, tmp_path, mutated(parser.valid) | arbitrary(), examples)
