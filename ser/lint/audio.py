"""What the audio itself shows: broken files, duplicates, silence, clipping, rates; and how long it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from ser.data.audio_header import MAX_OVERSHOOT
from ser.data.validate import durations_agree
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.finding import SHOWN, Finding, Level, NotChecked, found, place, share
from ser.lint.sound import FLOOR_DB, Sound
from ser.lint.subject import LintedSet, Subject

USUAL_RATE = 16000  # Hz, of the upstreams


def broken(subject: Subject) -> Iterator[Finding]:
    """Audio that is missing, no audio, truncated, not finite, or shorter than its segment."""
    if subject.sounds is None:
        raise NotChecked("the audio was left alone")
    for item in subject.sets:
        reasons = {name: sound.broken for name, sound in subject.sounds[item.name].items() if sound.broken}
        if reasons:
            some = share(len(reasons), len(item.data.utt2spk))
            what = f"{some} utterances of {item.name} have audio that cannot be used"
            hint = (
                "Mend or remove them; where features are extracted with --skip-broken, --allow broken-audio"
            )
            yield found(Level.ERROR, what, item.data, subject.audio_table(item), sorted(reasons),
                        lambda name, why=reasons: f"{name}: {why[name]}", hint)  # fmt: skip


def unheard(subject: Subject) -> Iterator[Finding]:
    """Entries of wav.scp that are commands."""
    for item in subject.sets:
        commands = [name for name, entry in item.data.wav_scp.items() if entry.endswith("|")]
        if commands:
            number = counted(len(commands), "command")
            what = f"{number} in {item.name}'s wav.scp, which are not run: nobody listened"
            yield found(Level.NOTE, what, item.data, "wav.scp", commands)


def duplicates(subject: Subject) -> Iterator[Finding]:
    """The same samples under several ids; digital silence aside."""
    holders: dict[str, list[tuple[LintedSet, str]]] = defaultdict(list)
    for item, utterance, sound in subject.heard():
        if sound.loudest > FLOOR_DB:
            holders[sound.digest].append((item, utterance))
    side_of = {
        (id(part.data), utterance): part.side for part in subject.parts for utterance in part.utterances
    }
    groups = [group for group in holders.values() if len(group) > 1]
    across, within = [], []
    for group in groups:
        sides = {side_of.get((id(item.data), utterance)) for item, utterance in group}
        (across if len(sides) > 1 else within).append(group)
    for level, some, where in (
        (Level.ERROR, across, "in several sets or folds"),
        (Level.WARNING, within, "in one set, or sets of one role"),
    ):
        if some:
            contradict = sum(len({_class(*one) for one in group} - {None}) > 1 for group in some)
            what = f"{counted(len(some), 'recording')} under several ids {where}"
            if contradict:
                what += f", {contradict:,} of them with different classes"
            offenders = tuple(
                place(group[-1][0].data, subject.audio_table(group[-1][0]), group[-1][1],
                      " = ".join(_labelled(*one) for one in group[:4]))
                for group in some[:SHOWN]
            )  # fmt: skip
            yield Finding(level, what, offenders, len(some), "Keep one of each")


def _class(item: LintedSet, utterance: str) -> str | None:
    """An utterance's class."""
    return item.data.classes_of().get(utterance)


def _labelled(item: LintedSet, utterance: str) -> str:
    """``train ann-1 (anger)``."""
    name = _class(item, utterance)
    return f"{item.name} {utterance}" + (f" ({name})" if name else "")


def rates(subject: Subject) -> Iterator[Finding]:
    """Several sampling rates, or one that no upstream takes as it is."""
    by_rate: dict[int, list[tuple[LintedSet, str]]] = defaultdict(list)
    for item, utterance, sound in subject.heard():
        by_rate[sound.rate].append((item, utterance))
    if len(by_rate) > 1:
        rare = sorted(by_rate, key=lambda rate: len(by_rate[rate]))
        what = f"{len(by_rate)} sampling rates"
        offenders = tuple(
            place(item.data, subject.audio_table(item), name, f"{rate} Hz: {len(by_rate[rate]):,}, as {name}")
            for rate in rare[:SHOWN]
            for item, name in by_rate[rate][:1]
        )  # fmt: skip
        hint = "All are resampled; the band that is missing tells a model where an utterance comes from"
        yield Finding(Level.WARNING, what, offenders, len(by_rate), hint)
    elif by_rate and USUAL_RATE not in by_rate:
        yield Finding(
            Level.NOTE, f"all audio is sampled at {next(iter(by_rate))} Hz, and resampled to {USUAL_RATE} Hz"
        )


def silence(subject: Subject) -> Iterator[Finding]:
    """No 25 ms above the limit."""
    limit = subject.settings.silence_db
    yield from _those(
        subject, lambda sound: sound.loudest < limit, f"are silent: nowhere above {limit:g} dB of full scale",
        lambda sound: f"{sound.loudest:.0f} dB at its loudest",
    )  # fmt: skip


def clipping(subject: Subject) -> Iterator[Finding]:
    """Runs of samples at full scale."""
    limit = subject.settings.clipped_share
    yield from _those(
        subject, lambda sound: sound.clipped > limit,
        f"are clipped: over {100 * limit:g} % of the samples in runs at full scale",
        lambda sound: f"{100 * sound.clipped:.2g} % of its samples",
    )  # fmt: skip


def offsets(subject: Subject) -> Iterator[Finding]:
    """A mean that is not zero."""
    limit = subject.settings.offset
    yield from _those(
        subject, lambda sound: abs(sound.offset) > limit,
        f"have a DC offset of over {100 * limit:g} % of full scale",
        lambda sound: f"{100 * sound.offset:.2g} %",
    )  # fmt: skip


def _those(
    subject: Subject, test: Callable[[Sound], bool], what: str, describe: Callable[[Sound], str]
) -> Iterator[Finding]:
    """A warning for each set with utterances of which ``test`` holds."""
    for name, hits in _by_set(subject, test).items():
        item = next(item for item in subject.sets if item.name == name)
        text = f"{share(len(hits), len(item.data.utt2spk))} utterances of {name} {what}"
        yield found(Level.WARNING, text, item.data, subject.audio_table(item), sorted(hits),
                    lambda key, hits=hits: f"{key}: {describe(hits[key])}")  # fmt: skip


def _by_set(subject: Subject, test: Callable[[Sound], bool]) -> dict[str, dict[str, Sound]]:
    """Set -> utterance -> what was heard, where ``test`` holds."""
    hits: dict[str, dict[str, Sound]] = {}
    for item, utterance, sound in subject.heard():
        if test(sound):
            hits.setdefault(item.name, {})[utterance] = sound
    return hits


def wrong_durations(subject: Subject) -> Iterator[Finding]:
    """utt2dur against the audio."""
    if subject.sounds is None:
        raise NotChecked("the audio was left alone")
    subject.having("utt2dur")
    for item in subject.sets:
        said, heard = item.data.tables.get("utt2dur", {}), subject.sounds[item.name]
        slack = MAX_OVERSHOOT if item.data.segments is not None else 0.0  # a late segment is cut there
        wrong = sorted(
            name for name, sound in heard.items()
            if not sound.broken and name in said and not durations_agree(said[name], sound.seconds)
            and abs(float(said[name]) - sound.seconds) > slack
        )  # fmt: skip
        if wrong:
            what = f"{share(len(wrong), len(said))} durations of {item.name} are not those of the audio"
            yield found(Level.ERROR, what, item.data, "utt2dur", wrong,
                        lambda name, said=said, heard=heard:
                        f"{name}: {said[name]}, not {heard[name].seconds:.2f}",
                        "Mend them with 'ser prepare fix --durations'")  # fmt: skip


CHECKS = (
    Check(
        "broken-audio",
        Level.ERROR,
        "audio that is missing, cannot be read, is cut short, or holds NaN",
        broken,
    ),
    Check("wrong-duration", Level.ERROR, "utt2dur is not the duration of the audio", wrong_durations),
    Check(
        "duplicate-audio",
        Level.ERROR,
        "the same samples under two ids in several sets or folds (in one: a warning)",
        duplicates,
    ),
    Check("sample-rate", Level.WARNING, "several sampling rates (one other than 16 kHz: a note)", rates),
    Check("silence", Level.WARNING, "no 25 ms louder than --silence-db", silence),
    Check(
        "clipping",
        Level.WARNING,
        "more than 0.1 % of the samples in runs of three or more at full scale",
        clipping,
    ),
    Check("dc-offset", Level.WARNING, "the mean of the samples is more than 2 % of full scale", offsets),
    Check("pipes", Level.NOTE, "commands in wav.scp, to whose audio nobody listened", unheard),
)
