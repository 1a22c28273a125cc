"""CONTRIBUTING.md and docs/methods.md say of the code what is so."""

import re
from pathlib import Path

from tests.test_layers import FORBIDDEN, LAYERS


def test_the_layers_are_those_of_the_test(root: Path) -> None:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The house")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, flags=re.MULTILINE))
    assert list(rows) == LAYERS
    assert "core" in FORBIDDEN["metrics"] and "does not even know `core`" in rows["metrics"]
    assert FORBIDDEN["engine"] == {"corpora", "upstream", "features"}
    assert "knows no corpora, upstreams or features" in rows["engine"]
    assert FORBIDDEN["scoring"] >= {"engine", "downstream", "memory"}


NAMED = re.compile(r"`((?:ser|tests|egs|utils|tools|docs|\.ci)/[^`\s<>*]+)`")


def test_what_is_named_is_there(root: Path) -> None:
    """But for egs/my_corpus, which is the reader's."""
    for name in ("CONTRIBUTING.md", "docs/methods.md", "docs/README.md", "docs/tutorial.md"):
        for path in NAMED.findall((root / name).read_text(encoding="utf-8")):
            assert path.startswith("egs/my_corpus/") or (root / path).exists(), f"{name} names {path}"


def test_every_method_has_equation_source_code_and_page(root: Path) -> None:
    """And a page that calls nothing reconstructed would hide what the overview says."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in (root / "docs" / "methods.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| method")
    ]
    assert len(rows) > 10
    for name, equation, source, code, page in rows:
        assert equation and source and "`ser/" in code, name
        pages = re.findall(r"\]\(([\w.]+)", page)
        assert pages, name
        if "reconstructed" in source:
            texts = [(root / "docs" / each).read_text(encoding="utf-8") for each in pages]
            assert any(re.search(r"reconstruct|\bopen\b", text) for text in texts), name
