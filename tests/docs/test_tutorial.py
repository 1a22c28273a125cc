"""docs/tutorial.md typed as it stands, in a fresh copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import FENCE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
MADE = ("data", "feats", "exp", "log", ".marks", "__pycache__")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tree, without what recipes have made."""
    for part in ("egs", "utils", "tools"):
        shutil.copytree(
            ROOT / part, tmp_path / "ser" / part, symlinks=True, ignore=shutil.ignore_patterns(*MADE)
        )
    shutil.copytree(ROOT / "ser", tmp_path / "ser" / "ser", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "ser"


def type_in(command: str, checkout: Path) -> str:
    """What a command prints; it must succeed."""
    said = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(checkout.parent),
        "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")]),
        "SER_VENV": str(Path(sys.executable).parent.parent),
        "SER_INSTALL": "false",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", f"set -e -o pipefail\n{command}"], cwd=checkout, env=said, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}"
    return done.stdout


def shapes(text: str) -> list[str]:
    """Lines with every number as #: times differ by machine, figures by version of espeak-ng and torch."""
    lines = [re.sub(r"\s+", " ", re.sub(r"[\d.,:]*\d", "#", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line]


def test_the_page_shows_commands_and_what_they_print() -> None:
    told = [language for language, _ in steps()]
    assert told.count("sh") >= 6 and told[0] == "sh" and "text" in told
    for (_, command), (language, _) in zip(steps(), steps()[1:], strict=False):
        assert language in ("sh", "text"), command


def steps() -> list[tuple[str, str]]:
    """(language, text) of the page's blocks of code, in order."""
    return [(language, text) for _, language, text in FENCE.findall(PAGE)]


def test_shapes_of_lines() -> None:
    assert shapes("  a  12:30\n\nb -.5, 1,234 s.\n") == ["a #", "b -#, # s."]


@pytest.mark.slow
def test_the_tutorial(checkout: Path) -> None:
    """Every command in order; every line that the page shows is printed, but for its numbers."""
    for name in ("RESULTS.md", "results.csv", "report.html"):
        (checkout / "egs" / "mini" / "ser1" / name).unlink(missing_ok=True)
    printed = ""
    for language, text in steps():
        if language == "sh":
            printed = type_in(text, checkout).replace(str(checkout.parent), "/home/me")
        else:
            wanted = [line for line in shapes(text) if line != "..."]
            assert [line for line in wanted if line not in shapes(printed)] == []
    for recipe in ("mini", "my_corpus"):
        for name in ("RESULTS.md", "results.csv", "report.html"):
            assert (checkout / "egs" / recipe / "ser1" / name).stat().st_size
