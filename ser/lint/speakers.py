"""Speaker ids that look wrong: by the corpus's own rule, by the dialogues, by their spelling."""

from __future__ import annotations

import importlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ser.corpora.base import CORPORA
from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.finding import SHOWN, Finding, Level, NotChecked, Offender, found, place, share
from ser.lint.subject import Subject

FEW = 10  # utterances below which numbers of speakers say nothing
WRONG_SPEAKER = (
    "Take the speaker from the corpus's documentation: in IEMOCAP the last letter, not the first,"
    " tells who speaks (Ses01F_impro05_M012 is Ses01M's)"
)


def true_speakers(subject: Subject) -> Iterator[Finding]:
    """Utterances that the corpus's own rule gives to another speaker."""
    looked = False
    for item in subject.sets:
        speaker_of = rule_of(item.data.labels.corpus)
        if speaker_of is None:
            continue
        told = told_speakers(item.data, speaker_of)
        looked = looked or bool(told)
        wrong = sorted(wrong_speakers({name: item.data.utt2spk[name] for name in told}, told))
        if wrong:
            some = share(len(wrong), len(told))
            what = f"{some} utterances of {item.name} have another speaker than their original id tells"
            yield found(
                Level.ERROR, what, item.data, "utt2spk", wrong,
                lambda name, data=item.data, told=told:
                f"{data.utt2spk[name]}, but {told[name]} speaks: {name}",
                WRONG_SPEAKER,
            )  # fmt: skip
    if not looked:
        raise NotChecked("the corpus has no rule that tells speakers from ids")


def rule_of(corpus: str) -> Callable[[str], str | None] | None:
    """A corpus's rule, original id -> speaker, or None; ``IEMOCAP-4`` in labels.yaml is iemocap, too."""
    for name, module in CORPORA.items():
        if re.search(rf"(?<![a-z]){name}(?![a-z])", corpus.casefold().replace("-", "_")):
            return importlib.import_module(module).CORPUS.speaker_of
    return None


def told_speakers(data: DataDir, speaker_of: Callable[[str], str | None]) -> dict[str, str]:
    """Utterance -> speaker, of those whose original id tells one; of a path the file's name is the id."""
    original = data.tables.get("utt2orig", {})
    told = {}
    for utterance, speaker in data.utt2spk.items():
        name = original.get(utterance) or utterance.removeprefix(f"{speaker}-")
        answer = speaker_of(re.sub(r".*/|\.(wav|flac|ogg|mp4)$", "", name))
        if answer is not None:
            told[utterance] = answer
    return told


def wrong_speakers(said: Mapping[str, str], told: Mapping[str, str]) -> set[str]:
    """Utterances that are said to be somebody else's than the corpus tells.

    Names may be others than the corpus's own as long as they stand for the same people: where no
    name is the corpus's, names are matched one to one so that most utterances agree.

    Args:
        said: utterance -> speaker, from utt2spk.
        told: the same utterances -> the corpus's speaker.
    """
    names, true_names = sorted(set(said.values())), sorted(set(told.values()))
    if not names:
        return set()
    means = {name: name for name in names}
    if not set(names) & set(true_names):
        from scipy.optimize import linear_sum_assignment  # slow to import, and seldom wanted

        together = Counter((said[utterance], told[utterance]) for utterance in said)
        counts = np.array([[together[name, true] for true in true_names] for name in names])
        rows, columns = linear_sum_assignment(counts, maximize=True)
        means = {names[row]: true_names[column] for row, column in zip(rows, columns, strict=True)}
    return {name for name in said if means.get(said[name]) != told[name]}


def dialogue_speakers(subject: Subject) -> Iterator[Finding]:
    """Dialogues in which nobody answers, though there are several speakers."""
    for item in subject.having("utt2dialogue"):
        people: dict[str, set[str]] = defaultdict(set)
        size: Counter[str] = Counter()
        for utterance, dialogue in item.data.tables["utt2dialogue"].items():
            speaker = item.data.utt2spk[utterance]
            if is_known(speaker):
                people[dialogue].add(speaker)
                size[dialogue] += 1
        longer = [dialogue for dialogue in people if size[dialogue] > 1]
        if len(longer) < 2 or any(len(people[dialogue]) > 1 for dialogue in longer):
            continue
        if len(set().union(*people.values())) < 2:
            continue
        what = f"each of {item.name}'s {counted(len(longer), 'dialogue')} has one speaker only"
        hint = "Look whether the speaker was taken from the dialogue's name instead of the utterance's"
        first = {
            dialogue: utterance for utterance, dialogue in reversed(item.data.tables["utt2dialogue"].items())
        }
        offenders = tuple(
            place(item.data, "utt2dialogue", first[dialogue],
                  f"{dialogue}: {size[dialogue]:,} utterances, all by {next(iter(people[dialogue]))}")
            for dialogue in longer[:SHOWN]
        )  # fmt: skip
        yield Finding(Level.WARNING, what, offenders, len(longer), hint)


def spellings(subject: Subject) -> Iterator[Finding]:
    """Ids that differ in case, leading zeros or separators only, over all sets."""
    alike: dict[str, dict[str, DataDir]] = defaultdict(dict)
    for item in subject.sets:
        for speaker in item.data.spk2utt:
            alike[plain(speaker)].setdefault(speaker, item.data)
    twins = {key: names for key, names in alike.items() if len(names) > 1}
    if twins:
        offenders = []
        for names in list(twins.values())[:SHOWN]:
            last, data = list(names.items())[-1]
            offenders.append(place(data, "utt2spk", data.spk2utt[last][0], " and ".join(names)))
        what = f"{counted(len(twins), 'speaker')} with ids that differ in case, zeros or separators only"
        hint = "If they are one person, give one id"
        yield Finding(Level.WARNING, what, tuple(offenders), len(twins), hint)


def plain(speaker: str) -> str:
    """An id without case, leading zeros and separators; between digits a separator stays.

    >>> plain("Ses_01F") == plain("ses1f"), plain("1-11") == plain("11-1")
    (True, False)
    """
    joined = re.sub(r"(?<![0-9])[\s_-]+|[\s_-]+(?![0-9])", "", speaker.casefold())
    return re.sub(r"[\s_-]+", "_", re.sub(r"(?<![0-9])0+(?=[0-9])", "", joined))


def numbers(subject: Subject) -> Iterator[Finding]:
    """One speaker in all, or as many as utterances."""
    if not subject.sets:
        raise NotChecked("no set is in order")
    everyone = {speaker for item in subject.sets for speaker in item.data.utt2spk.values()}
    if len(everyone) == 1:
        what = f"all utterances are by one speaker, {next(iter(everyone))}"
        hint = "Nothing can be said about other speakers, and no interval over speakers be had"
        yield Finding(Level.WARNING, what, hint=hint)
    for item in subject.sets:
        utterances, known = len(item.data.utt2spk), [name for name in item.data.spk2utt if is_known(name)]
        if len(known) == utterances >= FEW:
            what = f"{item.name} has as many speakers as utterances, {utterances:,}"
            hint = "Ids of utterances may have been taken for ids of speakers"
            yield found(Level.WARNING, what, item.data, "utt2spk", item.data.utterances, hint=hint)


def unknown(subject: Subject) -> Iterator[Finding]:
    """Utterances whose speaker nobody knows."""
    counts = []
    for item in subject.sets:
        lost = [name for name, speaker in item.data.utt2spk.items() if not is_known(speaker)]
        if lost:
            text = f"{share(len(lost), len(item.data.utt2spk))} utterances of {item.name}"
            counts.append((len(lost), place(item.data, "utt2spk", lost[0], text)))
    if counts:
        what = f"{counted(sum(number for number, _ in counts), 'utterance')} without a known speaker"
        hint = "No check can tell whether their speakers are in several sets"
        offenders: tuple[Offender, ...] = tuple(offender for _, offender in counts)
        yield Finding(Level.WARNING, what, offenders, len(offenders), hint)


CHECKS = (
    Check(
        "speaker-wrong",
        Level.ERROR,
        "an utterance's original id tells another speaker (IEMOCAP's last letter)",
        true_speakers,
    ),
    Check(
        "speaker-dialogue",
        Level.WARNING,
        "every dialogue has one speaker only, though there are several speakers",
        dialogue_speakers,
    ),
    Check(
        "speaker-spelling",
        Level.WARNING,
        "ids of speakers differ in case, leading zeros or separators only",
        spellings,
    ),
    Check("speaker-number", Level.WARNING, "one speaker in all, or as many speakers as utterances", numbers),
    Check("speaker-unknown", Level.WARNING, "utterances without a known speaker, counted", unknown),
)
