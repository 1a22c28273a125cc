"""The text and the page: all findings with their places, what is clean, every string escaped, no network."""

import re
from pathlib import Path

from ser.lint.finding import Level
from ser.lint.page import page
from ser.lint.registry import CHECKS
from ser.lint.report import text, verdict
from tests.scoring.report.test_report import Page


def broken(sets):
    """Three findings, one with a name that is markup."""
    sets.change("test", "utt2dialogue", lambda name, value: value.replace("test_03", "<b>_03"))
    sets.change("train", "utt2dialogue", lambda name, value: value.replace("train_03", "<b>_03"))
    sets.change("test", "text", lambda name, value: "Something ann number 03 says.")
    sets.change("test", "utt2dur", lambda name, value: "60")
    return sets.lint()


def test_text_names_places_counts_and_what_is_clean(sets):
    said = text(broken(sets))
    lines = said.splitlines()
    assert lines[0] == "toy 1: 1 error, 2 warnings"
    assert "error dialogue-overlap: 1 dialogue of 35 is in both train and test" in lines
    assert f"    {sets.folder}/test/utt2dialogue:4  <b>_03: 3 in train, 2 in test" in lines
    assert "    and 19 more" in lines
    assert re.search(r"train +train +36 +3 +0:18", said)
    clean = said[said.index("clean: ") :]
    assert "speaker-overlap" in clean and "since the audio was left alone: " in clean
    assert max(map(len, said[: said.index("classes by set")].splitlines())) < 200
    order = [said.index("error dialogue-overlap"), said.index("warning too-long"), said.index("clean: ")]
    assert order == sorted(order)


def test_every_check_is_accounted_for(sets):
    result = broken(sets)
    said = text(result)
    assert all(check in said for check in CHECKS)
    html = page(result)
    assert all(f"<td>{check}</td>" in html for check in CHECKS)


def test_page_nests_escapes_and_needs_no_network(sets):
    html = page(broken(sets))
    nested = Page(html)
    assert not re.search(r"https?:|@import|url\(", html)
    assert not {tag for tag, _ in nested.tags} & {"script", "link", "img", "iframe"}
    assert "&lt;b&gt;_03: 3 in train" in html and "<b>_03" not in html
    assert len(nested.ids) == len(set(nested.ids))
    assert "1 error, 2 warnings" in html and "light-dark(" in html
    assert html.count('<article class="finding is-error">') == 1


def test_nothing_is_in_order(sets):
    folders = sets.write()
    for folder in folders:
        (folder / "utt2spk").unlink()
    from ser.lint.run import lint

    result = lint(folders)
    assert verdict(result) == "1 error"
    assert "no set in order" in text(result)
    Page(page(result))
    assert [check.name for check, _ in result.of(Level.ERROR)] == ["tables"]


def test_documented_checks_are_those_that_are_run(root: Path):
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.+) \|$", (root / "docs/lint.md").read_text(), flags=re.M)
    assert rows == [(check.name, check.level.value, check.what) for check in CHECKS.values()]
