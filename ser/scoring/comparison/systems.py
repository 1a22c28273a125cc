"""What is compared: predictions of several experiments on the same labelled utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.scoring.clusters import SPEAKER, cluster_indices
from ser.scoring.measure import Measured, measure_attribute, measure_classes
from ser.scoring.predictions import ExperimentPredictions, read_predictions
from ser.scoring.schema import ATTRIBUTE_METRICS, CLASS_METRICS, EMOTION
from ser.scoring.score import CLASS_LABEL, check_columns, scored_labels


@dataclass(frozen=True)
class System:
    """An experiment's predictions of every utterance of the data directory.

    Attributes:
        name: of the experiment's folder; its path where two folders have one name.
        found: predictions of all its seeds.
    """

    name: str
    found: ExperimentPredictions

    @property
    def seeds(self) -> list[int]:
        """Of the training."""
        return [each.seed for each in self.found.seeds]


@dataclass(frozen=True)
class Task:
    """One label, and the N utterances that are scored: labelled, and chosen by ``--where``.

    Attributes:
        name: ``emotion`` or an attribute.
        title: as a heading.
        metrics: those that there are.
        rows: the scored utterances, as indices into the data directory's ``(N,)``.
        truth: class indices or values ``(N,)``.
        classes: of the emotion; empty for an attribute.
        speaker: index of each utterance's speaker ``(N,)``.
        cluster: index of each utterance's cluster ``(N,)``.
        by_speaker: whether the clusters are the speakers.
        unlabelled: chosen utterances without the label.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    rows: np.ndarray
    truth: np.ndarray
    classes: list[str]
    speaker: np.ndarray
    cluster: np.ndarray
    by_speaker: bool
    unlabelled: int

    @property
    def clusters(self) -> int:
        """With a scored utterance."""
        return len(np.unique(self.cluster))

    def measure(self, system: System, within: np.ndarray | None = None) -> Measured:
        """Metrics of a system on the scored utterances, or on those that a mask ``(N,)`` takes."""
        kept = np.ones(len(self.rows), bool) if within is None else within
        truth, rows, speaker = self.truth[kept], self.rows[kept], self.speaker[kept]
        cluster = None if self.by_speaker else self.cluster[kept]
        columns, seeds = system.found.columns, system.found.seeds
        if self.name == EMOTION:
            size = len(self.classes)
            guesses = [each.values[rows, :size].argmax(1) for each in seeds]
            return measure_classes(truth, guesses, speaker, size, cluster)
        column = len(columns.classes) + columns.attributes.index(self.name)
        return measure_attribute(truth, [each.values[rows, column] for each in seeds], speaker, cluster)


def read_systems(folders: Sequence[Path], data: DataDir, set_name: str) -> list[System]:
    """Read and check the experiments; the first is the reference.

    Raises:
        UserError: for an experiment named twice, and for one that predicted other utterances or classes, with
            the first utterance that differs.
    """
    resolved = [folder.resolve() for folder in folders]
    for i, folder in enumerate(folders):
        if resolved[i] in resolved[:i]:
            raise UserError("experiment named twice", file=folder)
    short = [path.name for path in resolved]
    names = [
        str(folder) if short.count(name) > 1 else name for folder, name in zip(folders, short, strict=True)
    ]
    systems = []
    for name, folder in zip(names, folders, strict=True):
        found = read_predictions(folder, data, set_name)
        check_columns(found, data)
        systems.append(System(name, found))
    return systems


def make_tasks(systems: Sequence[System], data: DataDir, unit: str, where: Sequence[str]) -> list[Task]:
    """The labels that every system predicts and the data has.

    Args:
        systems: what is compared.
        data: the data directory that they predicted.
        unit: of the bootstrap: ``speaker``, ``dialogue`` or ``session``.
        where: ``TABLE=VALUE``, all of which must hold of an utterance.

    Raises:
        UserError: when there is no such label, ``where`` is malformed or takes no labelled utterance, or an
            utterance has no cluster.
    """
    utterances = data.utterances
    chosen = np.ones(len(utterances), bool)
    for condition in where:
        chosen &= where_mask(data, condition)
    speaker, cluster = cluster_indices(data, SPEAKER), cluster_indices(data, unit)
    labels = [scored_labels(system.found, data) for system in systems]
    tasks = []
    for label in (label for label in labels[0] if all(label in own for own in labels)):
        if label == CLASS_LABEL:
            classes = systems[0].found.columns.classes
            index, values = {name: i for i, name in enumerate(classes)}, data.classes_of()
            known = np.array([name in values for name in utterances])
            title, name, metrics = f"Emotion, {len(classes)} classes", EMOTION, CLASS_METRICS
            truth = [index[values[u]] for u in utterances if u in values]
        else:
            classes, values, limits = [], data.attribute(label), data.labels.attributes[label]
            known = np.array([name in values for name in utterances])
            title = f"{label[:1].upper()}{label[1:]}, {limits.min:g} to {limits.max:g}"
            name, metrics = label, ATTRIBUTE_METRICS
            truth = [values[u] for u in utterances if u in values]
        if label in data.labels.derived:
            title += ", derived labels"
        rows = np.flatnonzero(known & chosen)
        if rows.size:
            tasks.append(Task(
                name, title, metrics, rows, np.array(truth)[chosen[known]], classes, speaker[rows],
                cluster[rows], unit == SPEAKER, int((chosen & ~known).sum()),
            ))  # fmt: skip
    if not tasks:
        shown = "; ".join(
            f"{s.name}: {', '.join(own) or 'none'}" for s, own in zip(systems, labels, strict=True)
        )
        of = f" where {' and '.join(where)}" if where else ""
        raise UserError(f"no labelled utterance{of} of a label that all predict", file=data.path, value=shown)
    return tasks


def where_mask(data: DataDir, condition: str) -> np.ndarray:
    """The utterances ``(N,)`` whose ``utt2<table>`` (or whose speaker's ``spk2<table>``) is the value.

    Args:
        data: the data directory.
        condition: ``ambiguous=1``: the table's name without ``utt2`` and the value.

    Raises:
        UserError: for another form, a table that is not there, and a value that no utterance has.
    """
    name, equals, value = condition.partition("=")
    if not (name and equals and value):
        raise UserError("--where is not TABLE=VALUE", value=condition, hint="As in --where ambiguous=1")
    table = data.trait(name.removeprefix("utt2"))
    if not table:
        raise UserError(
            f"no table for --where {condition}", file=data.path / f"utt2{name.removeprefix('utt2')}"
        )
    mask = np.array([table.get(utterance) == value for utterance in data.utterances])
    if not mask.any():
        values = sorted(set(table.values()))
        shown = ", ".join(values[:8]) + (" ..." if len(values) > 8 else "")
        raise UserError("no utterance has the value of --where", value=condition, hint=f"There are {shown}")
    return mask
