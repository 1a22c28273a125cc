"""The weights of one fold, chosen on its validation part, and how far they are to be trusted.

What weights score on the utterances that they were chosen on is too good. Beside it stands the score on
speakers that they were not chosen on: the validation speakers are put into groups, each group is combined
with weights of the others, and the metric is taken once, over all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.splits import inner_folds
from ser.fusion.combine import RULES, mean, weighted
from ser.fusion.members import Outputs, Part
from ser.fusion.objective import ClassMetric, ClassObjective, ConcordanceObjective
from ser.fusion.simplex import best_weights
from ser.metrics import categorical
from ser.metrics.continuous import ccc

EMOTION, ATTRIBUTES = "emotion", "attributes"


@dataclass(frozen=True)
class Task:
    """Labelled validation utterances of one kind of output.

    Attributes:
        name: ``emotion`` or ``attributes``.
        metric: its name.
        columns: of the predictions.
        values: the members' predictions ``(M, N, C)``.
        labels: class indices ``(N,)``, or values ``(N, A)`` with NaN where there is none.
        speakers: of the utterances, N.
    """

    name: str
    metric: str
    columns: slice
    values: np.ndarray
    labels: np.ndarray
    speakers: Sequence[str]

    def score(self, combined: np.ndarray) -> float:
        """The metric of predictions ``(N, C)``; of attributes, the mean over those with a CCC."""
        if self.name == EMOTION:
            counts = categorical.confusion(self.labels, combined.argmax(1), combined.shape[1])
            return float(categorical.METRICS[self.metric](counts))
        known = [~np.isnan(column) for column in self.labels.T]
        pairs = zip(self.labels.T, combined.T, known, strict=True)
        return float(np.mean([ccc(label[k], value[k]) for label, value, k in pairs if k.sum() >= 2]))

    def take(self, rows: np.ndarray) -> Task:
        """Some of the utterances, ``(n,)``."""
        speakers = [self.speakers[row] for row in rows]
        return Task(self.name, self.metric, self.columns, self.values[:, rows], self.labels[rows], speakers)

    def weights(self, seed: int) -> np.ndarray:
        """The best weights ``(M,)``."""
        if self.name == EMOTION:
            return best_weights(ClassObjective(self.values, self.labels, self.metric), seed)
        enough = (~np.isnan(self.labels)).sum(0) >= 2
        objective = ConcordanceObjective(self.values[..., enough], self.labels[:, enough])
        return best_weights(objective, seed)


@dataclass(frozen=True)
class Weighed:
    """How a fold's members are combined for one task, and how good that is on its validation part.

    Attributes:
        task: ``emotion`` or ``attributes``.
        metric: its name.
        columns: of the predictions.
        weights: ``(M,)``; None for a rule without weights.
        rule: of predictions ``(M, N, C)`` -> ``(N, C)``.
        members: each member's score.
        mean: the plain mean's.
        fused: the fusion's, on what its weights were chosen on.
        crossed: the fusion's on speakers that they were not chosen on; None with fewer than two speakers.
        utterances: how many have a label.
        speakers: how many there are.
    """

    task: str
    metric: str
    columns: slice
    weights: np.ndarray | None
    rule: Callable[[np.ndarray], np.ndarray]
    members: list[float] = field(default_factory=list)
    mean: float = float("nan")
    fused: float = float("nan")
    crossed: float | None = None
    utterances: int = 0
    speakers: int = 0


def tasks_of(part: Part, outputs: Outputs, data: DataDir, metric: ClassMetric) -> list[Task]:
    """The labelled utterances of a part, for classes and for attributes.

    Raises:
        UserError: when there are no labels to choose weights by.
    """
    found, count = [], len(outputs.classes)
    speakers = [data.utt2spk[utterance] for utterance in part.utterances]
    if outputs.classes:
        index, class_of = {name: i for i, name in enumerate(outputs.classes)}, data.classes_of()
        rows = np.array([row for row, u in enumerate(part.utterances) if u in class_of], dtype=int)
        if not len(rows):
            raise UserError("no validation utterance has a class", file=data.path / "utt2emo")
        labels = np.array([index[class_of[part.utterances[row]]] for row in rows])
        values = part.values[:, rows, :count]
        found.append(Task(EMOTION, metric, slice(0, count), values, labels, [speakers[r] for r in rows]))
    if outputs.attributes:
        columns = [data.attribute(name) for name in outputs.attributes]
        labels = np.array([[values.get(u, np.nan) for values in columns] for u in part.utterances])
        if not ((~np.isnan(labels)).sum(0) >= 2).any():
            what = f"no two validation utterances have a label of {', '.join(outputs.attributes)}"
            raise UserError(what, file=data.path)
        everything = slice(count, count + len(columns))
        found.append(Task(ATTRIBUTES, "mean CCC", everything, part.values[..., everything], labels, speakers))
    return found


def weigh(task: Task, rule: str, groups: int, seed: int) -> Weighed:
    """Choose weights, or take a rule that has none, and score it.

    Args:
        task: labelled validation utterances.
        rule: ``weights``, or one of ``combine.RULES``.
        groups: of speakers, in cross-validation of the weights; fewer where there are fewer speakers.
        seed: of starts and groups.
    """
    members = [task.score(each) for each in task.values]
    counts = {"utterances": len(task.labels), "speakers": len(set(task.speakers))}
    plain = task.score(mean(task.values))
    if rule != "weights":
        combine, weights = fixed_rule(rule, task.name), None
        fused = crossed = task.score(combine(task.values))
    else:
        weights = task.weights(seed)
        combine, fused = by(weights), task.score(weighted(task.values, weights))
        crossed = cross_validated(task, groups, seed)
    return Weighed(
        task.name, task.metric, task.columns, weights, combine, members, plain, fused, crossed, **counts
    )


def fixed_rule(rule: str, task: str) -> Callable[[np.ndarray], np.ndarray]:
    """A rule without weights; values have no classes to rank or vote for, and are averaged."""
    return RULES[rule] if task == EMOTION else mean


def by(weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The rule of some weights."""
    return lambda values: weighted(values, weights)


def cross_validated(task: Task, groups: int, seed: int) -> float | None:
    """The score of every speaker's utterances combined with weights that were chosen on other speakers.

    Args:
        task: labelled utterances.
        groups: of speakers, at most; fewer where one would leave the others without two labels.
        seed: of starts and groups.

    Returns:
        None with fewer than two speakers.
    """
    utt2spk = {str(row): speaker for row, speaker in enumerate(task.speakers)}
    count = min(groups, len(set(task.speakers)))
    if count < 2:
        return None
    combined = np.empty(task.values.shape[1:])
    for held in inner_folds(utt2spk, count, seed):
        inside = np.array([speaker in held for speaker in task.speakers])
        rest = task.take(np.flatnonzero(~inside))
        if task.name == ATTRIBUTES and not ((~np.isnan(rest.labels)).sum(0) >= 2).any():
            return None
        combined[inside] = weighted(task.values[:, inside], rest.weights(seed))
    return task.score(combined)
