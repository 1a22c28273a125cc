"""Scores by group of speakers: a trait of the data directory (gender, age) is one grouping.

A group's scores are those of its utterances alone, with the same bootstrap over speakers. Two groups
share no speaker as a rule, so the difference is bootstrapped as that of two samples (Efron & Tibshirani
1993, section 8.3): each draw takes speakers of the one and, independently, of the other. Where they share
some, as groups of a dialogue's speakers share the dialogue, each draw is of both at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir, as_number
from ser.data.table import line_of
from ser.scoring import schema
from ser.scoring.clusters import SPEAKER
from ser.scoring.intervals import bootstrap
from ser.scoring.measure import Measured, as_value

UNKNOWN = "unknown"
GENDERS = {"f": "female", "m": "male"}
# Age in years below which a group ends.
AGES = {30: "under 30", 45: "30 to 44", 60: "45 to 59", float("inf"): "60 and over"}


def gender_group(value: str) -> str | None:
    """``female`` or ``male`` of Kaldi's ``f`` or ``m``, None of anything else."""
    return GENDERS.get(value)


def age_group(value: str) -> str | None:
    """The age group of a number of years, None of what is none.

    >>> [age_group(years) for years in ("29.5", "30", "71", "old", "-1")]
    ['under 30', '30 to 44', '60 and over', None, None]
    """
    years = as_number(value)
    return next((group for end, group in AGES.items() if 0 <= years < end), None)


@dataclass(frozen=True)
class Rule:
    """How the values of a table ``spk2<name>`` or ``utt2<name>`` make groups.

    Attributes:
        of: a value of the table -> its group, None when it is not one.
        order: the groups, as they are shown.
        wants: what a value must be.
    """

    of: Callable[[str], str | None]
    order: tuple[str, ...]
    wants: str


# Another grouping is another line here.
RULES = {
    "gender": Rule(gender_group, tuple(GENDERS.values()), "m or f"),
    "age": Rule(age_group, tuple(AGES.values()), "a number of years"),
}


def trait_groups(data: DataDir) -> dict[str, dict[str, str]]:
    """Grouping -> utterance -> group, of the traits that the data directory knows.

    Raises:
        UserError: for a value that is in no group, with file and line.
    """
    found = {}
    for name, rule in RULES.items():
        table = f"utt2{name}" if f"utt2{name}" in data.tables else f"spk2{name}"
        rows = data.tables.get(table) or data.speakers.get(table, {})
        group_of = {value: rule.of(value) for value in set(rows.values())}
        for key, value in rows.items():
            if group_of[value] is None:
                raise UserError(
                    f"{name} of {key!r} is not {rule.wants}", file=data.path / table,
                    line=line_of(rows, key), value=value, hint="Leave out what is not known",
                )  # fmt: skip
        if rows:
            found[name] = {utterance: group_of[value] for utterance, value in data.trait(name).items()}
    return found


def score_groups(
    groups: Mapping[str, Sequence[str | None]],
    measure: Callable[[np.ndarray], Measured],
    how: schema.Bootstrap,
    lacking: Callable[[np.ndarray], list[str]] = lambda rows: [],
) -> list[schema.Grouping]:
    """Every grouping's scores, of one label.

    Args:
        groups: grouping -> group of each labelled utterance ``(N,)``, None where it is not known.
        measure: mask of utterances ``(N,)`` -> their metrics.
        how: draws and seed of the bootstrap.
        lacking: mask of utterances -> names of the classes that they lack.

    Returns:
        the groupings of which at least one labelled utterance's group is known.
    """
    found = []
    for name, group_of in groups.items():
        labelled = np.array([UNKNOWN if group is None else group for group in group_of])
        masks = {group: labelled == group for group in (*RULES[name].order, UNKNOWN)}
        masks = {group: mask for group, mask in masks.items() if mask.any()}
        known = [group for group in masks if group != UNKNOWN]
        if not known:
            continue
        measured = {group: measure(mask) for group, mask in masks.items()}
        rows = [
            schema.Group(
                group, len(part.speakers), int(part.sizes.sum()), lacking(masks[group]), part.values(how),
                None if how.unit == SPEAKER else part.clusters,
            )
            for group, part in measured.items()
        ]  # fmt: skip
        differences = [
            schema.Difference(one, other, difference(measured[one], measured[other], how))
            for one, other in itertools.combinations(known, 2)
        ]
        found.append(schema.Grouping(name, rows, differences, how.unit))
    return found


def difference(one: Measured, other: Measured, how: schema.Bootstrap) -> dict[str, schema.Value]:
    """Every metric of ``one`` less that of ``other``, with the interval of the difference.

    Which of the two takes which draws depends on the speakers alone: the difference the other way
    round is the same with its sign changed.
    """
    draws_of = paired_draws if np.intersect1d(one.present, other.present).size else unpaired_draws
    return {
        metric: as_value(
            np.subtract(one.by_seed[metric], other.by_seed[metric]), draws_of(one, other, metric, how),
            min(one.clusters, other.clusters), how,
        )
        for metric in one.by_seed
    }  # fmt: skip


def unpaired_draws(one: Measured, other: Measured, metric: str, how: schema.Bootstrap) -> np.ndarray:
    """The difference in every draw ``(D,)``: speakers of the one and, independently, of the other."""
    streams = (0, 1) if one.present[0] < other.present[0] else (1, 0)
    return one.draws(metric, how, streams[0]) - other.draws(metric, how, streams[1])


def paired_draws(one: Measured, other: Measured, metric: str, how: schema.Bootstrap) -> np.ndarray:
    """The same where clusters are in both groups: a draw takes a cluster with all utterances of both."""
    both = np.union1d(one.present, other.present)
    columns = [np.searchsorted(both, each.present) for each in (one, other)]
    return bootstrap(
        lambda counts: one.drawn(metric, counts[:, columns[0]]) - other.drawn(metric, counts[:, columns[1]]),
        len(both), how.draws, how.seed,
    )  # fmt: skip
