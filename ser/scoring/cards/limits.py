"""What a model card says of a model's limits: sentences that follow from facts, none that does not."""

from __future__ import annotations

from collections.abc import Iterator

from ser.scoring.cards.facts import Facts, labels_of
from ser.scoring.groups import RULES, UNKNOWN
from ser.scoring.intervals import FEW_CLUSTERS
from ser.scoring.schema import Classification, Grouping, Scores, Value, few
from ser.scoring.text import counted, shown, with_interval

# Of the classes, this many with the lowest recall are named.
LOWEST = 2


def limits(facts: Facts) -> list[str]:
    """All limits, a sentence or two each."""
    found = [*_speech(facts), *_corpora(facts), *_protocol(facts)]
    for scores in facts.scores:
        own = [*_clusters(scores), *_labels(scores), *_recalls(scores), *_groups(scores)]
        where = f"Set {scores.data.set!r}: " if len(facts.scores) > 1 else ""
        found += [where + sentence for sentence in own]
    return found


def _speech(facts: Facts) -> Iterator[str]:
    """What the kind of speech means."""
    speech = facts.speech
    if speech is None:
        yield "Whether the training corpus is acted, elicited or natural speech, and its language: not known."
        return
    yield f"Trained on {speech} speech alone; nothing here tells how it does on another kind or language."
    if "synthetic" in speech:
        yield "The speech is synthetic: the figures test the machinery and say nothing about people."
    if "acted" in speech.split():
        yield "Acted emotions are what actors were asked to portray, not what people show when nobody asks."


def _corpora(facts: Facts) -> Iterator[str]:
    """Whether it was tested on another corpus, and whether the copy was whole."""
    foreign = sorted({scores.data.corpus for scores in facts.scores if facts.is_foreign(scores)})
    if foreign:
        yield f"Tested on another corpus than that of the training: {', '.join(foreign)}; on no others."
    else:
        yield "Not tested on another corpus (`ser score --model`)."
    if facts.is_partial:
        yield "The copy lacked utterances of the release: these are not the figures of the whole."


def _protocol(facts: Facts) -> Iterator[str]:
    """What the protocol and the training leave open."""
    if facts.shared_speakers:
        shared = counted(len(facts.shared_speakers), "speaker")
        yield f"{shared} both in training and in test: the results are not those of new speakers."
    if facts.row.transductive:
        yield "Transductive: it also uses the test speaker's other audio, without labels."
    if len(facts.main.seeds) < 2:
        yield "Trained with one seed: how much the results vary between seeds is not known."


def _clusters(scores: Scores) -> Iterator[str]:
    """Too few speakers for intervals."""
    clusters = {part.clusters for _, part in labels_of(scores)}
    if few(min(clusters)):
        tested = f"{counted(min(clusters), 'speaker')}, fewer than {FEW_CLUSTERS}"
        yield f"Tested on {tested}: the intervals are rough, and rather too narrow."


def _labels(scores: Scores) -> Iterator[str]:
    """Labels that are not annotations, and those that are missing."""
    for name, part in labels_of(scores):
        if part.derived:
            yield f"The labels of {name} are derived, not annotated."
        if part.unlabelled:
            what = counted(part.unlabelled, "utterance")
            yield f"{what} of the test without a label of {name}: predicted, not scored."


def _recalls(scores: Scores) -> Iterator[str]:
    """The classes that are found least."""
    if not isinstance(scores.classification, Classification):
        return
    rows = [row for row in scores.classification.per_class if row.recall is not None]
    lowest = sorted(rows, key=lambda row: (row.recall, row.name))[: min(LOWEST, len(rows) - 1)]
    if lowest:
        yield "Lowest recall: " + ", ".join(f"{row.name} {shown(row.recall)}" for row in lowest) + "."
    absent = [row.name for row in scores.classification.per_class if not row.support]
    if absent:
        yield f"Classes without an utterance in the test, hence not tested: {', '.join(absent)}."


def _groups(scores: Scores) -> Iterator[str]:
    """Differences between groups, and what is not known of groups."""
    known = {grouping.by for _, part in labels_of(scores) for grouping in part.groupings}
    for name in RULES:
        if name not in known:
            yield f"The speakers' {name} is not known: whether the model does as well for all is not tested."
    for label, part in labels_of(scores):
        main = next(iter(part.metrics))
        for grouping in part.groupings:
            yield from _gaps(f"{main} of {label}", grouping, main)


def _gaps(what: str, grouping: Grouping, metric: str) -> Iterator[str]:
    """The differences of one grouping."""
    for pair in grouping.differences:
        value = pair.metrics[metric]
        if value.value is None:
            continue
        text = f"{what}, {pair.one} less {pair.other}: {with_interval(value, metric)}"
        yield f"{text}{_verdict(value)}"
    unknown = sum(group.speakers for group in grouping.groups if group.name == UNKNOWN)
    if unknown:
        yield f"{grouping.by.capitalize()} of {counted(unknown, 'speaker')} not known."
    groups = [group.name for group in grouping.groups if group.name != UNKNOWN]
    if len(groups) == 1:
        yield f"All speakers of known {grouping.by} are {groups[0]}: no other group is tested."


def _verdict(value: Value) -> str:
    """Whether the interval of a difference leaves out 0."""
    if value.low is None or value.high is None:
        return "; without an interval, it may be chance."
    if value.low <= 0 <= value.high:
        return "; the interval holds 0, which is no evidence that there is no difference."
    return "; the interval leaves out 0."
