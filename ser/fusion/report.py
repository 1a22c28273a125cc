"""weights.tsv: members, weights and validation scores, and what they say of overfitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ser.core.columns import align
from ser.core.files import whole_file
from ser.fusion.weigh import Weighed

HEADER = (
    "fold", "task", "system", "weight", "metric", "validation", "cross_validated", "utterances", "speakers",
)  # fmt: skip
MEAN, FUSED = "(mean)", "(fusion)"
NOTHING = "-"


def rows_of(fold: str, names: Sequence[str], weighed: Weighed) -> list[tuple[str, ...]]:
    """A line for each member, the plain mean and the fusion; a member has nothing to be fitted again."""
    counts = str(weighed.utterances), str(weighed.speakers)

    def row(system: str, weight: str, score: float, crossed: float | None) -> tuple[str, ...]:
        shown = NOTHING if crossed is None else f"{crossed:.4f}"
        return (fold, weighed.task, system, weight, weighed.metric, f"{score:.4f}", shown, *counts)

    weights = [NOTHING] * len(names) if weighed.weights is None else [f"{w:.4f}" for w in weighed.weights]
    scores = zip(names, weights, weighed.members, strict=True)
    return [
        *(row(name, weight, score, score) for name, weight, score in scores),
        row(MEAN, f"{1 / len(names):.4f}", weighed.mean, weighed.mean),
        row(FUSED, NOTHING, weighed.fused, weighed.crossed),
    ]


def write_weights(path: Path, names: Sequence[str], weighed: Mapping[Path, Sequence[Weighed]]) -> None:
    """Write weights.tsv.

    Column ``validation`` of the fusion is on the utterances that its weights were chosen on, and too good;
    ``cross_validated`` is on speakers that they were not chosen on.
    """
    with whole_file(path) as stream:
        stream.write("\t".join(HEADER) + "\n")
        for fold, tasks in weighed.items():
            for each in tasks:
                stream.writelines("\t".join(row) + "\n" for row in rows_of(str(fold), names, each))


def warn_of_overfitting(weighed: Mapping[Path, Sequence[Weighed]]) -> list[str]:
    """A line for each task whose weights do not pay on speakers that they were not chosen on."""
    warnings = []
    for task in dict.fromkeys(each.task for tasks in weighed.values() for each in tasks):
        found = [each for tasks in weighed.values() for each in tasks if each.task == task]
        metric = found[0].metric
        if any(each.crossed is None for each in found):
            warnings.append(
                f"{task}: fewer than two validation speakers, so there is no telling how far the weights are"
                " fitted to them"
            )
            continue
        fused, crossed, plain = (
            float(np.mean([getattr(each, name) for each in found])) for name in ("fused", "crossed", "mean")
        )
        best = max(float(np.mean(scores)) for scores in zip(*(each.members for each in found), strict=True))
        if crossed <= max(plain, best):
            what = "the plain mean" if plain >= best else "the best member alone"
            hint = "--rule mean" if plain >= best else "that member"
            warnings.append(
                f"{task}: {metric} {fused:.4f} on the utterances that the weights were chosen on, and"
                f" {crossed:.4f} on speakers that they were not; {what} has {max(plain, best):.4f}."
                f" The weights are fitted to their speakers; {hint} is as good"
            )
    return warnings


def summary(path: Path) -> str:
    """weights.tsv for the terminal: the mean over folds of every system's weight and scores."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    groups: dict[tuple[str, str, str], list[list[str]]] = {}
    for row in rows:
        groups.setdefault((row[1], row[2], row[4]), []).append(row)
    shown = [("task", "system", "weight", "metric", "validation", "other speakers")]
    for (task, system, metric), found in groups.items():
        cells = [_mean_of([row[column] for row in found]) for column in (3, 5, 6)]
        shown.append((task, system, cells[0], metric, cells[1], cells[2]))
    return "\n".join(align(shown, right=(2, 4, 5)))


def _mean_of(cells: Sequence[str]) -> str:
    """The mean of numbers; nothing where one is missing."""
    return NOTHING if NOTHING in cells else f"{np.mean([float(cell) for cell in cells]):.4f}"
