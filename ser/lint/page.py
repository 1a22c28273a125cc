"""The linter's report as a page: one file, no network, light and dark."""

from __future__ import annotations

from ser.core import page as pages
from ser.data.wording import counted
from ser.lint.distribution import classes_by_part, classes_by_speaker, spreads
from ser.lint.finding import Level
from ser.lint.report import set_rows, title, verdict
from ser.lint.run import Result

PACKAGE = "ser.lint"
SPEAKERS = 100  # rows of the table by speaker
COLOURS = 10  # in lint.css


def page(result: Result) -> str:
    """The page; every string of the data is escaped."""
    subject = result.subject
    speakers = classes_by_speaker(subject)
    return pages.render(
        PACKAGE,
        "lint.html",
        {"counted": counted, "percent": percent, "position": position, "colours": COLOURS},
        title=title(subject),
        verdict=verdict(result),
        passed=not result.of(Level.ERROR),
        sets=set_rows(subject),
        levels=[(level.value, result.of(level)) for level in Level],
        outcomes=result.outcomes,
        skipped=subject.skipped,
        clean=len(result.clean),
        parts=classes_by_part(subject),
        speakers=speakers,
        shown_speakers=speakers.rows[:SPEAKERS] if speakers else [],
        spreads=spreads(subject),
        style=pages.style(PACKAGE, "lint.css"),
    )


def percent(count: int, counts: list[int]) -> float:
    """``count`` as a percentage of the sum of ``counts``."""
    return 100 * count / max(sum(counts), 1)


def position(value: float, low: float, high: float) -> float:
    """Where a value lies between ``low`` and ``high``, in per cent, kept inside."""
    return min(100.0, max(0.0, 100 * (value - low) / (high - low)))
