"""positions.svg: the metric by position in the dialogue."""

from __future__ import annotations

from collections.abc import Sequence

from ser.scoring.comparison.compare import Compared, Comparison
from ser.scoring.comparison.paired import Estimate
from ser.scoring.comparison.positions import KINDS, Point
from ser.scoring.drawing.figures import Panel, lines, standalone

# More systems than that hide one another in one panel: each then has its own.
TOGETHER = 4
COLUMNS = 4
Interval = tuple[float, float, float]


def picture(found: Comparison) -> str:
    """Few systems as lines in one panel; of many each in a panel with the reference."""
    names = [row.system for row in found.parts[0].rows]
    band = f"{100 * found.how.level:g} % over {found.how.unit}s."
    label = f"By position in the dialogue: {', '.join(names)}"
    if len(names) <= TOGETHER:
        panels = [panel for part in found.parts for panel in _together(part)]
        return standalone(panels, label, len(KINDS), names, f"Bands: {band}")
    panels = [panel for part in found.parts if part.positions for panel in _apart(part)]
    return standalone(panels, label, COLUMNS, [names[0], "the system above the panel"], f"Bands: {band}")


def _together(part: Compared) -> list[Panel]:
    """The metric, then the difference to the reference, by each kind of position."""
    panels, note = [], part.task.title
    for kind, curves in part.positions.items():
        series = [_values(each) for each in curves]
        panels.append(lines(part.metric, note, KINDS[kind], part.metric, _ticks(curves), series))
    title = f"{part.metric} less that of {part.rows[0].system}"
    for kind, curves in part.positions.items():
        series = [_intervals([p.difference for p in each if p.difference is not None]) for each in curves]
        panels.append(lines(title, note, KINDS[kind], "difference", _ticks(curves), series, level=0.0))
    return panels


def _apart(part: Compared) -> list[Panel]:
    """The metric by the last kind of position, the speaker's own turns; all panels have one scale."""
    kind, curves = list(part.positions.items())[-1]
    series, note = [_values(each) for each in curves], f"{part.metric}, {part.task.title}"
    scale = [value for each in series for point in each if point is not None for value in point]
    return [
        lines(row.system, note, KINDS[kind], part.metric, _ticks(curves), [series[0], own], holds=scale)
        for row, own in list(zip(part.rows, series, strict=True))[1:]
    ]


def _ticks(curves: Sequence[Sequence[Point]]) -> list[str]:
    """Bins are named by their first position."""
    return [str(point.first) for point in curves[0]]


def _values(points: Sequence[Point]) -> list[Interval | None]:
    """The metric at each position."""
    return _intervals([point.value for point in points])


def _intervals(estimates: Sequence[Estimate]) -> list[Interval | None]:
    """(value, low, high) of each; None where there is no interval."""
    return [None if e.low is None or e.high is None else (e.value, e.low, e.high) for e in estimates]
