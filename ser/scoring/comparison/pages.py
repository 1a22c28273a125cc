"""A comparison as files: comparison.md, comparison.csv, positions.csv, positions.svg."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ser.core.files import write_text
from ser.scoring.comparison.compare import Comparison, Row
from ser.scoring.comparison.multiple import rank_text
from ser.scoring.comparison.notes import facts, fold_notes, position_note
from ser.scoring.comparison.paired import Estimate
from ser.scoring.comparison.pictures import picture
from ser.scoring.schema import Value
from ser.scoring.tables.table import escaped
from ser.scoring.text import NOTHING, p_text, shown, with_interval

CSV_HEADER = (
    "label", "metric", "system", "reference", "seeds", "value", "low", "high", "difference",
    "difference_low", "difference_high", "p", "p_holm", "rank_low", "rank_high", "undefined_draws", "folds",
    "t", "p_t", "p_t_holm", "p_sign_flip", "p_sign_flip_holm", "sign_flip_floor", "utterances", "clusters",
    "unit", "where",
)  # fmt: skip
POSITIONS_HEADER = (
    "label", "metric", "position", "first", "last", "system", "utterances", "clusters", "value", "low",
    "high", "difference", "difference_low", "difference_high",
)  # fmt: skip
POSITION_FILES = ("positions.csv", "positions.svg")
REFERENCE = "reference"


def write_comparison(found: Comparison, out: Path, command: str) -> tuple[str, list[Path]]:
    """Write the files.

    Args:
        found: the comparison.
        out: the folder; made when absent.
        command: what a reader types to make the files again.

    Returns:
        The text of comparison.md, and the files written.
    """
    text = markdown(found, command)
    contents = {"comparison.md": text, "comparison.csv": _csv(CSV_HEADER, _csv_rows(found))}
    if any(part.positions for part in found.parts):
        contents["positions.csv"] = _csv(POSITIONS_HEADER, _position_rows(found))
        contents["positions.svg"] = picture(found)
    for name, content in contents.items():
        write_text(out / name, content)
    for name in POSITION_FILES:
        if name not in contents:  # of an earlier comparison
            (out / name).unlink(missing_ok=True)
    return text, [out / name for name in contents]


def markdown(found: Comparison, command: str) -> str:
    """comparison.md: what was compared and how, a table for each label and metric."""
    reference = found.parts[0].rows[0].system
    page = [f"# Comparison with {escaped(reference)}", "", "Made by", ""]
    page += [f"    {line}" for line in command.splitlines()]
    page += ["", "Do not edit: every number is computed from predictions.", ""]
    page += [f"- {fact}" for fact in facts(found)]
    for part in found.parts:
        page += ["", f"## {part.task.title}: {part.metric}", ""]
        page += _table(
            ["System", part.metric, f"Difference to {reference}", "p", "p Holm", "Rank"],
            [_cells(row, part.metric) for row in part.rows],
        )
        tested = [row for row in part.rows if row.folds is not None]
        if tested:
            header = ["Over folds", "Mean difference", "sd", "t", "p of t", "Holm", "p of sign flips", "Holm"]
            page += ["", *_table(header, [_fold_cells(row, part.metric) for row in tested])]
            page += ["", *(f"- {note}" for note in fold_notes(tested))]
    if any(part.positions for part in found.parts):
        page += ["", "## By position", "", "![by position](positions.svg)", "", position_note(found)]
    return "\n".join(page) + "\n"


def _cells(row: Row, metric: str) -> list[str]:
    """A row of the main table."""
    gap = row.difference
    return [
        row.system, _shown(row.value, metric), REFERENCE if gap is None else _shown(gap, metric),
        NOTHING if gap is None else p_text(gap.p), NOTHING if gap is None else p_text(row.p_holm),
        rank_text(row.rank),
    ]  # fmt: skip


def _fold_cells(row: Row, metric: str) -> list[str]:
    """A row of the table over folds."""
    test = row.folds
    assert test is not None  # the table has no other rows
    return [
        row.system, shown(test.difference, metric), shown(test.deviation, metric),
        NOTHING if test.t is None else f"{test.t:.2f}", p_text(test.p_t), p_text(row.p_t_holm),
        p_text(test.p_flip, 4), p_text(row.p_flip_holm, 4),
    ]  # fmt: skip


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in GitHub's Markdown, numbers to the right."""
    found = ["| " + " | ".join(map(escaped, header)) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return found + ["| " + " | ".join(map(escaped, row)) + " |" for row in rows]


def _shown(estimate: Estimate, metric: str) -> str:
    """``.923 [.900, .945]``."""
    return with_interval(Value(estimate.value, estimate.low, estimate.high, estimate.undefined, []), metric)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_full(cell) for cell in row] for row in rows)
    return stream.getvalue()


def _csv_rows(found: Comparison) -> Iterable[list[object]]:
    """comparison.csv; an empty field is unknown, undefined or not tested."""
    for part in found.parts:
        for row in part.rows:
            gap, test = row.difference, row.folds
            yield [
                part.task.name, part.metric, row.system, part.rows[0].system, " ".join(map(str, row.seeds)),
                row.value.value, row.value.low, row.value.high,
                *((gap.value, gap.low, gap.high, gap.p) if gap else [None] * 4), row.p_holm, *row.rank,
                max(row.value.undefined, gap.undefined if gap else 0),
                *((test.folds, test.t, test.p_t, row.p_t_holm, test.p_flip, row.p_flip_holm, test.floor)
                  if test else [None] * 7),
                len(part.task.rows), part.task.clusters, found.how.unit, " ".join(found.where),
            ]  # fmt: skip


def _position_rows(found: Comparison) -> Iterable[list[object]]:
    """positions.csv."""
    for part in found.parts:
        for kind, curves in part.positions.items():
            for row, curve in zip(part.rows, curves, strict=True):
                for point in curve:
                    value, gap = point.value, point.difference
                    yield [
                        part.task.name, part.metric, kind, point.first, point.last, row.system,
                        point.utterances, point.clusters, value.value, value.low, value.high,
                        *((gap.value, gap.low, gap.high) if gap else [None] * 3),
                    ]  # fmt: skip


def _full(cell: object) -> object:
    """Six digits of a number, nothing for None."""
    return "" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else cell
