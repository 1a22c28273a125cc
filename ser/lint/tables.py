"""The rules of a data directory, the counts of its corpus, and how long its utterances are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ser.data.datadir import LABELS
from ser.data.labels import TOTAL
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.finding import Finding, Level, NotChecked, Offender, found, listed, share
from ser.lint.subject import Subject


def rules(subject: Subject) -> Iterator[Finding]:
    """Kaldi's rules and those of the labels, each that is broken."""
    if not subject.complaints:
        return
    offenders = []
    for complaint in subject.complaints:
        value = "" if complaint.value is None else f": {str(complaint.value)[:200]!r}"
        hint = "" if complaint.hint is None else f". {complaint.hint}"
        file = None if complaint.file is None else Path(complaint.file)
        offenders.append(Offender(f"{complaint.what.rstrip('.')}{value}{hint}", file, complaint.line))
    what = f"{counted(len(offenders), 'rule')} broken; the other checks leave these directories out"
    yield Finding(Level.ERROR, what, tuple(offenders), len(offenders))


def counts(subject: Subject) -> Iterator[Finding]:
    """Utterances, in all and by class, against those of the release."""
    expecting = [item for item in subject.sets if item.data.labels.expected]
    if not expecting:
        raise NotChecked("no labels.yaml says how many utterances are expected")
    for item in expecting:
        labels, there = item.data.labels, Counter(item.data.classes_of().values())
        there[TOTAL] = len(item.data.utt2spk)
        wrong = [name for name, number in labels.expected.items() if there[name] != number]
        if not wrong:
            continue
        less = all(there[name] < labels.expected[name] for name in wrong)
        missing = labels.partial and less
        what = (
            f"{item.name} is a partial copy" if missing else f"{item.name} does not have the release's counts"
        )
        hint = None
        if not missing:
            hint = "Prepare it anew, a copy that lacks utterances with --allow-partial"
            hint = hint if less else "It has more than the release: look for utterances of another one"
        text = listed(f"{there[name]:,} of {labels.expected[name]:,} {name}" for name in wrong)
        offender = Offender(text, item.data.path / LABELS)
        yield Finding(Level.WARNING if missing else Level.ERROR, what, (offender,), 1, hint)


def short(subject: Subject) -> Iterator[Finding]:
    """Utterances below the limit."""
    limit = subject.settings.min_seconds
    what = f"are shorter than {limit:g} s"
    yield from _beyond(subject, lambda seconds: seconds < limit, what, "Few upstreams take so little", min)


def long(subject: Subject) -> Iterator[Finding]:
    """Utterances above the limit."""
    limit = subject.settings.max_seconds
    what = f"are longer than {limit:g} s"
    yield from _beyond(
        subject, lambda seconds: seconds > limit, what, "They need memory; are they cut right?", max
    )


def _beyond(
    subject: Subject, test: Callable[[float], bool], what: str, hint: str, extreme: Callable
) -> Iterator[Finding]:
    """A warning for each set with durations of which ``test`` holds, the most extreme first."""
    looked = False
    for item in subject.sets:
        seconds = subject.seconds(item.data)
        looked = looked or bool(seconds)
        hits = sorted(
            (name for name in seconds if test(seconds[name])), key=seconds.__getitem__, reverse=extreme is max
        )
        if hits:
            text = f"{share(len(hits), len(seconds))} utterances of {item.name} {what}"
            table = "utt2dur" if "utt2dur" in item.data.tables else "segments"
            yield found(Level.WARNING, text, item.data, table, hits,
                        lambda name, seconds=seconds: f"{name}: {seconds[name]:.2f} s", hint)  # fmt: skip
    if not looked:
        raise NotChecked("no set has utt2dur")


CHECKS = (
    Check(
        "tables", Level.ERROR, "a rule of data directories is broken (as 'ser prepare validate' says)", rules
    ),
    Check("too-short", Level.WARNING, "utterances shorter than --min-seconds", short),
    Check("too-long", Level.WARNING, "utterances longer than --max-seconds", long),
    Check(
        "counts", Level.ERROR, "more or fewer utterances than the release has, in all or of a class", counts
    ),
)
