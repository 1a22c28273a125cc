"""What train, validation and test, or the folds of a set, have in common and must not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.finding import SHOWN, Finding, Level, NotChecked, Offender, place, share
from ser.lint.subject import Part, Subject

Column = Callable[[DataDir], Mapping[str, str]]  # a directory -> utterance -> what must not be shared


def speakers(subject: Subject) -> Iterator[Finding]:
    """A known speaker on two sides."""
    hint = "Split by speaker; where the corpus shares speakers by design, --allow speaker-overlap"
    yield from _on_two_sides(subject.apart(), _known_speakers, "speaker", "utt2spk", hint, alike=Level.NOTE)


def dialogues(subject: Subject) -> Iterator[Finding]:
    """A dialogue on two sides."""
    subject.having("utt2dialogue")
    hint = "Keep a dialogue in one part; where the protocol does not, --allow dialogue-overlap"
    column = _table("utt2dialogue")
    yield from _on_two_sides(subject.apart(), column, "dialogue", "utt2dialogue", hint, alike=Level.NOTE)


def utterances(subject: Subject) -> Iterator[Finding]:
    """An utterance id, or the same piece of a file, on two sides."""
    hint = "An utterance belongs into one set"
    parts = subject.apart()
    by_id = _on_two_sides(parts, ids, "utterance", "utt2spk", hint, alike=Level.WARNING)
    by_piece = _on_two_sides(parts, pieces, "piece of audio", "wav.scp", hint, alike=Level.WARNING)
    yield from list(by_id) or by_piece


def scripts(subject: Subject) -> Iterator[Finding]:
    """The same words in training and elsewhere."""
    subject.having("text")
    parts = [(part, _words(part)) for part in subject.apart()]
    hint = "A model of the words profits from that: say so, or hold out sentences as well"
    folds = [pair for pair in parts if pair[0].role == "fold"]
    if folds:
        holders = Counter(text for _, words in folds for text in set(words.values()))
        shared = {text for text, number in holders.items() if number > 1}
        yield from _same_words(folds, shared, "the utterances", "another fold", hint)
    trained = {text for part, words in parts if part.role == "train" for text in words.values()}
    for part, words in parts:
        if trained and part.role not in ("train", "fold"):
            yield from _same_words([(part, words)], trained, f"{part.name}'s utterances", "train", hint)
    if not folds and not trained:
        raise NotChecked("no set is called train")


def ids(data: DataDir) -> dict[str, str]:
    """Utterance -> itself."""
    return {utterance: utterance for utterance in data.utt2spk}


def pieces(data: DataDir) -> dict[str, str]:
    """Utterance -> its piece of audio: wav.scp's entry, and the segment's times."""
    if data.segments is None:
        return dict(data.wav_scp)
    return {
        name: f"{data.wav_scp[segment.recording]} {segment.start:g}-{segment.end:g}"
        for name, segment in data.segments.items()
    }


def _known_speakers(data: DataDir) -> dict[str, str]:
    """utt2spk without the speakers that nobody knows."""
    return {utterance: speaker for utterance, speaker in data.utt2spk.items() if is_known(speaker)}


def _table(name: str) -> Column:
    """A table by utterance, empty where a set has none."""
    return lambda data: data.tables.get(name, {})


def _on_two_sides(
    parts: Sequence[Part], column: Column, noun: str, table: str, hint: str, alike: Level
) -> Iterator[Finding]:
    """Values that utterances of several parts have.

    Args:
        parts: the parts.
        column: what must not be shared.
        noun: its name.
        table: where it stands.
        hint: what to do about it.
        alike: how bad it is between parts of one side: nobody trains on one of two test sets.
    """
    columns = {id(part.data): column(part.data) for part in parts}
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for number, part in enumerate(parts):
        values = columns[id(part.data)]
        for value, times in Counter(values[name] for name in part.utterances if name in values).items():
            counts[value][number] = times
    shared: dict[Level, list[str]] = {Level.ERROR: [], alike: []}
    for value in sorted(value for value, by_part in counts.items() if len(by_part) > 1):
        sides = {parts[number].side for number in counts[value]}
        shared[Level.ERROR if len(sides) > 1 else alike].append(value)
    for level, values in shared.items():
        if values:
            offenders = [_offender(parts, columns, counts[value], value, table) for value in values[:SHOWN]]
            where = _places(parts, {tuple(counts[value]) for value in values})
            verb = "is" if len(values) == 1 else "are"
            what = f"{counted(len(values), noun)} of {len(counts):,} {verb} in {where}"
            remedy = (
                hint if level is Level.ERROR else f"Their results are not independent: they share a {noun}"
            )
            yield Finding(level, what, tuple(offenders), len(values), remedy)


def _places(parts: Sequence[Part], where: set[tuple[int, ...]]) -> str:
    """The parts that share values, in words: their names, where it is always the same two."""
    numbers = next(iter(where))
    if all(parts[number].role == "fold" for some in where for number in some):
        return "more than one fold"
    if len(where) == 1 and len(numbers) == 2:
        return f"both {parts[numbers[0]].name} and {parts[numbers[1]].name}"
    return "more than one set"


def _offender(
    parts: Sequence[Part],
    columns: Mapping[int, Mapping[str, str]],
    by_part: Counter[int],
    value: str,
    table: str,
) -> Offender:
    """A shared value: how often it is in each part, and where it stands in the last of them."""
    last = parts[max(by_part)]
    values = columns[id(last.data)]
    first = next(name for name in last.utterances if values.get(name) == value)
    text = ", ".join(
        f"{times:,} in {parts[number].name}" for number, times in sorted(by_part.items())[:SHOWN]
    )
    return place(last.data, table, first, f"{value}: {text}")


def _words(part: Part) -> dict[str, str]:
    """Utterance -> its words without case, punctuation and spare blanks; those without words are left out."""
    table = part.data.tables.get("text", {})
    known: dict[str, str] = {}
    for name in part.utterances:
        if name in table and table[name] not in known:
            known[table[name]] = re.sub(r"[\W_]+", " ", table[name].casefold()).strip()
    return {name: known[table[name]] for name in part.utterances if name in table and known[table[name]]}


def _same_words(
    parts: Sequence[tuple[Part, dict[str, str]]], texts: set[str], whose: str, where: str, hint: str
) -> Iterator[Finding]:
    """Utterances of the parts whose text is among ``texts``; the texts that occur most often come first."""
    often: Counter[str] = Counter()
    examples: dict[str, tuple[DataDir, str]] = {}
    for part, words in parts:
        for name, text in words.items():
            if text in texts:
                often[text] += 1
                examples.setdefault(text, (part.data, name))
    if often:
        total = sum(len(words) for _, words in parts)
        what = f"{share(often.total(), total)} of {whose} have a text that is in {where} too"
        offenders = tuple(
            place(examples[text][0], "text", examples[text][1], f"{text!r}, {counted(times, 'time')}")
            for text, times in often.most_common(SHOWN)
        )
        yield Finding(Level.WARNING, what, offenders, len(often), hint)


CHECKS = (
    Check(
        "speaker-overlap",
        Level.ERROR,
        "a speaker is in two of train, validation and test, or in two folds (in two test sets: a note)",
        speakers,
    ),
    Check("dialogue-overlap", Level.ERROR, "a dialogue is in two of them", dialogues),
    Check(
        "utterance-overlap",
        Level.ERROR,
        "an utterance, or the same piece of a file, is in two of them",
        utterances,
    ),
    Check(
        "script-overlap",
        Level.WARNING,
        "the same text is in train and in validation or test, or in two folds",
        scripts,
    ),
)
