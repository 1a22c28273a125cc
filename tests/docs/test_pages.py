"""Every page is listed, every link leads somewhere, every table has its columns."""

from pathlib import Path

import pytest

from tests.docs.pages import all_pages, anchors, blocks, broken_rows, links

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path.relative_to(ROOT).as_posix() for path in all_pages(ROOT)]


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / path).resolve() for path, _ in links(page) if path}


def test_every_page_is_listed(root: Path) -> None:
    docs = root / "docs"
    listed = linked_from(docs / "README.md") | linked_from(docs / "reference" / "README.md")
    assert {path.resolve() for path in docs.rglob("*.md")} - listed == {(docs / "README.md").resolve()}
    assert (docs / "README.md").resolve() in linked_from(root / "README.md")
    assert (root / "CONTRIBUTING.md").resolve() in linked_from(root / "README.md")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(root: Path, name: str) -> None:
    page = root / name
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), f"{name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{name} links to {path}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_tables_have_their_columns(root: Path, name: str) -> None:
    assert broken_rows(root / name) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_begins_with_one_title(root: Path, name: str) -> None:
    lines = [line for line in (root / name).read_text(encoding="utf-8").splitlines() if line]
    assert next(line for line in lines if not line.startswith("<!--")).startswith("# ")


def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, `x|y`\n\n[gone](gone.md) [there](#a-title-xy) `[no](link.md)`\n\n"
        "| a | b |\n|---|---|\n| `x|y` | 1 |\n| `x\\|y` | 1 |\n\n```sh\n# no heading\n[no](link.md)\n```\n"
    )
    assert links(page) == [("gone.md", ""), ("", "a-title-xy")]
    assert anchors(page) == {"a-title-xy"}
    assert broken_rows(page) == ["| `x|y` | 1 |"]
    assert blocks(page, "sh") == ["# no heading\n[no](link.md)\n"]
