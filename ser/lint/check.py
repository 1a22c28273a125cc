"""A check: a name, what it finds, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ser.lint.finding import Finding, Level
from ser.lint.subject import Subject


@dataclass(frozen=True)
class Check:
    """One check of ``ser lint``.

    Attributes:
        name: words with hyphens, for ``--allow``.
        level: of its worst finding.
        what: what it finds, in one line.
        run: subject -> findings; raises ``NotChecked`` when there is nothing to look at.
    """

    name: str
    level: Level
    what: str
    run: Callable[[Subject], Iterable[Finding]]
