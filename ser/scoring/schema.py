"""scores.json: everything that is known of a scored experiment, as dataclasses.

Tables, plots and the report are made from this file alone. A metric that is undefined is null.
Where there are several seeds, a value is the mean over seeds, and its interval is that of the mean.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from ser.core.config import to_plain
from ser.core.errors import UserError
from ser.core.files import read_json, write_text
from ser.scoring.clusters import SPEAKER
from ser.scoring.intervals import FEW_CLUSTERS
from ser.scoring.typed import build, compact_json

# 2 has results by group; a file of format 1 is read as one without.
FORMAT = 2
READABLE = (1, FORMAT)
EMOTION = "emotion"
CLASS_METRICS = ("UAR", "WA", "macro-F1", "weighted F1")
ATTRIBUTE_METRICS = ("O-CCC", "A-CCC", "PCC", "MAE")


@dataclass
class Value:
    """A metric with its interval.

    Attributes:
        value: mean over seeds; null when undefined.
        low: lower end of the interval; null when there is none.
        high: upper end.
        undefined_draws: bootstrap draws in which the metric is undefined, left out of the interval.
        by_seed: the metric of each seed, in the order of ``Scores.seeds``.
    """

    value: float | None
    low: float | None
    high: float | None
    undefined_draws: int
    by_seed: list[float | None]


@dataclass
class ClassRow:
    """One class: its utterances in the reference, and precision, recall, F1 averaged over seeds."""

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass
class SpeakerRow:
    """One speaker: scored utterances, and metrics averaged over seeds."""

    speaker: str
    utterances: int
    metrics: dict[str, float | None]


@dataclass
class Group:
    """One group of speakers, scored alone.

    Attributes:
        name: ``female``, ``30 to 44``, or ``unknown`` for speakers of whom it is not known.
        speakers: with a scored utterance.
        utterances: scored.
        lacks: classes without an utterance in this group: UAR is averaged over the others.
        metrics: the label's metrics.
        clusters: with a scored utterance, where the bootstrap's unit is not the speaker; else not written.
    """

    name: str
    speakers: int
    utterances: int
    lacks: list[str]
    metrics: dict[str, Value]
    clusters: int | None = None


@dataclass
class Difference:
    """Metrics of group ``one`` less those of group ``other``."""

    one: str
    other: str
    metrics: dict[str, Value]


@dataclass
class Grouping:
    """Scores by group of speakers.

    Attributes:
        by: ``gender``, ``age``: the table ``spk2<by>`` or ``utt2<by>`` of the data directory.
        groups: those with a scored utterance, in their order, ``unknown`` last.
        differences: of every two known groups.
        unit: what the intervals are over; written where it is not the speaker.
    """

    by: str
    groups: list[Group]
    differences: list[Difference]
    unit: str = SPEAKER


@dataclass
class Classification:
    """Scores of the emotion classes.

    Attributes:
        classes: in order.
        derived: whether the labels are derived, not annotated.
        scored: number of utterances with a label.
        unlabelled: number without; predicted, not scored.
        clusters: number of speakers (of the bootstrap's units) with a scored utterance.
        metrics: ``UAR``, ``WA``, ``macro-F1``, ``weighted F1``.
        per_class: in the order of ``classes``.
        confusion: counts ``(K, K)``, rows the reference, summed over seeds.
        per_speaker: in C order, with ``UAR`` and ``WA``.
        groupings: results by group of speakers; empty when no group is known.
    """

    classes: list[str]
    derived: bool
    scored: int
    unlabelled: int
    clusters: int
    metrics: dict[str, Value]
    per_class: list[ClassRow]
    confusion: list[list[int]]
    per_speaker: list[SpeakerRow]
    groupings: list[Grouping] = field(default_factory=list)


@dataclass
class Attribute:
    """Scores of one attribute.

    Attributes:
        range: least and greatest value of the label.
        derived: whether the labels are derived, not annotated.
        scored: number of utterances with a label.
        unlabelled: number without; predicted, not scored.
        clusters: number of speakers (of the bootstrap's units) with a scored utterance.
        metrics: ``O-CCC`` (pooled), ``A-CCC`` (mean over speakers), ``PCC``, ``MAE`` (label's units).
        a_ccc_sd: standard deviation of CCC over speakers (n - 1).
        a_ccc_speakers: speakers in A-CCC.
        a_ccc_left_out: speakers with fewer than two utterances or with one constant label.
        per_speaker: in C order, with ``CCC``, ``MAE``.
        groupings: results by group of speakers; empty when no group is known.
    """

    range: list[float]
    derived: bool
    scored: int
    unlabelled: int
    clusters: int
    metrics: dict[str, Value]
    a_ccc_sd: float | None
    a_ccc_speakers: int
    a_ccc_left_out: int
    per_speaker: list[SpeakerRow]
    groupings: list[Grouping] = field(default_factory=list)


@dataclass
class SeedPredictions:
    """What one seed predicted, in the order of ``Utterances.ids``.

    Attributes:
        fold: index into ``Scores.folds``.
        predicted: index of the most probable class; empty without classes.
        probability: its probability.
        attributes: values in the label's units.
    """

    fold: list[int]
    predicted: list[int]
    probability: list[float]
    attributes: dict[str, list[float]]


@dataclass
class Utterances:
    """Reference and predictions of every utterance.

    Attributes:
        ids: in C order.
        speakers: the speakers' names, in C order.
        speaker: index into ``speakers``.
        reference: index of the class, null when unlabelled; empty without classes.
        attributes: reference values, null when unlabelled.
        seeds: in the order of ``Scores.seeds``.
    """

    ids: list[str]
    speakers: list[str]
    speaker: list[int]
    reference: list[int | None]
    attributes: dict[str, list[float | None]]
    seeds: list[SeedPredictions]


@dataclass
class Fit:
    """What training left in a fold's fit.json.

    Attributes:
        seconds: that training took.
        peak_memory_mb: MiB, of the whole process on a CPU; null where it was not measured.
    """

    seed: int
    fold: str
    chosen: dict[str, Any]
    epochs: int
    seconds: float
    trained_parameters: int
    layer_weights: list[float] | None
    curve: list[dict[str, float | None]]
    peak_memory_mb: float | None = None


@dataclass
class Data:
    """The data directory that was scored."""

    path: str
    set: str
    corpus: str
    release: str
    licence: str
    synthetic: bool
    utterances: int
    speakers: int


@dataclass
class Bootstrap:
    """How the intervals were made.

    Attributes:
        draws: of the bootstrap.
        seed: of the draws.
        level: of the intervals.
        unit: what a draw takes whole: ``speaker``, ``dialogue`` or ``session``.
    """

    draws: int
    seed: int
    level: float
    unit: str


@dataclass
class Scores:
    """The content of scores.json.

    Attributes:
        format: of this file.
        experiment: name of the experiment's folder.
        info: content of info.yaml (upstream, timing, name, options, protocol ...).
    """

    format: int
    experiment: str
    data: Data
    info: dict[str, Any]
    bootstrap: Bootstrap
    seeds: list[int]
    folds: list[str]
    classification: Classification | None
    attributes: dict[str, Attribute]
    fits: list[Fit]
    utterances: Utterances

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file whole or not at all."""
        content = to_plain(self)
        for part in (content["classification"], *content["attributes"].values()):
            for grouping in part["groupings"] if part else ():
                if grouping["unit"] == SPEAKER:  # as files were before there was another unit
                    del grouping["unit"]
                    for group in grouping["groups"]:
                        del group["clusters"]
        write_text(path, compact_json(content) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Scores:
        """Read what ``write`` wrote.

        Raises:
            UserError: when the file is missing, of another format, or has a key or type amiss.
        """
        content = read_json(path)
        found = content.get("format") if isinstance(content, dict) else None
        if found not in READABLE:
            hint = "Run 'ser score' (stage 12) again"
            raise UserError("scores of another release", file=path, value=f"format {found}", hint=hint)
        try:
            return build(cls, content)
        except ValueError as error:
            raise UserError(f"not as 'ser score' writes it: {error}", file=path) from None


def few(clusters: int) -> bool:
    """Whether so few clusters make a bootstrap interval too narrow to be trusted."""
    return clusters < FEW_CLUSTERS
