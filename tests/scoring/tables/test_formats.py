"""Markdown, LaTeX and HTML of the same sheets: read back, with hostile names in them."""

import html.parser
import re
import shutil
import subprocess

import pytest

from ser.scoring.tables.formats import html_sheets, latex, latex_text, markdown_sheets
from ser.scoring.tables.sheet import ADDED, MEASURED, QUOTED, Entry, Line, Sheet

HOSTILE = r"a_b 5% R&D #1 $x$ {y} ~z ^2 \input{/etc/passwd} <script>alert(1)</script> | *[c]"
SHEET = Sheet(
    f"Emotion {HOSTILE}",
    ("Upstream", "System"),
    ("mini_1 & co", "emodb"),
    (
        Line(MEASURED, (HOSTILE, "emotion"), (Entry(".632", "[.602, .652]"), Entry())),
        Line(ADDED, ("[bracket]", "theirs"), (Entry(".7", "[.6, .8]"), Entry(".9"))),
        Line(QUOTED, ("*star", "quoted: X"), (Entry(".71"), Entry())),
    ),
    (f"A note {HOSTILE}", "Another 95 %"),
)
COMMAND = "ser benchmark table x\n\\newpage"


class Rows(html.parser.HTMLParser):
    """The cells of every row, its class, and the elements of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.tags, self.open = [], [], False

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append((dict(attributes).get("class"), []))
        elif tag in ("td", "th"):
            self.rows[-1][1].append("")
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][1][-1] += data


def test_html_reads_back_with_every_name_as_it_was():
    parsed = Rows()
    parsed.feed(html_sheets([SHEET], HOSTILE, COMMAND))
    assert parsed.rows == [
        (None, ["Upstream", "System", "mini_1 & co", "emodb"]),
        ("measured", [HOSTILE, "emotion", ".632 [.602, .652]", "–"]),
        ("added", ["[bracket] †", "theirs", ".7 [.6, .8]", ".9"]),
        ("quoted", ["*star", "quoted: X", ".71", "–"]),
    ]
    assert not {"script", "b", "strong", "link", "img"} & set(parsed.tags)


def test_html_fetches_nothing_and_sets_quoted_rows_in_italics():
    text = html_sheets([SHEET], "t", "c")
    assert "http" not in text and "tr.quoted th, tr.quoted td { font-style: italic" in text


def test_markdown_has_as_many_cells_in_every_row():
    text = markdown_sheets([SHEET], "t", COMMAND)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert [len(row) for row in rows] == [4] * 5
    assert "<script" not in text and "**" not in text
    assert [cell.strip() for cell in rows[4]] == [r"*\*star*", "*quoted: X*", "*.71*", "–"]


def test_latex_escapes_what_is_special():
    assert latex_text("a_b & 5 % #1 $") == r"a\_b \& 5 \% \#1 \$"
    assert latex_text("\\x{y}~^") == r"\textbackslash{}x\{y\}\textasciitilde{}\textasciicircum{}"
    assert latex_text("a\n\tb\x00") == "a b "


def without_commands(text: str) -> str:
    """LaTeX without escaped characters, so that only its own structure is left."""
    return re.sub(r"\\[\\{}$&#_%]", "", text)


def test_latex_is_booktabs_with_as_many_cells_in_every_row():
    text = latex([SHEET], HOSTILE, COMMAND)
    for word in (r"\toprule", r"\bottomrule", r"\begin{tabular}{llrr}", r"\end{table}", r"\caption{"):
        assert text.count(word) == 1, word
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [without_commands(row).count("&") for row in rows] == [3] * 4
    assert text.count(r"\midrule") == 2, "one under the header, one above quoted rows"
    assert rows[3].startswith(r"\textit{*star}") and r"\textit{.71}" in rows[3] and rows[3].endswith(r"-- \\")
    assert rows[2].startswith("{[bracket]"), "or the row's end before it would take it for an argument"
    comments, rest = text.splitlines()[:3], "\n".join(text.splitlines()[3:])
    assert all(line.startswith("%") for line in comments), "a name cannot end its comment"
    assert r"\textbf" not in rest and r"\input" not in rest and r"\textbackslash{}input" in rest
    plain = without_commands(rest)
    assert plain.count("{") == plain.count("}")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no LaTeX")
def test_latex_compiles(tmp_path):
    body = latex([SHEET], HOSTILE, COMMAND)
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + body + "\\end{document}\n"
    )
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True
    )
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
