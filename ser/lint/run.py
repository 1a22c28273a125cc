"""Running all checks over the sets of an experiment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ser.core.errors import UserError
from ser.lint.check import Check
from ser.lint.finding import Finding, Level, NotChecked
from ser.lint.listen import hear
from ser.lint.notes import Notes
from ser.lint.registry import CHECKS, refuse_unknown
from ser.lint.subject import Settings, Subject

NOTES = Path(".lint") / "audio.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What a check said.

    Attributes:
        check: the check.
        findings: none when all is well.
        not_checked: why it had nothing to look at, or None.
    """

    check: Check
    findings: tuple[Finding, ...] = ()
    not_checked: str | None = None


@dataclass(frozen=True)
class Result:
    """What all checks said of a subject."""

    subject: Subject
    outcomes: tuple[Outcome, ...]

    def of(self, level: Level) -> list[tuple[Check, Finding]]:
        """The findings of a level, in the order of the checks."""
        return [
            (outcome.check, finding)
            for outcome in self.outcomes
            for finding in outcome.findings
            if finding.level is level
        ]

    @property
    def clean(self) -> list[Check]:
        """Checks that looked and found nothing."""
        return [
            outcome.check
            for outcome in self.outcomes
            if not outcome.findings and outcome.not_checked is None
        ]  # fmt: skip


def lint(
    paths: Sequence[str | os.PathLike[str]],
    settings: Settings | None = None,
    allow: Iterable[str] = (),
    audio: bool = True,
    jobs: int = 1,
    work: str | os.PathLike[str] | None = None,
) -> Result:
    """Check the data directories of one experiment.

    Args:
        paths: all its sets.
        settings: where the checks draw their lines.
        allow: names of checks whose errors are warnings.
        audio: also listen to the audio.
        jobs: processes that listen.
        work: folder for the notes of what was heard; ``.lint`` beside the first set when not given.

    Raises:
        UserError: for a name that is no check's, no or the same directory, a process that was killed.
    """
    if jobs < 1:
        raise UserError("--nj must be 1 or more", value=jobs)
    allow = set(allow)
    refuse_unknown(sorted(allow))
    subject = Subject.load(paths, settings)
    if audio and subject.sets:
        notes = Path(work) / NOTES.name if work is not None else Path(paths[0]).parent / NOTES
        subject.sounds = hear(subject.sets, Notes(notes), jobs)
    return Result(subject, tuple(run(check, subject, check.name in allow) for check in CHECKS.values()))


def run(check: Check, subject: Subject, allowed: bool = False) -> Outcome:
    """Run one check.

    Args:
        check: which.
        subject: on what.
        allowed: its errors become warnings.
    """
    try:
        findings = tuple(check.run(subject))
    except NotChecked as reason:
        return Outcome(check, not_checked=str(reason))
    if allowed:
        findings = tuple(
            replace(finding, level=Level.WARNING, allowed=True) if finding.level is Level.ERROR else finding
            for finding in findings
        )
    return Outcome(check, findings)
