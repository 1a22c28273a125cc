"""docs/corpora.md says of every corpus what the corpus says of itself."""

import importlib

import pytest

from ser.corpora.base import CORPORA


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "csv"])
def test_the_table_has_the_facts(root, name):
    corpus = importlib.import_module(CORPORA[name]).CORPUS
    rows = [
        line for line in (root / "docs" / "corpora.md").read_text().splitlines() if f"| `{name}` |" in line
    ]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[1:4] == [corpus.title, corpus.speech, corpus.licence]
    total = sum(corpus.expected.values())
    assert f"{total:,}" in cells[4] or not total
    assert corpus.name == name
    assert corpus.links
    assert (root / "egs" / name).is_dir() == (f"egs/{name}" in cells[5])
