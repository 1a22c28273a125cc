"""A benchmark in the terminal: what is there of it before, what has become of it after."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ser.benchmark.journal import DONE, FAILED
from ser.benchmark.plan import MISSING, STALE, Plan
from ser.benchmark.run import BLOCKED, SKIPPED, Outcome
from ser.core.columns import align
from ser.scoring.text import counted


def show_plan(plan: Plan) -> str:
    """The grid, a line a cell: done, stale or missing, its trained seeds, and why it is to be done."""
    rows = [["recipe", "upstream", "configuration", "state", "seeds", "why"]]
    for each in plan.cells:
        cell = each.cell
        trained = f"{each.trained}/{len(cell.part.seeds)}"
        rows.append([cell.part.label, cell.upstream, cell.config, each.state, trained, each.reason])
    counts = Counter(each.state for each in plan.cells)
    total = ", ".join(f"{state} {counts[state]}" for state in (DONE, STALE, MISSING))
    return "\n".join([*align(rows), "", f"{counted(len(plan.cells), 'cell')}: {total}"])


def show_outcome(outcome: Outcome) -> str:
    """A task that has ended, as one line; nothing for one that had nothing to do."""
    if outcome.state == SKIPPED:
        return ""
    line = f"{outcome.task.name}: {outcome.state}"
    if outcome.state == BLOCKED:
        return f"{line}, {outcome.by} having failed"
    line += f" in {outcome.seconds:.0f} s"
    return f"{line}: {outcome.line}" if outcome.state == FAILED else line


def failed_cells(outcomes: Sequence[Outcome]) -> int:
    """Cells that have failed, or could not begin."""
    return sum(outcome.task.cell is not None and outcome.state in (FAILED, BLOCKED) for outcome in outcomes)


def show_summary(outcomes: Sequence[Outcome]) -> str:
    """``done 12, skipped 30, failed 2``, in cells; then what has failed: cause, log, who waits for it."""
    counts = Counter(outcome.state for outcome in outcomes if outcome.task.cell)
    lines = [f"done {counts[DONE]}, skipped {counts[SKIPPED]}, failed {failed_cells(outcomes)}"]
    for outcome in outcomes:
        if outcome.state != FAILED:
            continue
        held = [each.task.name for each in outcomes if each.by == outcome.task.name and each.task.cell]
        lines += ["", f"failed: {outcome.task.name}"]
        lines += [f"    {outcome.line}"] if outcome.line else []
        lines += [f"    log: {shown_path(outcome.log)}"] if outcome.log else []
        lines += [f"    keeps back: {', '.join(held)}"] if held else []
    return "\n".join(lines)


def shown_path(path: Path) -> str:
    """A path as it is short to read: from here, if it is below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else os.fspath(path)


def shown_command(argv: Sequence[str]) -> str:
    """``ser benchmark ...`` as anyone would type it: without this machine's folders."""
    words = []
    for word in argv:
        name, equals, path = word.partition("=")
        if equals and path.startswith(("/", "~")):
            word = (
                f"{name}=<folder>" if Path(path).suffix != ".json" else f"{name}=<folder>/{Path(path).name}"
            )
        elif word.startswith(("/", "~")):
            word = Path(word).name
        words.append(word if "<folder>" in word else shlex.quote(word))
    return " ".join(["ser", "benchmark", *words])
