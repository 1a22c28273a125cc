"""How labels are distributed over sets and speakers: the tables of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ser.data.datadir import DataDir
from ser.lint.subject import Part, Subject


@dataclass(frozen=True)
class ClassTable:
    """Utterances of each class by set, or by speaker.

    Attributes:
        classes: the columns.
        rows: name and counts, in the order of the columns.
    """

    classes: list[str]
    rows: list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Spread:
    """An attribute in one set, in the label's own units."""

    attribute: str
    part: str
    count: int
    mean: float
    sd: float
    low: float
    high: float
    range_min: float
    range_max: float


def class_counts(part: Part) -> Counter[str]:
    """Class -> utterances of a part."""
    table = part.data.classes_of()
    return Counter(table[name] for name in part.utterances if name in table)


def values_of(subject: Subject, data: DataDir, attribute: str) -> Mapping[str, float]:
    """Utterance -> value; empty where a set has no such table."""
    return subject.numbers(data, f"utt2{attribute}")


def classes_by_part(subject: Subject) -> ClassTable | None:
    """Class by set or fold; None when there are no classes."""
    labelled = [part for part in subject.parts if part.data.classes_of()]
    names = list(dict.fromkeys(name for part in labelled for name in part.data.labels.classes))
    rows = [
        (part.name, [counts[name] for name in names]) for part in labelled for counts in [class_counts(part)]
    ]
    return ClassTable(names, rows) if names and rows else None


def classes_by_speaker(subject: Subject) -> ClassTable | None:
    """Class by speaker over all sets, those with the most utterances first."""
    table: dict[str, Counter[str]] = {}
    names: dict[str, None] = {}
    for item in subject.sets:
        names |= dict.fromkeys(item.data.labels.classes)
        for utterance, name in item.data.classes_of().items():
            table.setdefault(item.data.utt2spk[utterance], Counter())[name] += 1
    order = sorted(table, key=lambda speaker: (-table[speaker].total(), speaker))
    rows = [(speaker, [table[speaker][name] for name in names]) for speaker in order]
    return ClassTable(list(names), rows) if names and rows else None


def spreads(subject: Subject) -> list[Spread]:
    """Every attribute in every set or fold that has values of it, by attribute."""
    found = []
    for name in dict.fromkeys(name for item in subject.sets for name in item.data.labels.attributes):
        for part in subject.parts:
            if name not in part.data.labels.attributes:
                continue
            table = values_of(subject, part.data, name)
            values = np.array([table[utterance] for utterance in part.utterances if utterance in table])
            if len(values):
                limits = part.data.labels.attributes[name]
                found.append(Spread(
                    name, part.name, len(values), float(values.mean()), float(values.std()),
                    float(values.min()), float(values.max()), limits.min, limits.max,
                ))  # fmt: skip
    return found


def chi_squared(table: np.ndarray) -> tuple[float, np.ndarray]:
    """Pearson's statistic of counts of shape (rows, columns), and the table without empty columns."""
    table = table[:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum()), table


def cramers_v(table: np.ndarray) -> float:
    """Cramér's V: how much two categories have to do with each other, 0 to 1.

    Args:
        table: counts of shape (rows, columns), at least two rows, none empty.
    """
    statistic, table = chi_squared(table)
    smaller = min(table.shape) - 1
    return float(np.sqrt(statistic / (table.sum() * smaller))) if smaller else 0.0


def by_chance(table: np.ndarray, deviations: float) -> bool:
    """Whether the statistic lies within so many standard deviations of what independence gives."""
    statistic, table = chi_squared(table)
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return statistic <= freedom + deviations * np.sqrt(2 * freedom)
