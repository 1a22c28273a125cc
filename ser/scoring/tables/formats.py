"""Sheets as Markdown, LaTeX (booktabs) and HTML; whatever stands in a name is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ser.core import page
from ser.scoring.tables.sheet import ADDED, QUOTED, Line, Sheet
from ser.scoring.tables.table import escaped
from ser.scoring.text import NOTHING

PACKAGE = __package__
DAGGER = " †"
# What is special in LaTeX's text, and what its fonts call otherwise.
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "–": "--", "×": r"$\times$",
    "†": r"$^\dagger$", "±": r"$\pm$",
}  # fmt: skip


def markdown_sheets(sheets: Sequence[Sheet], title: str, command: str) -> str:
    """The sheets in GitHub's Markdown, with the command that makes them; quoted rows in italics."""
    lines = [f"# {title}", "", "Made by", "", *(f"    {line}" for line in command.splitlines()), ""]
    lines.append("Do not edit: every number is read from scores.json.")
    for sheet in sheets:
        lines += ["", f"## {escaped(sheet.title)}", ""]
        lines.append("| " + " | ".join(map(escaped, (*sheet.heads, *sheet.columns))) + " |")
        lines.append("|" + "---|" * len(sheet.heads) + "---:|" * len(sheet.columns))
        for line in sheet.lines:
            cells = map(_markdown_cell, (*marked_heads(line), *map(str, line.entries)))
            if line.kind == QUOTED:
                cells = (f"*{cell}*" if cell != NOTHING else cell for cell in cells)
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", *(f"- {escaped(note)}" for note in sheet.notes)]
    return "\n".join(lines) + "\n"


def _markdown_cell(text: str) -> str:
    """A cell whose text sets nothing in italics or bold by itself."""
    return escaped(text).replace("*", "\\*")


def latex(sheets: Sequence[Sheet], title: str, command: str) -> str:
    r"""The sheets as ``table`` environments for a paper with ``\usepackage{booktabs}``.

    Intervals are small, rows of papers in italics under a rule of their own; notes stand under the table.
    """
    lines = [f"% {_one_line(title)}", f"% Made by {_one_line(command)}"]
    lines.append(r"% Needs \usepackage{booktabs}")
    for sheet in sheets:
        lines += ["", r"\begin{table}", r"\centering", rf"\caption{{{latex_text(sheet.title)}}}"]
        lines.append(rf"\begin{{tabular}}{{{'l' * len(sheet.heads)}{'r' * len(sheet.columns)}}}")
        lines.append(r"\toprule")
        lines.append(_latex_row([latex_text(name) for name in (*sheet.heads, *sheet.columns)]))
        lines.append(r"\midrule")
        for number, line in enumerate(sheet.lines):
            if line.kind == QUOTED and number and sheet.lines[number - 1].kind != QUOTED:
                lines.append(r"\midrule")
            lines.append(_latex_row(_latex_cells(line)))
        lines += [r"\bottomrule", r"\end{tabular}"]
        if sheet.notes:
            notes = "\n".join(map(latex_text, sheet.notes))
            lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", notes]
            lines.append(r"\end{minipage}")
        lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def html_sheets(sheets: Sequence[Sheet], title: str, command: str) -> str:
    """The sheets as a page that stands alone, light and dark; rows of papers in italics."""
    return page.render(
        PACKAGE, "sheets.html", {"marked_heads": marked_heads},
        title=title, command=command, sheets=sheets, style=page.style(PACKAGE, "sheets.css"),
    )  # fmt: skip


def marked_heads(line: Line) -> tuple[str, ...]:
    """What a row is of; † behind the first of one that was not run here."""
    mark = DAGGER if line.kind == ADDED else ""
    return (line.heads[0] + mark, *line.heads[1:])


def latex_text(text: str) -> str:
    r"""Text that LaTeX prints as it stands.

    >>> latex_text("hubert_base & 95 %")
    'hubert\\_base \\& 95 \\%'
    """
    return "".join(LATEX.get(character, character) for character in _one_line(text))


def _latex_cells(line: Line) -> list[str]:
    """The cells of a row."""
    cells = [latex_text(head) for head in marked_heads(line)]
    for entry in line.entries:
        interval = rf" {{\scriptsize {latex_text(entry.interval)}}}" if entry.interval else ""
        cells.append(latex_text(entry.value) + interval)
    if line.kind == QUOTED:
        return [rf"\textit{{{cell}}}" if cell != LATEX[NOTHING] else cell for cell in cells]
    return cells


def _latex_row(cells: Sequence[str]) -> str:
    r"""A line of a tabular; ``\\`` takes a [ or * that begins the next one for its own."""
    first = f"{{{cells[0]}}}" if cells[0].startswith(("[", "*")) else cells[0]
    return " & ".join([first, *cells[1:]]) + r" \\"


def _one_line(text: str) -> str:
    """Without line ends, which would end a comment too, and other control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
