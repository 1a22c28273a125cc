"""docs/new_upstream.md and docs/new_head.md done to the letter, in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import FENCE, blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: ROOT / "docs" / f"{name}.md" for name in ("new_upstream", "new_head")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The package and its tests, which a page may change."""
    for part in ("ser", "tests", "docs"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(command: str, checkout: Path, given: str | None = None) -> str:
    """A command of a page, on the copy; what it prints."""
    said = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", f"set -e -o pipefail\n{command}"], cwd=checkout, env=said, input=given,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_the_changes_apply_and_are_clean(checkout: Path, name: str) -> None:
    """Code that has moved on would leave a page behind."""
    for text in blocks(PAGES[name], "diff"):
        run("git apply -", checkout, text)
    for text in blocks(PAGES[name], "python"):
        if named := re.search(r"^class (\w+)Upstream", text, flags=re.MULTILINE):
            (checkout / "ser" / "upstream" / f"{named[1].lower()}.py").write_text(text)
    run("ruff check ser tests && ruff format --check ser tests", checkout)


@pytest.mark.slow
def test_an_upstream_of_ones_own(checkout: Path) -> None:
    steps = [(told, text) for _, told, text in FENCE.findall(PAGES["new_upstream"].read_text())]
    assert [told for told, _ in steps] == ["python", "sh", "sh", "python", "diff", "sh"]
    run("python -", checkout, steps[0][1])
    assert "hf:my_wavlm" in (said := run(steps[1][1], checkout)) and ": exact" in said
    assert ": exact" in run(steps[2][1], checkout)
    (checkout / "ser" / "upstream" / "energy.py").write_text(steps[3][1])
    run("git apply -", checkout, steps[4][1])
    said = run(steps[5][1], checkout)
    assert re.search(r"^\d+ passed", said, flags=re.MULTILINE) and "exact (limit 1e-05)" in said


@pytest.mark.slow
def test_a_head_a_pooling_a_loss(checkout: Path) -> None:
    steps = [(told, text) for _, told, text in FENCE.findall(PAGES["new_head"].read_text())]
    assert [told for told, _ in steps] == ["diff", "sh"] * 3
    for told, text in steps:
        if told == "diff":
            run("git apply -", checkout, text)
        else:
            assert re.search(r"^\d+ passed", run(text, checkout), flags=re.MULTILINE)
