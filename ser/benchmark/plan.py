"""A benchmark as tasks: what each recipe's own marks say of its cells, and what is to run, after what.

    data ──> features of an upstream ──> cell (upstream, configuration; all its seeds)
        └──> text (where the recipe has any) ──┘

A task is a call of the recipe's run.sh for some of its stages. What cells share is a task of its own, so that
nothing is made twice and no two tasks of one recipe come to the same item.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from ser.benchmark.config import Grid, Part
from ser.benchmark.journal import DONE, NO_CORPUS, OUTDATED, VARIABLE, Fact, last_words, read_journal
from ser.core.errors import UserError

# Experiments beside the cell's own, which a recipe may have switched on.
NO_OTHERS = [
    word
    for name in ("units", "papt-upstream", "scratch-config", "papt-configs", "adapt", "calibrate", "fuse")
    for word in (f"--{name}", "")
]
STALE, MISSING = "stale", "missing"


@dataclass(frozen=True)
class Cell:
    """An experiment of the grid, with all its seeds."""

    part: Part
    upstream: str
    config: str

    @property
    def name(self) -> str:
        """The experiment's folder, as the engine names it."""
        return self.part.experiment(self.upstream, self.config)

    @property
    def folder(self) -> Path:
        """Where its scores are to be."""
        return self.part.folder / "exp" / self.name

    @property
    def label(self) -> str:
        """``mini/ser1/fbank_emotion``."""
        return f"{self.part.label}/{self.name}"


@dataclass(frozen=True)
class Task:
    """A call of a recipe's run.sh.

    Attributes:
        name: ``mini/ser1/data``; unique.
        words: its arguments.
        after: names of the tasks that must have ended well.
        facts: what its items' marks say now.
        cell: the experiment that it makes, if it makes one.
    """

    name: str
    part: Part
    words: tuple[str, ...]
    after: tuple[str, ...]
    facts: tuple[Fact, ...]
    cell: Cell | None = None

    @property
    def slug(self) -> str:
        """The name of its log."""
        return self.name.replace("/", "_")

    @property
    def fresh(self) -> bool:
        """Whether all its items are up to date."""
        return all(fact.state == DONE for fact in self.facts)


@dataclass(frozen=True)
class CellState:
    """What is there of a cell.

    Attributes:
        state: ``done``, ``stale`` (made from something else than what there is now) or ``missing``.
        trained: how many of its seeds are.
        reason: the first item that is to be done, and why.
    """

    cell: Cell
    state: str
    trained: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """A benchmark, and what is there of it.

    Attributes:
        tasks: by name, each after those it waits for.
        needed: names of those that have something to do, or come after one that has.
        cells: in the order of the file.
    """

    grid: Grid
    tasks: dict[str, Task]
    needed: frozenset[str]
    cells: tuple[CellState, ...]


def make_plan(grid: Grid, only: Sequence[str] = ()) -> Plan:
    """Ask the recipes what is done, and lay out the rest.

    Args:
        grid: the benchmark.
        only: patterns of cells' labels, ``emodb/*`` or ``*/hubert*_emotion``; without any, all.

    Raises:
        UserError: when no cell is left; for a recipe that refuses its options or wants its corpus.
    """
    chosen = {
        part: [cell for cell in _cells(part) if not only or any(_matches(cell, word) for word in only)]
        for part in grid.parts
    }
    if not any(chosen.values()):
        labels = [cell.label for part in grid.parts for cell in _cells(part)]
        hint = f"There are {', '.join(labels[:4])}" + (" ..." if len(labels) > 4 else "")
        raise UserError("no cell is called so", value=" ".join(only), hint=hint)
    tasks: dict[str, Task] = {}
    for part, cells in chosen.items():
        if cells:
            for task in _tasks(part, cells, _facts(part, grid), grid):
                if task.cell and not task.facts:  # no fact is no evidence that it is done
                    raise UserError("the recipe's dry run does not speak of this cell", value=task.name)
                tasks.setdefault(task.name, task)
    needed: set[str] = set()
    for task in tasks.values():  # those that come first stand first
        if not task.fresh or needed.intersection(task.after):
            needed.add(task.name)
    states = [_state(task, tasks, task.name in needed) for task in tasks.values() if task.cell]
    return Plan(grid, tasks, frozenset(needed), tuple(states))


def environment() -> dict[str, str]:
    """What run.sh is to inherit: this environment, that of ``ser`` included."""
    return {"SER_VENV": sys.prefix, **os.environ}


def _matches(cell: Cell, pattern: str) -> bool:
    return fnmatchcase(cell.label, pattern)


def _cells(part: Part) -> list[Cell]:
    return [Cell(part, *pair) for pair in product(part.upstreams, part.configs)]


def options(part: Part, upstreams: Iterable[str], configs: Iterable[str], nj: int) -> tuple[str, ...]:
    """Words for run.sh: these experiments of the recipe and no others."""
    frozen = (" ".join(upstreams), " ".join(configs))
    tuned = ("", "")
    if part.finetune:
        frozen, tuned = tuned, frozen
    root = () if part.db_root is None else ("--db-root", str(part.db_root))
    return (
        *("--upstreams", frozen[0], "--train-configs", frozen[1]),
        *("--finetune-upstreams", tuned[0], "--finetune-configs", tuned[1], *NO_OTHERS),
        *("--seeds", " ".join(map(str, part.seeds)), *root, *part.options, "--nj", str(nj)),
    )


def _facts(part: Part, grid: Grid) -> list[Fact]:
    """What the recipe's dry run says of all its items up to scores.

    Raises:
        UserError: with the recipe's own complaint.
    """
    words = options(part, part.upstreams, part.configs, grid.nj)
    with tempfile.TemporaryDirectory() as folder:
        journal, log = Path(folder) / "journal", Path(folder) / "log"
        with open(log, "wb") as stream:
            code = subprocess.run(
                [part.folder / "run.sh", "--dry-run", "--stop-stage", "score", *words],
                env={**environment(), VARIABLE: str(journal)}, cwd=grid.file.parent,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        facts = read_journal(journal)
        if code:
            what = last_words(log).removeprefix("run.sh: error: ") or f"its run.sh ends with code {code}"
            raise UserError(f"{part.label}: {what}", file=grid.file)
    for fact in facts:
        if fact.state == NO_CORPUS:
            hint = f"Give it: --db-root {part.folder.parent.name}=<folder>, or db_root in the file. "
            what = f"{part.label} wants the folder of its corpus"
            raise UserError(what, file=grid.file, hint=hint + fact.reason)
    return facts


def _tasks(part: Part, cells: Sequence[Cell], facts: Sequence[Fact], grid: Grid) -> Iterable[Task]:
    """The tasks of a part, those that come first first."""

    def of(stages: Sequence[str], *prefixes: str) -> tuple[Fact, ...]:
        return tuple(
            fact for fact in facts
            if fact.stage in stages and (not prefixes or f"{fact.item}/".startswith(prefixes))
        )  # fmt: skip

    def call(first: str, last: str, upstreams: Iterable[str], configs: Iterable[str]) -> tuple[str, ...]:
        return ("--stage", first, "--stop-stage", last, *options(part, upstreams, configs, grid.nj))

    data = Task(
        f"{part.label}/data", part, call("data", "lint", part.upstreams, part.configs), (),
        of(("data", "lint")),
    )  # fmt: skip
    yield data
    shared = [data.name]
    if told := of(("extract-text",)):
        words = call("extract-text", "extract-text", part.upstreams, part.configs)
        text = Task(f"{part.label}/text", part, words, (data.name,), told)
        yield text
        shared.append(text.name)
    own = {}  # upstream -> its features
    for upstream in dict.fromkeys(cell.upstream for cell in cells) if not part.finetune else ():
        tag = part.tag(upstream)
        words = call("extract", "extract", [upstream], part.configs)
        own[upstream] = Task(f"{part.label}/{tag}", part, words, (data.name,), of(("extract",), f"{tag}/"))
        yield own[upstream]
    for cell in cells:
        after = (*shared, own[cell.upstream].name) if cell.upstream in own else tuple(shared)
        words = call("train", "score", [cell.upstream], [cell.config])
        told = of(("train", "predict", "score"), f"{cell.name}/")
        yield Task(cell.label, part, words, after, told, cell)


def _state(task: Task, tasks: dict[str, Task], needed: bool) -> CellState:
    """What is there of a task's cell."""
    assert task.cell is not None
    trained = sum(fact.stage == "train" and fact.state == DONE for fact in task.facts)
    if not needed:
        return CellState(task.cell, DONE, trained, "")
    shared = [fact for name in task.after for fact in tasks[name].facts]
    begun = any(fact.state in (DONE, OUTDATED) for fact in task.facts)
    stale = begun and any(fact.state == OUTDATED for fact in (*shared, *task.facts))
    first = next(fact for fact in (*shared, *task.facts) if fact.state != DONE)
    return CellState(task.cell, STALE if stale else MISSING, trained, str(first))
