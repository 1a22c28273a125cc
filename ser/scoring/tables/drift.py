"""Whether pages show what was scored: RESULTS.md against scores.jsonl, other pages against RESULTS.md.

A page shows rows of a RESULTS.md between two comments, and a table there is made, not typed:

    <!-- table egs/emodb/ser1/RESULTS.md; Emotion, 7 classes; fbank_emotion mfcc_emotion -->
    | Upstream | Method | UAR | ...
    <!-- end -->

The file is named from the repository's root; then come the heading of the table, and the experiments that are
shown, best first as in RESULTS.md; without them, all.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import write_text
from ser.data.wording import first_few
from ser.scoring.schema import Scores, Value
from ser.scoring.tables.published import FILE, read_published
from ser.scoring.tables.quoted import read_quotations
from ser.scoring.tables.rows import benchmarks_of, read_scores
from ser.scoring.tables.table import markdown

RESULTS, QUOTED = "RESULTS.md", Path("conf/quoted.yaml")
# At the start of a line: what is indented is an example of a mark.
BLOCK = re.compile(
    r"^(<!-- table (?P<what>[^\n]*?) -->\n)(?P<body>.*?)^(<!-- end -->)", re.DOTALL | re.MULTILINE
)
# Shares of an interval's width that a value may move by (about a standard error), and an end of the interval.
VALUE, END = 0.25, 0.5
HEADING = re.compile(r"#{3} (?P<title>.*)")


@dataclass(frozen=True)
class Drift:
    """A page that does not show what was scored.

    Attributes:
        page: the file.
        text: as it should be.
        difference: lines of a unified diff, from what it is to what it should be.
    """

    page: Path
    text: str
    difference: list[str]


def check_page(page: Path, root: Path) -> Drift | None:
    """A page's tables against what they come from; None when they agree.

    Args:
        page: RESULTS.md, which is checked as a whole, or any other page with marked tables.
        root: the folder that marked tables name their RESULTS.md from.

    Raises:
        UserError: when what a page comes from is missing, or has not what the page names.
    """
    if not page.is_file():
        raise UserError("no such page", file=page)
    text = page.read_text(encoding="utf-8")
    expected = remade_results(page, text) if page.name == RESULTS else remade_page(page, text, root)
    if text == expected:
        return None
    lines = difflib.unified_diff(
        text.splitlines(), expected.splitlines(), "is", "should be", lineterm="", n=0
    )
    return Drift(page, expected, list(lines))


def write_page(drift: Drift) -> None:
    """Mend a page."""
    write_text(drift.page, drift.text)


def remade_results(page: Path, text: str) -> str:
    """RESULTS.md made again from scores.jsonl beside it; its title and command are what it says itself."""
    found = re.match(r"# (?P<title>.*)\n\nMade by\n\n(?P<command>(?: {4}.*\n)+)", text)
    if found is None:
        raise UserError("not as 'ser benchmark table' writes it: no title and command", file=page, line=1)
    command = "\n".join(line[4:] for line in found["command"].splitlines())
    quoted = page.parent / QUOTED
    quotations = read_quotations([quoted] if quoted.is_file() else [])
    return markdown(benchmarks_of(read_published(page.parent / FILE), quotations), found["title"], command)


def remade_page(page: Path, text: str, root: Path) -> str:
    """A page with its marked tables made again."""

    def made(block: re.Match[str]) -> str:
        line = text[: block.start()].count("\n") + 1
        rows = _table(page, line, block["what"], root)
        return block[1] + "".join(f"{row}\n" for row in rows) + block[4]

    return BLOCK.sub(made, text)


def _table(page: Path, line: int, what: str, root: Path) -> list[str]:
    """The lines of a marked table."""
    source, _, rest = what.partition(";")
    title, _, names = rest.partition(";")
    tables = results_tables(root / source.strip())
    if title.strip() not in tables:
        raise UserError(f"no table of that name in {source}", file=page, line=line, value=title.strip(),
                        hint=f"There are: {'; '.join(tables)}")  # fmt: skip
    head, rows = tables[title.strip()][:2], tables[title.strip()][2:]
    wanted = names.split()
    if not wanted:
        return head + rows
    by_name = {row.rsplit("|", 2)[1].strip(): row for row in rows}
    if unknown := [name for name in wanted if name not in by_name]:
        raise UserError(f"{source} has no row of {first_few(unknown)}", file=page, line=line)
    return head + [row for name, row in by_name.items() if name in wanted]


def results_tables(path: Path) -> dict[str, list[str]]:
    """Tables of a RESULTS.md by their headings: header, rule, rows. Of two headings alike, the first.

    Raises:
        UserError: when it is missing.
    """
    if not path.is_file():
        raise UserError("no such RESULTS.md", file=path)
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.fullmatch(text):
            current = []
            found.setdefault(heading["title"], current)
        elif text.startswith("|"):
            current.append(text)
    return found


def check_run(page: Path, folders: list[Path]) -> list[str]:
    """What experiments that were run again scored, against scores.jsonl beside a RESULTS.md.

    Another processor rounds otherwise, and by that another epoch or learning rate may be chosen: a metric may
    move by a standard error, a quarter of its interval's width, and the interval's ends by half. Without
    one it must be equal to three decimals. What a clock measures is not compared.

    Args:
        page: the RESULTS.md.
        folders: experiments with scores.json; those that RESULTS.md does not have are left out.

    Returns:
        What differs, a line an experiment and metric; nothing when all agree.

    Raises:
        UserError: when none of the experiments is in RESULTS.md.
    """
    known = {(scores.experiment, scores.data.set): scores for scores in read_published(page.parent / FILE)}
    pairs = [
        (known[key], scores)
        for folder in folders
        for scores in read_scores(folder)
        if (key := (scores.experiment, scores.data.set)) in known
    ]
    if not pairs:
        raise UserError(
            "none of these experiments is in it", file=page, value=folders[0] if folders else None
        )
    return [line for was, now in pairs for line in _differences(was, now)]


def _differences(was: Scores, now: Scores) -> list[str]:
    """What two runs of one experiment scored differently."""
    before, after = _metrics(was), _metrics(now)
    return [
        f"{now.experiment}, {name}, {metric}: {_shown(before.get((name, metric)))} in RESULTS.md, "
        f"{_shown(after.get((name, metric)))} now"
        for name, metric in sorted({*before, *after})
        if not _agree(before.get((name, metric)), after.get((name, metric)))
    ]


def _metrics(scores: Scores) -> dict[tuple[str, str], Value]:
    """(label, metric) -> value."""
    parts = {"emotion": scores.classification, **scores.attributes}
    return {
        (name, metric): value
        for name, part in parts.items() if part for metric, value in part.metrics.items()
    }  # fmt: skip


def _agree(was: Value | None, now: Value | None) -> bool:
    """Whether a second run's value, and its interval's ends, are those of the first but for rounding."""
    if was is None or now is None:
        return was is now
    before, after = ((each.value, each.low, each.high) for each in (was, now))
    if None in before or None in after:
        return [_three(x) for x in before] == [_three(x) for x in after]
    width = was.high - was.low
    return all(
        abs(x - y) <= share * width for x, y, share in zip(before, after, (VALUE, END, END), strict=True)
    )


def _shown(value: Value | None) -> str:
    """A value with its interval, for a message."""
    if value is None:
        return "nothing"
    return f"{_three(value.value)} [{_three(value.low)}, {_three(value.high)}]"


def _three(x: float | None) -> str:
    """To three decimals."""
    return "undefined" if x is None else f"{x:.3f}"
