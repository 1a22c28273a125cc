"""Labels: classes and their order, attributes and their scales, soft labels, balance between sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ser.data.datadir import LABELS, DataDir
from ser.data.labels import CLASS_LABEL, Range
from ser.data.validate import unlabelled
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.distribution import by_chance, class_counts, cramers_v, values_of
from ser.lint.finding import Finding, Level, NotChecked, Offender, found, listed, share
from ser.lint.subject import LintedSet, Subject

EMOTION, SOFT = f"utt2{CLASS_LABEL}", "utt2emodist"
SCALES = [(0, 1), (-1, 1), (1, 5), (1, 7), (1, 9), (0, 10), (0, 100)]
ENOUGH = 30  # values from which a scale can be guessed
LARGE_V = 0.3  # Cramér's V from which sets are told to differ in their classes
LARGE_SHIFT = 0.5  # difference of means in standard deviations, likewise
DEVIATIONS = 3.0  # of a test's statistic, within which small sets differ by chance
OFTEN = 0.05  # share of soft labels that contradict the class, from which it is a warning
EACH = 5  # utterances a speaker must have to be looked at


def schemas(subject: Subject) -> Iterator[Finding]:
    """All sets have one list of classes in one order, and one range for an attribute."""
    if len(subject.sets) < 2:
        raise NotChecked("there is one set")
    first = subject.sets[0]
    for item in subject.sets[1:]:
        classes, others = first.data.labels.classes, item.data.labels.classes
        if classes and others and classes != others:
            same = set(classes) == set(others)
            what = f"{item.name} and {first.name} have {'another order of' if same else 'other'} classes"
            text = f"{', '.join(others)}; {first.name} has {', '.join(classes)}"
            hint = "A class is a position in every prediction: write one list into all labels.yaml"
            yield Finding(Level.ERROR, what, (Offender(text, item.data.path / LABELS),), 1, hint)
        ranges, other_ranges = first.data.labels.attributes, item.data.labels.attributes
        for name in ranges:
            if name in other_ranges and ranges[name] != other_ranges[name]:
                what = f"{item.name} and {first.name} have other ranges for {name}"
                text = f"{shown(other_ranges[name])}; {first.name} has {shown(ranges[name])}"
                yield Finding(Level.ERROR, what, (Offender(text, item.data.path / LABELS),), 1)
        if first.data.labels.corpus.casefold() != item.data.labels.corpus.casefold():
            corpora = first.data.labels.corpus, item.data.labels.corpus
            what = f"{first.name} is of the corpus {corpora[0]}, {item.name} of {corpora[1]}"
            yield Finding(Level.NOTE, what, hint="Speakers of one name count as one person")


def classes(subject: Subject) -> Iterator[Finding]:
    """Classes of labels.yaml without an utterance: in a set, or in a fold of a set that has some."""
    subject.having(EMOTION)
    for item in subject.sets:
        names = item.data.labels.classes
        there = set(item.data.classes_of().values())
        absent = [name for name in names if name not in there]
        if there and absent:
            needed = item.role in ("train", "other") and not item.data.labels.partial
            level = Level.ERROR if needed else Level.WARNING
            hint = "Take it out of labels.yaml, or look for its utterances" if needed else None
            yield _without(level, item.name, absent, item.data, hint)
        for part in subject.parts:
            if part.data is item.data and part.role == "fold":
                counts = class_counts(part)
                lacking = [name for name in names if name in there and not counts[name]]
                if lacking:
                    yield _without(Level.NOTE, part.name, lacking, item.data)


def _without(
    level: Level, where: str, names: Sequence[str], data: DataDir, hint: str | None = None
) -> Finding:
    """A set or fold that lacks classes."""
    what = f"{where} has no utterance of {listed(names)}"
    offender = Offender(f"{len(names)} of {counted(len(data.labels.classes), 'class')}", data.path / EMOTION)
    return Finding(level, what, (offender,), 1, hint)


def missing(subject: Subject) -> Iterator[Finding]:
    """Utterances without a label, where labels.yaml lets them be."""
    lines = []
    for item in subject.sets:
        for table, number in unlabelled(item.data).items():
            text = f"{share(number, len(item.data.utt2spk))} utterances of {item.name} have none"
            lines.append(Offender(text, item.data.path / table))
    if lines:
        yield Finding(Level.NOTE, "utterances without a label", tuple(lines), len(lines))


def scales(subject: Subject) -> Iterator[Finding]:
    """Attributes that are one value, or look like values on another scale than labels.yaml's."""
    looked = False
    for item in subject.sets:
        for name, limits in item.data.labels.attributes.items():
            values = np.array(list(values_of(subject, item.data, name).values()))
            looked = looked or len(values) > 0
            if len(values) > 1 and values.min() == values.max():
                level = Level.ERROR if item.role in ("train", "other") else Level.WARNING
                yield _about_values(
                    subject, level, f"{item.name}'s {name} is {values[0]:g} everywhere", item, name
                )
            elif len(values) >= ENOUGH and (scale := other_scale(values, limits)):
                guess = f"{scale[0]:g} to {scale[1]:g}"
                what = f"{item.name}'s {name} looks like a scale of {guess}, not {shown(limits)}"
                yield _about_values(subject, Level.WARNING, what, item, name)
    if not looked:
        raise NotChecked("no set has attributes")


def other_scale(values: np.ndarray, limits: Range) -> tuple[float, float] | None:
    """A usual scale, narrower than the range, that the values fill.

    Scales around 0 and 1 need only hold them, since no other would be so narrow; of the others, 1 to
    5 in 1 to 7 for instance, both ends must occur.
    """
    low, high = float(values.min()), float(values.max())
    for scale in SCALES:
        inside = limits.min <= scale[0] <= low <= high <= scale[1] <= limits.max
        if inside and scale != (limits.min, limits.max) and (scale[1] <= 1 or (low, high) == scale):
            return scale
    return None


def soft_labels(subject: Subject) -> Iterator[Finding]:
    """Classes that have not the largest share of the soft label."""
    looked = False
    for item in subject.sets:
        data = item.data
        both = [name for name in data.tables.get(SOFT, {}) if name in data.classes_of()]
        if not both:
            continue
        looked = True
        index = {name: number for number, name in enumerate(data.labels.classes)}
        soft = np.array([data.tables[SOFT][name].split() for name in both], dtype=float)
        hard = np.array([index[data.classes_of()[name]] for name in both])
        below = soft[np.arange(len(both)), hard] < soft.max(axis=1)
        against = [both[row] for row in np.flatnonzero(below)]
        if against:
            level = Level.WARNING if len(against) > OFTEN * len(both) else Level.NOTE
            some = share(len(against), len(both))
            what = f"{some} of {item.name}'s classes have not the largest share of the soft label"
            yield found(level, what, data, SOFT, against,
                        lambda name, data=data:
                        f"{name} ({data.classes_of()[name]}): {data.tables[SOFT][name]}")  # fmt: skip
    if not looked:
        raise NotChecked("no set has both utt2emo and utt2emodist")


def shifts(subject: Subject) -> Iterator[Finding]:
    """Sets whose classes, or attributes, are distributed otherwise."""
    parts, looked = subject.apart(), False
    for names in {tuple(part.data.labels.classes) for part in parts if part.data.classes_of()}:
        table = [class_counts(part) for part in parts if tuple(part.data.labels.classes) == names]
        matrix = np.array([[row[name] for name in names] for row in table])
        matrix = matrix[matrix.sum(axis=1) > 0]
        if len(matrix) > 1:
            looked, strength = True, cramers_v(matrix)
            if strength >= LARGE_V and not by_chance(matrix, DEVIATIONS):
                what = f"classes are distributed otherwise from set to set: Cramér's V is {strength:.2f}"
                yield Finding(Level.WARNING, what, hint="The table of classes by set shows which")
    train = next((item for item in subject.sets if item.role == "train"), None)
    for name in train.data.labels.attributes if train else ():
        reference = np.array(list(values_of(subject, train.data, name).values()))
        for item in subject.sets:
            values = np.array(list(values_of(subject, item.data, name).values()))
            if item is train or not len(values) or len(reference) < 2 or not reference.std():
                continue
            looked, shift = True, float((values.mean() - reference.mean()) / reference.std())
            if abs(shift) >= LARGE_SHIFT and abs(shift) * len(values) ** 0.5 > DEVIATIONS:
                side = "above" if shift > 0 else "below"
                what = f"{item.name}'s mean {name} is {abs(shift):.1f} standard deviations {side} train's"
                yield _about_values(subject, Level.WARNING, what, item, name)
    if not looked:
        raise NotChecked("no two sets have the same label")


def one_class(subject: Subject) -> Iterator[Finding]:
    """Speakers all of whose utterances have one class."""
    looked = False
    for item in subject.having(EMOTION):
        of: dict[str, Counter[str]] = {}
        for utterance, name in item.data.classes_of().items():
            of.setdefault(item.data.utt2spk[utterance], Counter())[name] += 1
        enough = {speaker: table for speaker, table in of.items() if table.total() >= EACH}
        if len(set().union(*enough.values())) < 2:
            continue
        looked = True
        single = [speaker for speaker, table in enough.items() if len(table) == 1]
        if single:
            some = share(len(single), len(enough))
            what = f"{some} of {item.name}'s speakers with {EACH} utterances or more have one class only"
            hint = "A model that knows the voice knows their label"
            first = [item.data.spk2utt[speaker][0] for speaker in single]
            yield found(Level.WARNING, what, item.data, "utt2spk", first,
                        lambda name, data=item.data:
                        f"{data.utt2spk[name]}: {data.classes_of()[name]}", hint)  # fmt: skip
    if not looked:
        raise NotChecked("no speakers with several utterances of several classes")


def shown(limits: Range) -> str:
    """``1 to 7``."""
    return f"{limits.min:g} to {limits.max:g}"


def _about_values(subject: Subject, level: Level, what: str, item: LintedSet, name: str) -> Finding:
    """A finding about an attribute's table as a whole."""
    values = np.array(list(values_of(subject, item.data, name).values()))
    text = f"{counted(len(values), 'value')}, {values.min():g} to {values.max():g}, mean {values.mean():.3g}"
    return Finding(level, what, (Offender(text, item.data.path / f"utt2{name}"),), 1)


CHECKS = (
    Check(
        "label-schema",
        Level.ERROR,
        "sets with other classes, another order of them, or another range",
        schemas,
    ),
    Check(
        "class-missing",
        Level.ERROR,
        "a class of labels.yaml has no utterance in train (elsewhere: a warning)",
        classes,
    ),
    Check("label-missing", Level.NOTE, "utterances without a label, counted", missing),
    Check(
        "attribute-scale",
        Level.ERROR,
        "an attribute is one value in train, or looks like another scale (a warning)",
        scales,
    ),
    Check("soft-label", Level.WARNING, "the class has not the largest share of the soft label", soft_labels),
    Check("label-shift", Level.WARNING, "sets whose classes or attributes are distributed otherwise", shifts),
    Check("speaker-class", Level.WARNING, "speakers all of whose utterances have one class", one_class),
)
