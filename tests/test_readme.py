"""What README says of figures and files is what lies in the repository."""

import re
from pathlib import Path

from ser.scoring.tables.drift import BLOCK, RESULTS, check_page


def test_every_table_is_what_was_scored(root: Path) -> None:
    """RESULTS.md of the recipes is made from the scores beside it, and tables of pages from RESULTS.md."""
    # A matrix over corpora is made from scores of other recipes, and has no file of its own.
    results = [path.parent / RESULTS for path in sorted(root.glob("egs/*/*/scores.jsonl"))]
    assert len(results) >= 5
    pages = [*results, root / "README.md", *sorted((root / "docs").glob("*.md"))]
    drifts = [drift for page in pages if (drift := check_page(page, root)) is not None]
    assert [line for drift in drifts for line in (str(drift.page), *drift.difference)] == []
    assert len(BLOCK.findall((root / "README.md").read_text(encoding="utf-8"))) >= 3


def test_links_lead_somewhere(root: Path) -> None:
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_two_commands_are_there(root: Path) -> None:
    for command in ("egs/mini/ser1/run.sh", "tests/run.sh"):
        assert (root / command).stat().st_mode & 0o111
