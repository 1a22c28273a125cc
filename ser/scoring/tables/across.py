"""Systems on several corpora: a row for each upstream and system, a column for each corpus.

A column is what a ``Benchmark`` is: one corpus, set and protocol, the same utterances for all. Systems that
use the test speaker's other audio stand in tables of their own. The metric is the label's first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ser.core.columns import align
from ser.core.errors import UserError
from ser.core.files import write_text
from ser.scoring.tables.formats import html_sheets, latex, markdown_sheets
from ser.scoring.tables.quoted import QuotedRow, read_quotations
from ser.scoring.tables.rows import Benchmark, Row, Source, Table, read_benchmarks
from ser.scoring.tables.sheet import ADDED, MEASURED, QUOTED, Entry, Line, Sheet, notes_on_kinds, plain_facts
from ser.scoring.tables.table import comma_separated
from ser.scoring.text import NOTHING

NO_CLAIM = (
    "Rows stand in the order of the upstreams, not of their figures. Systems whose intervals overlap are not"
    " told apart here; 'ser benchmark compare' tests differences."
)
HOLE = f"{NOTHING}: not scored."


def write_across(
    sources: Sequence[Path | Source],
    out: Path,
    title: str,
    command: str,
    quoted: Sequence[Path] = (),
    order: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> tuple[str, list[Path]]:
    """Write the tables as grid.md, grid.csv, grid.tex and grid.html.

    Args:
        sources: experiments, or files of scores.
        out: folder to write to.
        title: heading.
        command: what a reader types to make them again.
        quoted: files of published figures to stand under ours.
        order: short names of upstreams as their rows are to stand; others follow, by name.
        notes: what else is to be said under every table.

    Returns:
        the tables for the terminal, and the files written.

    Raises:
        UserError: for experiments that are not scored or cannot be compared; nothing is written then.
    """
    benchmarks = read_benchmarks(sources, read_quotations(quoted))
    sheets = across(benchmarks, order, notes)
    texts = {
        "grid.md": markdown_sheets(sheets, title, command),
        "grid.csv": comma_separated(benchmarks),
        "grid.tex": latex(sheets, title, command),
        "grid.html": html_sheets(sheets, title, command),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return terminal_sheets(sheets), [out / name for name in texts]


def across(
    benchmarks: Sequence[Benchmark], order: Sequence[str] = (), notes: Sequence[str] = ()
) -> list[Sheet]:
    """A sheet for each label and each kind of system that hears as much.

    Args:
        benchmarks: the columns.
        order: of the upstreams.
        notes: under every table.

    Raises:
        UserError: when two systems of one corpus have one name.
    """
    kinds = dict.fromkeys(
        (table.task, table.transductive) for benchmark in benchmarks for table in benchmark.tables
    )
    sheets = []
    for kind in kinds:
        columns = [
            (benchmark, table) for benchmark in benchmarks for table in benchmark.tables
            if (table.task, table.transductive) == kind
        ]  # fmt: skip
        sheets.append(_sheet(columns, order, notes))
    return sheets


def terminal_sheets(sheets: Sequence[Sheet]) -> str:
    """The sheets with columns that line up; quoted rows say so in their name."""
    lines = []
    for sheet in sheets:
        rows = [[*sheet.heads, *sheet.columns]]
        rows += [[*line.heads, *map(str, line.entries)] for line in sheet.lines]
        lines += [sheet.title, *align(rows, right=range(len(sheet.heads), len(rows[0])), indent="  "), ""]
    return "\n".join(lines).rstrip()


def _sheet(columns: Sequence[tuple[Benchmark, Table]], order: Sequence[str], notes: Sequence[str]) -> Sheet:
    """One label's table."""
    metric = columns[0][1].metrics[0]
    measured: dict[tuple[str, str, bool], list[Row | None]] = {}
    quoted: dict[tuple[str, str], list[QuotedRow | None]] = {}
    for place, (benchmark, table) in enumerate(columns):
        for row in table.rows:
            own = measured.setdefault((row.upstream, system_of(row), row.added), [None] * len(columns))
            if own[place] is not None:
                hint = "Give one of them another name: --add NAME=FILE"
                what = f"two systems on {benchmark.title} have one name"
                raise UserError(what, value=row.scores.experiment, hint=hint)
            own[place] = row
        for found in table.quoted:
            key = (found.system.upstream or NOTHING, f"quoted: {found.system.system}")
            quoted.setdefault(key, [None] * len(columns))[place] = found
    lines = [
        Line(
            ADDED if key[2] else MEASURED,
            key[:2],
            tuple(Entry.of(row and row.metrics[metric], metric) for row in rows),
        )
        for key, rows in sorted(measured.items(), key=lambda item: _place(item[0], order))
    ]
    lines += [
        Line(QUOTED, key, tuple(Entry(row.cell(metric)) if row else Entry() for row in rows))
        for key, rows in quoted.items()
    ]
    sources = [row.quotation.source for rows in quoted.values() for row in rows if row]
    holes = [HOLE] if any(entry.value == NOTHING for line in lines for entry in line.entries) else []
    names = _names([benchmark for benchmark, _ in columns])
    table = columns[0][1]
    special = ", with the test speaker's other audio (transductive)" if table.transductive else ""
    return Sheet(
        f"{table.task[:1].upper()}{table.task[1:]}{special}: {metric}",
        ("Upstream", "System"),
        tuple(names),
        tuple(lines),
        (
            *(f"{name}: {_told(each)}" for name, each in zip(names, columns, strict=True)),
            *_systems(measured.items()), *holes, *notes_on_kinds(lines, sources), NO_CLAIM, *notes,
        ),
    )  # fmt: skip


def system_of(row: Row) -> str:
    """The experiment's name without its upstream's: ``emotion_mlp``."""
    return row.scores.experiment.removeprefix(f"{row.upstream}_")


def _place(key: tuple[str, str, bool], order: Sequence[str]) -> tuple[int, str, bool, str]:
    upstream, system, added = key
    return (order.index(upstream) if upstream in order else len(order), upstream, added, system)


def _names(benchmarks: Sequence[Benchmark]) -> list[str]:
    """Corpus, release and set; the protocol too, where that is not enough to tell two apart."""
    titles = [benchmark.title for benchmark in benchmarks]
    return [
        title if titles.count(title) == 1 else f"{title}, {benchmark.protocol}"
        for title, benchmark in zip(titles, benchmarks, strict=True)
    ]


def _told(column: tuple[Benchmark, Table]) -> str:
    """The label, and what was scored and how."""
    benchmark, table = column
    return f"{table.label}. {' '.join(plain_facts(benchmark))}"


def _systems(found: Iterable[tuple[tuple[str, str, bool], list[Row | None]]]) -> list[str]:
    """What each system is, in the words of its own info.yaml."""
    told: dict[str, dict[str, None]] = {}
    for (_, system, _), rows in found:
        told.setdefault(system, {}).update((row.method, None) for row in rows if row)
    return [f"{system}: {' / '.join(methods)}." for system, methods in told.items()]
