"""Scores as a person reads them in the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ser.core.columns import align
from ser.scoring.intervals import FEW_CLUSTERS
from ser.scoring.schema import Attribute, Classification, Grouping, Scores, Value, few
from ser.scoring.text import counted, shown, with_interval


def summary(scores: Scores) -> str:
    """Metrics with intervals, recall of each class, and how the intervals were made."""
    data = scores.data
    kind = ", synthetic speech" if data.synthetic else ""
    lines = [
        f"{scores.experiment} on {data.corpus} {data.release}{kind}, set {data.set!r}:"
        f" {counted(data.utterances, 'utterance')}, {counted(data.speakers, 'speaker')},"
        f" {counted(len(scores.folds), 'fold')}, seed{'s' if len(scores.seeds) > 1 else ''}"
        f" {', '.join(map(str, scores.seeds))}"
    ]
    if scores.classification:
        lines += ["", *_classes(scores.classification, scores.seeds)]
    for name, attribute in scores.attributes.items():
        lines += ["", *_attribute(name, attribute, scores.seeds)]
    lines += ["", *interval_notes([scores])]
    return "\n".join(lines)


def interval_notes(experiments: Sequence[Scores]) -> list[str]:
    """How the intervals of comparable experiments were made, and what to keep in mind, a sentence each."""
    how = experiments[0].bootstrap
    parts = [part for scores in experiments for part in (scores.classification, *scores.attributes.values())]
    clusters = sorted({part.clusters for part in parts if part})
    over = " or ".join(f"{count:,}" for count in clusters)
    notes = [
        f"Intervals: {100 * how.level:g} %, percentile bootstrap over {over} {how.unit}s,"
        f" {how.draws:,} draws, seed {how.seed}."
    ]
    if clusters and few(clusters[0]):
        notes.append(
            f"Fewer than {FEW_CLUSTERS} {how.unit}s: the intervals are rough, and rather too narrow."
        )
    undefined = max((v.undefined_draws for part in parts if part for v in part.metrics.values()), default=0)
    if undefined:
        notes.append(f"Up to {undefined} draws in which a metric is undefined are left out.")
    return notes


def _classes(found: Classification, seeds: list[int]) -> list[str]:
    """The lines of the classes."""
    rows = [
        [name, with_interval(value), _over_seeds(name, value, seeds)] for name, value in found.metrics.items()
    ]
    recalls = "  ".join(f"{row.name} {shown(row.recall)}" for row in found.per_class)
    kind = "derived classes" if found.derived else "classes"
    return [
        f"{len(found.classes)} {kind}, {_counts(found)}",
        *align(rows, indent="  "),
        f"  recall: {recalls}",
        *_groupings(found),
    ]


def _attribute(name: str, found: Attribute, seeds: list[int]) -> list[str]:
    """The lines of an attribute."""
    rows = []
    for metric, value in found.metrics.items():
        note = _over_seeds(metric, value, seeds)
        if metric == "A-CCC":
            left_out = f", {found.a_ccc_left_out} left out" if found.a_ccc_left_out else ""
            sd = f"sd {shown(found.a_ccc_sd)} over {counted(found.a_ccc_speakers, 'speaker')}{left_out}"
            note = f"{sd}; {note}" if note else sd
        rows.append([metric, with_interval(value, metric), note])
    kind = ", derived" if found.derived else ""
    low, high = found.range
    title = f"{name} ({low:g} to {high:g}{kind}), {_counts(found)}"
    return [title, *align(rows, indent="  "), *_groupings(found)]


def group_notes(grouping: Grouping) -> list[str]:
    """What to keep in mind of results by group, a sentence each."""
    notes, unit = [], grouping.unit
    clusters = {
        group.name: group.speakers if group.clusters is None else group.clusters for group in grouping.groups
    }
    alone = [name for name, count in clusters.items() if count < 2]
    if alone:
        notes.append(f"One {unit}, hence no interval: {', '.join(alone)}.")
    rough = [name for name, count in clusters.items() if few(count) and count > 1]
    if rough:
        what = f"Fewer than {FEW_CLUSTERS} {unit}s, hence rough intervals, rather too narrow"
        notes.append(f"{what}: {', '.join(rough)}.")
    for group in grouping.groups:
        if group.lacks:
            notes.append(f"{group.name} lacks {', '.join(group.lacks)}: its UAR is averaged over the others.")
    return notes


def _groupings(found: Classification | Attribute) -> list[str]:
    """The first metric of each group of speakers, and the differences."""
    metric, lines = next(iter(found.metrics)), []
    for grouping in found.groupings:
        rows = [
            [group.name, with_interval(group.metrics[metric], metric), counted(group.speakers, "speaker"),
             counted(group.utterances, "utterance")]
            for group in grouping.groups
        ]  # fmt: skip
        rows += [
            [f"{pair.one} - {pair.other}", with_interval(pair.metrics[metric], metric), "", ""]
            for pair in grouping.differences
        ]
        lines += [f"  {metric} by {grouping.by}:", *align(rows, indent="    ")]
        lines += [f"    {note}" for note in group_notes(grouping)]
    return lines


def _counts(found: Classification | Attribute) -> str:
    """How many utterances were scored, and how many could not be."""
    unlabelled = f", {found.unlabelled:,} unlabelled" if found.unlabelled else ""
    return f"{counted(found.scored, 'utterance')} scored{unlabelled}"


def _over_seeds(metric: str, value: Value, seeds: list[int]) -> str:
    """The metric of each seed and its deviation, when there are several."""
    defined = [each for each in value.by_seed if each is not None]
    if len(seeds) < 2 or len(defined) < 2:
        return ""
    each = " ".join(shown(seed, metric) for seed in value.by_seed)
    return f"seeds {each} (sd {shown(statistics.stdev(defined), metric)})"
