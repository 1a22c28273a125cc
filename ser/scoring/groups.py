"""Scores by group of speakers: one table ``spk2<name>`` of the data directory, one grouping.

A group's scores are those of its speakers' utterances alone, with the same bootstrap. Two groups
share no speaker, so the difference is bootstrapped unpaired: each draw takes speakers of the one and,
independently, speakers of the other (Efron & Tibshirani 1993, section 16.2, two samples).
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
    """How a table ``spk2<name>`` groups speakers.

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


def speaker_groups(data: DataDir) -> dict[str, dict[str, str]]:
    """Grouping -> speaker -> group, of the tables that the data directory has.

    Raises:
        UserError: for a value that is in no group, with file and line.
    """
    found = {}
    for name, rule in RULES.items():
        table = data.speakers.get(f"spk2{name}", {})
        groups = {speaker: rule.of(value) for speaker, value in table.items()}
        for speaker, group in groups.items():
            if group is None:
                raise UserError(
                    f"{name} of speaker {speaker!r} is not {rule.wants}", file=data.path / f"spk2{name}",
                    line=line_of(table, speaker), value=table[speaker],
                    hint="Leave the speaker out where it is not known",
                )  # fmt: skip
        if groups:
            found[name] = groups
    return found


def score_groups(
    groups: Mapping[str, Mapping[str, str]],
    measure: Callable[[np.ndarray], Measured],
    speaker: np.ndarray,
    speakers: Sequence[str],
    how: schema.Bootstrap,
    lacking: Callable[[np.ndarray], list[str]] = lambda rows: [],
) -> list[schema.Grouping]:
    """Every grouping's scores, of one label.

    Args:
        groups: as ``speaker_groups`` gives them.
        measure: mask of utterances ``(N,)`` -> their metrics.
        speaker: index of each labelled utterance's speaker ``(N,)``.
        speakers: their names.
        how: draws and seed of the bootstrap.
        lacking: mask of utterances -> names of the classes that they lack.

    Returns:
        the groupings of which at least one scored speaker's group is known.
    """
    found = []
    for name, group_of in groups.items():
        of_speaker = np.array([group_of.get(each, UNKNOWN) for each in speakers])[speaker]
        present = [group for group in (*RULES[name].order, UNKNOWN) if (of_speaker == group).any()]
        masks = {group: of_speaker == group for group in present}
        if present in ([], [UNKNOWN]):
            continue
        measured = {group: measure(mask) for group, mask in masks.items()}
        rows = [
            schema.Group(group, part.clusters, int(part.sizes.sum()), lacking(masks[group]), part.values(how))
            for group, part in measured.items()
        ]
        pairs = itertools.combinations([group for group in present if group != UNKNOWN], 2)
        differences = [
            schema.Difference(one, other, difference(measured[one], measured[other], how))
            for one, other in pairs
        ]
        found.append(schema.Grouping(name, rows, differences))
    return found


def difference(one: Measured, other: Measured, how: schema.Bootstrap) -> dict[str, schema.Value]:
    """Every metric of ``one`` less that of ``other``, with the interval of the difference.

    The speakers of both are drawn independently. Which of the two takes which draws depends on the
    speakers alone: the difference the other way round is the same with its sign changed.
    """
    streams = (0, 1) if one.present[0] < other.present[0] else (1, 0)
    values = {}
    for metric in one.by_seed:
        by_seed = np.subtract(one.by_seed[metric], other.by_seed[metric])
        draws = one.draws(metric, how, streams[0]) - other.draws(metric, how, streams[1])
        values[metric] = as_value(by_seed, draws, min(one.clusters, other.clusters), how)
    return values
