"""The tables of a benchmark: those of its cells that are done, and no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ser.benchmark.config import Grid
from ser.benchmark.plan import Cell
from ser.core.errors import UserError
from ser.scoring.tables.across import write_across
from ser.scoring.tables.rows import Source


def write_tables(
    grid: Grid,
    cells: Sequence[Cell],
    done: Collection[Cell],
    command: str,
    out: Path | None = None,
    added: Mapping[str, Path] | None = None,
    quoted: Sequence[Path] = (),
) -> tuple[str, list[Path]]:
    """Write grid.md, grid.csv, grid.tex and grid.html.

    Args:
        grid: the benchmark.
        cells: all of them that are wanted.
        done: those that are up to date; the others are named under the tables, and have no figure.
        command: what a reader types to make them again.
        out: folder; by default the benchmark's.
        added: further scores.json files of others, by the names of their rows.
        quoted: further files of published figures.

    Returns:
        the tables for the terminal, and the files written.

    Raises:
        UserError: when no cell is done, or one cannot be compared with the others of its corpus.
    """
    if not done:
        hint = "Run 'ser benchmark run' first"
        raise UserError("nothing to show: no cell is done", file=grid.file, hint=hint)
    recipes = {cell.part.folder for cell in cells}
    shared = Counter(folder.parent for folder in recipes)  # corpora with several recipes
    sources = []
    for cell in done:
        twice = shared[cell.part.folder.parent] > 1
        sources.append(Source(cell.folder, f"{cell.name} ({cell.part.folder.name})" if twice else cell.name))
    others = {**grid.added, **(added or {})}
    sources += [Source(path, name, added=True) for name, path in others.items()]
    left = [cell.label for cell in cells if cell not in done]
    notes = [f"Not done or not up to date, hence not shown: {', '.join(left)}."] if left else []
    order = dict.fromkeys(cell.part.tag(cell.upstream) for cell in cells)
    return write_across(
        sources, out or grid.out, grid.title,
        command,
        [*grid.quoted, *quoted], list(order), notes,
    )  # fmt: skip
