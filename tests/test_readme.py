"""What README says of figures and files is what lies in the repository."""

import re
from pathlib import Path


def test_tables_are_those_of_the_recipes(root: Path) -> None:
    """Every block between the markers is rows of the RESULTS.md it names, unchanged."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- from (\S+) -->\n(.*?)<!-- end -->", readme, flags=re.DOTALL)
    assert blocks
    for source, block in blocks:
        results = (root / source).read_text(encoding="utf-8").splitlines()
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len(rows) > 2
        assert [row for row in rows if row not in results] == []


def test_links_lead_somewhere(root: Path) -> None:
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_two_commands_are_there(root: Path) -> None:
    for command in ("egs/mini/ser1/run.sh", "tests/run.sh"):
        assert (root / command).stat().st_mode & 0o111
