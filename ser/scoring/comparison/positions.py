"""Where in a dialogue an utterance stands: a gain that does not grow from the first one on is no memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.table import line_of
from ser.scoring.comparison.paired import Estimate, difference, drawn, estimate
from ser.scoring.comparison.systems import System, Task
from ser.scoring.schema import Bootstrap

# How positions are counted -> the name on the axis.
KINDS = {"dialogue": "turn in the dialogue", "speaker": "speaker's own turn in the dialogue"}
# Positions that stand alone; after them a bin is as wide as all before it: 9-16, 17-32, 33-64.
ALONE = 8


@dataclass(frozen=True)
class Point:
    """A system at some positions.

    Attributes:
        first: least position.
        last: greatest position.
        utterances: scored there.
        clusters: with such an utterance.
        value: the metric.
        difference: to the reference; None of the reference itself.
    """

    first: int
    last: int
    utterances: int
    clusters: int
    value: Estimate
    difference: Estimate | None


def positions_of(data: DataDir) -> dict[str, np.ndarray] | None:
    """Position of each utterance, from 1, by kind ``(N,)``; 0 where it has none.

    ``dialogue``: the k-th utterance of its dialogue; ``speaker``: the k-th of that speaker in that dialogue.
    Both count the utterances of the data directory, labelled or not, in the order of utt2turn: turns that the
    corpus left out are no history that a system could have heard.

    Returns:
        None without utt2turn or utt2dialogue.

    Raises:
        UserError: for a turn that is no whole number, and for two utterances at one turn of a dialogue.
    """
    turns, dialogues = data.tables.get("utt2turn"), data.tables.get("utt2dialogue")
    if turns is None or dialogues is None:
        return None
    placed = []
    for line, (utterance, text) in enumerate(turns.items(), 1):
        if not (text.isascii() and text.isdecimal()):
            raise UserError(f"turn of {utterance!r} is not a whole number", file=data.path / "utt2turn",
                            line=line, value=text)  # fmt: skip
        if utterance in dialogues:
            placed.append((dialogues[utterance], int(text), utterance))
    placed.sort()
    for before, after in itertools.pairwise(placed):
        if before[:2] == after[:2]:
            raise UserError(
                f"{before[2]!r} and {after[2]!r} are both turn {after[1]} of dialogue {after[0]!r}",
                file=data.path / "utt2turn", line=line_of(turns, after[2]),
            )  # fmt: skip
    index = {utterance: row for row, utterance in enumerate(data.utterances)}
    found = {kind: np.zeros(len(index), int) for kind in KINDS}
    for kind, own in found.items():
        count: dict[tuple[str, ...], int] = {}
        for dialogue, _, utterance in placed:
            key = (dialogue,) if kind == "dialogue" else (dialogue, data.utt2spk[utterance])
            count[key] = count.get(key, 0) + 1
            own[index[utterance]] = count[key]
    return found


def bins_of(positions: np.ndarray) -> list[tuple[int, int]]:
    """Bins ``(first, last)`` that hold positions ``(N,)``: 1 to 8 alone, then 9-16, 17-32 and so on.

    >>> bins_of(np.array([1, 2, 2, 12, 0, 40]))
    [(1, 1), (2, 2), (9, 16), (33, 64)]
    """
    found = []
    first = last = 1
    while first <= positions.max(initial=0):
        if ((positions >= first) & (positions <= last)).any():
            found.append((first, last))
        first, last = (last + 1, last + 1) if last < ALONE else (last + 1, 2 * last)
    return found


def curves(
    task: Task, systems: Sequence[System], metric: str, positions: np.ndarray, how: Bootstrap
) -> list[list[Point]]:
    """A metric by position, for each system, the reference first.

    The metric at a position is that of the utterances there alone, and so are its draws: over the clusters
    that have such an utterance, the same for all systems.

    Args:
        task: the label and the scored utterances.
        systems: the reference first.
        metric: one of the task's.
        positions: of every utterance of the data directory; 0 where it has none.
        how: draws, seed and unit.
    """
    own = positions[task.rows]
    found: list[list[Point]] = [[] for _ in systems]
    for first, last in bins_of(own):
        within = (own >= first) & (own <= last)
        reference = None
        for curve, system in zip(found, systems, strict=True):
            here = drawn(task.measure(system, within), metric, system.seeds, how)
            gain = None if reference is None else difference(here, reference, how)
            reference = reference or here
            curve.append(
                Point(first, last, int(within.sum()), here.clusters, estimate(here, how), gain)
            )  # fmt: skip
    return found
