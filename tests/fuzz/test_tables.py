"""Data directories, table by table and as a whole."""

import pytest

from tests.fuzz.harness import arbitrary, mutated, search
from tests.fuzz.tables import PARSERS

EXAMPLES = [60, pytest.param(3000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", PARSERS)
def test_a_right_result_or_a_message(name, examples, tmp_path):
    parser = PARSERS[name]
    for content in parser.valid:
        parser.hold(tmp_path, content)
        parser.read(tmp_path / parser.file)
    search(parser, tmp_path, mutated(parser.valid) | arbitrary(), examples)
