"""Tables as rows of text, before they are Markdown, LaTeX or HTML (``ser.scoring.tables.formats``).

A row is measured here, added (a colleague's scores.json) or quoted from a paper; each kind has its own style
wherever it is printed, and no row of any kind is set in bold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ser.scoring.schema import Value
from ser.scoring.tables.quoted import QuotedRow
from ser.scoring.tables.rows import Benchmark, Row, Table
from ser.scoring.tables.table import facts, parameters_cell
from ser.scoring.text import NOTHING, with_interval

MEASURED, ADDED, QUOTED = "measured", "added", "quoted"
ADDED_NOTE = "Read from a scores.json that was handed in; not run here."


@dataclass(frozen=True)
class Entry:
    """A figure, and its interval where it has one."""

    value: str = NOTHING
    interval: str = ""

    @classmethod
    def of(cls, value: Value | None, metric: str) -> Entry:
        """A metric as the tables print it."""
        if value is None:
            return cls()
        figure, _, interval = with_interval(value, metric).partition(" ")
        return cls(figure, interval)

    def __str__(self) -> str:
        return f"{self.value} {self.interval}".rstrip()


@dataclass(frozen=True)
class Line:
    """A row.

    Attributes:
        kind: ``measured``, ``added`` or ``quoted``.
        heads: what it is of, a text for each of the sheet's ``heads``.
        entries: a figure for each of the sheet's ``columns``.
    """

    kind: str
    heads: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        title: what is measured.
        heads: names of the columns of text.
        columns: names of the columns of figures.
        lines: quoted ones last.
        notes: how to read it, a sentence each.
    """

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def table_sheets(benchmarks: Sequence[Benchmark]) -> list[Sheet]:
    """Every table of RESULTS.md: a row a system, a column a metric."""
    return [_sheet(benchmark, table) for benchmark in benchmarks for table in benchmark.tables]


def plain_facts(benchmark: Benchmark) -> list[str]:
    """What was scored and how, without Markdown."""
    return [fact.replace("**", "") for fact in facts(benchmark)]


def notes_on_kinds(lines: Sequence[Line], sources: Sequence[str]) -> list[str]:
    """What the kinds of rows are that are not measured here."""
    notes = [f"†: {ADDED_NOTE}"] if any(line.kind == ADDED for line in lines) else []
    if sources:
        notes.append(
            f"In italics: figures printed in {'; '.join(dict.fromkeys(sources))}; not measured here, without"
            " intervals, and not ranked among ours."
        )
    return notes


def _sheet(benchmark: Benchmark, table: Table) -> Sheet:
    """One table of one corpus and set."""
    lines = [_measured(row, table.metrics) for row in table.rows]
    lines += [_quoted(row, table.metrics) for row in table.quoted]
    kinds = notes_on_kinds(lines, [row.quotation.source for row in table.quoted])
    return Sheet(
        f"{benchmark.title}: {table.title}",
        ("Upstream", "Method", "Parameters"),
        table.metrics,
        tuple(lines),
        (*plain_facts(benchmark), *kinds),
    )


def _measured(row: Row, metrics: Sequence[str]) -> Line:
    entries = tuple(Entry.of(row.metrics[metric], metric) for metric in metrics)
    heads = (row.upstream, row.method, parameters_cell(row))
    return Line(ADDED if row.added else MEASURED, heads, entries)


def _quoted(row: QuotedRow, metrics: Sequence[str]) -> Line:
    heads = (row.system.upstream or NOTHING, row.method, NOTHING)
    return Line(QUOTED, heads, tuple(Entry(row.cell(metric)) for metric in metrics))
