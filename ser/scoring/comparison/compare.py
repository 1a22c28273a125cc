"""Every system against the first, on the same utterances: differences, p, ranks, folds, positions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.scoring.comparison.folds import FoldTest, fold_test
from ser.scoring.comparison.multiple import enough_draws, holm, rank_ranges
from ser.scoring.comparison.paired import Drawn, Estimate, difference, drawn, estimate
from ser.scoring.comparison.positions import Point, curves, positions_of
from ser.scoring.comparison.systems import System, Task, make_tasks, read_systems
from ser.scoring.schema import Bootstrap
from ser.scoring.text import IN_UNITS


@dataclass(frozen=True)
class Row:
    """A system's place in a comparison.

    Attributes:
        system: its name.
        seeds: of its training.
        value: the metric.
        difference: to the reference; None of the reference itself.
        p_holm: adjusted p of the difference.
        rank: least and greatest rank that the pairwise tests leave open.
        folds: tests over folds; None of the reference, where folds differ, or where a fold has no value.
        p_t_holm: adjusted p of the paired t over folds.
        p_flip_holm: adjusted p of the sign-flip test over folds.
    """

    system: str
    seeds: list[int]
    value: Estimate
    difference: Estimate | None
    rank: tuple[int, int]
    folds: FoldTest | None
    p_holm: float | None = None
    p_t_holm: float | None = None
    p_flip_holm: float | None = None


@dataclass(frozen=True)
class Compared:
    """One metric of one label.

    Attributes:
        task: the label and what is scored.
        metric: its name.
        rows: the systems as given, the reference first.
        positions: how positions are counted -> for each system, its points; empty without utt2turn.
    """

    task: Task
    metric: str
    rows: list[Row]
    positions: dict[str, list[list[Point]]]


@dataclass(frozen=True)
class Comparison:
    """What ``ser benchmark compare`` has found.

    Attributes:
        data: the data directory.
        set: name of the predictions' folder.
        where: conditions on the utterances.
        how: draws, seed, level and unit of the bootstrap.
        parts: by label and metric.
        tests: size of the family that Holm's correction is over: all differences to the reference.
        unplaced: scored utterances without a turn; they are in no position.
    """

    data: DataDir
    set: str
    where: list[str]
    how: Bootstrap
    parts: list[Compared]
    tests: int
    unplaced: int


def compare(
    folders: Sequence[Path],
    data_dir: Path,
    set_name: str | None,
    how: Bootstrap,
    where: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Comparison:
    """Compare experiments with the first of them.

    Args:
        folders: the reference, then one or more systems.
        data_dir: the data directory that all of them predicted.
        set_name: the folder of predictions in each fold; as in ``ser score`` when not given.
        how: draws (0: as many as the tests want), seed, level and unit of the bootstrap.
        where: ``TABLE=VALUE``: only utterances of which all of these hold are scored.
        metrics: names; by default the first of each label, ``UAR`` and ``O-CCC``.

    Raises:
        UserError: for anything the user can mend.
    """
    if how.draws < 0:
        raise UserError("--draws must be at least 1, or 0 for as many as the tests want", value=how.draws)
    if len(folders) < 2:
        raise UserError("nothing to compare the reference with", hint="Name one experiment or more after it")
    how = replace(how, draws=how.draws or enough_draws(len(folders), how.level))
    data = DataDir.load(data_dir)
    set_name = set_name or ("test" if data.folds() else data.path.name)
    systems = read_systems(folders, data, set_name)
    tasks = make_tasks(systems, data, how.unit, where)
    unknown = [name for name in metrics if not any(name in task.metrics for task in tasks)]
    if unknown:
        known = ", ".join(dict.fromkeys(name for task in tasks for name in task.metrics))
        raise UserError("no such --metric of these labels", value=unknown[0], hint=f"There are {known}")
    positions = positions_of(data)
    parts = []
    for task in tasks:
        measured = [task.measure(system) for system in systems]
        for metric in [name for name in task.metrics if name in (metrics or task.metrics[:1])]:
            found = [drawn(own, metric, s.seeds, how) for own, s in zip(measured, systems, strict=True)]
            by_position = {
                kind: curves(task, systems, metric, own, how) for kind, own in (positions or {}).items()
                if (own[task.rows] > 0).any()
            }  # fmt: skip
            rows = _rows(task, metric, systems, found, how)
            parts.append(Compared(task, metric, rows, by_position))
    scored = np.unique(np.concatenate([task.rows for task in tasks]))
    unplaced = int((positions["dialogue"][scored] == 0).sum()) if positions else 0
    parts = _corrected(parts)
    tests = sum(row.p_holm is not None for part in parts for row in part.rows)
    return Comparison(data, set_name, list(where), how, parts, tests, unplaced)


def _rows(
    task: Task, metric: str, systems: Sequence[System], found: Sequence[Drawn], how: Bootstrap
) -> list[Row]:
    """The systems' values, differences and ranks; p are not yet corrected."""
    pairs = list(itertools.combinations(range(len(systems)), 2))
    gaps = {(i, j): difference(found[j], found[i], how) for i, j in pairs}
    adjusted = dict(zip(pairs, holm([gaps[pair].p for pair in pairs]), strict=True))
    better = np.array([each.value for each in found]) * (-1 if metric in IN_UNITS else 1)
    ranks = rank_ranges(len(systems), adjusted, better, how.level)
    by_fold = fold_values(task, metric, systems)
    rows = []
    for i, system in enumerate(systems):
        test = None
        if i and by_fold is not None and np.isfinite(by_fold[[0, i]]).all():
            test = fold_test(by_fold[i] - by_fold[0], how.seed)
        rows.append(Row(
            system.name, system.seeds, estimate(found[i], how), gaps[0, i] if i else None, ranks[i], test
        ))  # fmt: skip
    return rows


def fold_values(task: Task, metric: str, systems: Sequence[System]) -> np.ndarray | None:
    """The metric of each system in each fold, mean over seeds ``(K, F)``; NaN where undefined.

    Returns:
        None unless all systems and seeds have the same folds, two or more, each with a scored utterance.
    """
    fold = systems[0].found.seeds[0].fold
    same = all(
        system.found.folds == systems[0].found.folds and np.array_equal(each.fold, fold)
        for system in systems for each in system.found.seeds
    )  # fmt: skip
    present = np.unique(fold[task.rows])
    if not same or len(present) < 2 or len(present) < len(systems[0].found.folds):
        return None
    within = [fold[task.rows] == each for each in present]
    return np.array(
        [[np.mean(task.measure(system, mask).by_seed[metric]) for mask in within] for system in systems]
    )


def _corrected(parts: Sequence[Compared]) -> list[Compared]:
    """The same with Holm's correction over the differences of all parts, a family for each kind of test."""
    rows = [row for part in parts for row in part.rows]
    by_draws = holm([row.difference and row.difference.p for row in rows])
    by_t = holm([row.folds and row.folds.p_t for row in rows])
    by_flip = holm([row.folds and row.folds.p_flip for row in rows])
    corrected = iter([
        replace(row, p_holm=p, p_t_holm=p_t, p_flip_holm=p_flip)
        for row, p, p_t, p_flip in zip(rows, by_draws, by_t, by_flip, strict=True)
    ])  # fmt: skip
    return [replace(part, rows=[next(corrected) for _ in part.rows]) for part in parts]
