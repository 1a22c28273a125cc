"""What a reader on GitHub sees of a Markdown page: its links, headings, tables and blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1$", flags=re.DOTALL | re.MULTILINE)


def all_pages(root: Path) -> list[Path]:
    """Every page that is written for readers."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks in one language, in order."""
    return [text for _, told, text in FENCE.findall(page.read_text(encoding="utf-8")) if told == language]


def prose(page: Path) -> str:
    """The page without its fenced and indented code, and without comments."""
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"^(?: {4}|\t).*$", "", FENCE.sub("", text), flags=re.MULTILINE)


def links(page: Path) -> list[tuple[str, str]]:
    """(path, anchor) of the links that lead into the repository; either may be empty."""
    without_code = re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), prose(page))
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code)
    return [tuple(f"{t}#".split("#")[:2]) for t in targets if not re.match(r"[a-z]+:", t)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.*?) *$", prose(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


def cells(row: str) -> int:
    """Cells of a table's row: a pipe divides, in code too, unless a backslash stands before it."""
    return len(re.findall(r"(?<!\\)\|", row.strip().strip("|"))) + 1


def broken_rows(page: Path) -> list[str]:
    """Rows that have not the number of cells of their table's head: GitHub cuts or fills them in silence."""
    wrong, width, above = [], 0, ""
    for line in prose(page).splitlines():
        if re.fullmatch(r"\|?(\s*:?-+:?\s*\|)+\s*(:?-+:?\s*)?", line.strip()) and above.startswith("|"):
            width = cells(line)
            wrong += [above] if cells(above) != width else []
        elif line.startswith("|") and width:
            wrong += [line] if cells(line) != width else []
        elif not line.startswith("|"):
            width = 0
        above = line
    return wrong
