"""Cost against quality: the first metric by parameters and by speed of extraction, on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from ser.scoring.drawing.figures import LEFT, RIGHT, WIDTH, Panel, place, series_class, vertical
from ser.scoring.drawing.plots import Scale
from ser.scoring.tables.rows import Row
from ser.scoring.text import parameters, with_interval

Point = tuple[Row, float]
# A panel with fewer different costs than this says nothing.
LEAST_COSTS = 2


def total_parameters(row: Row) -> float | None:
    """Parameters that a prediction goes through: the upstream's and those trained here on top.

    Of a fine-tuned upstream, what was trained is part of it and is not counted twice.
    """
    upstream, trained = row.upstream_parameters, row.trained_parameters
    if upstream is None:
        return None
    tuned = "fine-tuned" in row.method
    return float(max(upstream, trained or 0) if tuned else upstream + (trained or 0)) or None


def panels(rows: Sequence[Row]) -> list[Panel]:
    """What there is to draw: by parameters, by speed, or nothing."""
    upstreams = upstreams_of(rows)
    metric = next(iter(rows[0].metrics), "") if rows else ""
    found = []
    for title, x_name, cost, cheap_is_less in (
        ("By parameters", "parameters, upstream and head", total_parameters, True),
        ("By speed", "seconds of audio a second of extraction", lambda row: row.speed, False),
    ):
        points = _points(rows, metric, cost)
        if len({value for _, value in points}) >= LEAST_COSTS:
            note = "dashed: no system is cheaper and better"
            found.append(_panel(title, note, x_name, metric, points, upstreams, cheap_is_less))
    return found


def upstreams_of(rows: Sequence[Row]) -> list[str]:
    """Names of the upstreams, each with its colour, best first."""
    return list(dict.fromkeys(row.upstream for row in rows))


def frontier(points: Sequence[tuple[float, float]], cheap_is_less: bool) -> list[tuple[float, float]]:
    """The points ``(cost, quality)`` that no other beats in both, from the cheapest to the best.

    >>> frontier([(1, .3), (2, .2), (3, .5)], True)
    [(1, 0.3), (3, 0.5)]
    """
    sign, best, found = (1 if cheap_is_less else -1), -math.inf, []
    for cost, quality in sorted(points, key=lambda point: (sign * point[0], -point[1])):
        if quality > best:
            found.append((cost, quality))
            best = quality
    return found


def decades(values: Sequence[float]) -> tuple[Scale, list[tuple[float, str]]]:
    """An axis of powers of ten that holds positive values, in log10, and its ticks with names."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    every = max(1, math.ceil((high - low) / 5))
    names = [(float(power), power_name(power)) for power in range(low, high + 1, every)]
    return Scale(low, high, every, WIDTH - LEFT - RIGHT), names


def power_name(power: int) -> str:
    """``1 k``, ``10 M``; below 1 a decimal fraction.

    >>> power_name(0), power_name(4), power_name(8), power_name(-1)
    ('1', '10 k', '100 M', '0.1')
    """
    if power < 0:
        return f"{10.0**power:g}"
    return f"{10 ** (power % 3)}{['', ' k', ' M', ' G', ' T'][power // 3]}"


def _points(rows: Sequence[Row], metric: str, cost: Callable[[Row], float | None]) -> list[Point]:
    """Systems with a cost above 0 and a defined metric."""
    known = [(row, cost(row)) for row in rows if row.metrics[metric].value is not None]
    return [(row, value) for row, value in known if value is not None and value > 0]


def _panel(
    title: str,
    note: str,
    x_name: str,
    metric: str,
    points: Sequence[Point],
    upstreams: Sequence[str],
    cheap_is_less: bool,
) -> Panel:
    """One picture: a dot a system on its interval, coloured by upstream, and the frontier."""
    x, ticks = decades([cost for _, cost in points])
    values = [row.metrics[metric] for row, _ in points]
    y = vertical([end for v in values for end in (v.low, v.value, v.high) if end is not None])
    qualities = [(math.log10(cost), float(row.metrics[metric].value or 0)) for row, cost in points]
    # Systems that use the test speaker's other audio are no rivals of those that do not.
    rivals = [point for point, (row, _) in zip(qualities, points, strict=True) if not row.transductive]
    best = [place(x, y, *point) for point in frontier(rivals, cheap_is_less)]
    parts = []
    if len(best) > 1:
        steps = f"M{best[0][0]:.1f} {best[0][1]:.1f}" + "".join(f"H{px:.1f}V{py:.1f}" for px, py in best[1:])
        parts.append(f'<path class="reference" d="{steps}"/>')
    for (row, cost), (at, quality), value in zip(points, qualities, values, strict=True):
        px, py = place(x, y, at, quality)
        text = f"{row.upstream}, {row.method}: {with_interval(value, metric)}; {parameters(round(cost))}"
        text += "" if cheap_is_less else " × real time"
        parts.append(f'<g class="{series_class(upstreams.index(row.upstream))}">')
        if value.low is not None and value.high is not None:
            ends = [place(x, y, at, end)[1] for end in (value.low, value.high)]
            parts.append(f'<path class="whisker" d="M{px:.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>')
        shape = "dot open" if row.transductive else "dot"
        parts.append(f'<circle class="{shape}" cx="{px:.1f}" cy="{py:.1f}" r="4.5">')
        parts.append(f"<title>{escape(text)}</title></circle></g>")
    return Panel(title, note, x_name, metric, "".join(parts), x, y, ticks)
