"""Pictures of the report as small inline SVG: colours come from the page's style sheet.

Every picture has a role, a label that says what it shows, and titles on its marks. All text is
escaped, and the same scores give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ser.scoring.schema import Fit, SpeakerRow, Value
from ser.scoring.text import shown, with_interval

STRIP_HEIGHT = 34
DOT = 4.5
# Values closer than this share an axis that does not blow up their difference.
LEAST_SPAN = 0.02


@dataclass(frozen=True)
class Scale:
    """A linear axis.

    Attributes:
        low: value at the left end.
        high: value at the right end.
        step: between two ticks.
        width: in pixels, a margin of ``pad`` at either end included.
        pad: that margin.
    """

    low: float
    high: float
    step: float
    width: float
    pad: float = 14.0

    @classmethod
    def around(cls, values: Sequence[float], width: float, ticks: int = 4) -> Scale:
        """The axis with about ``ticks`` round steps that holds all ``values``."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if high - low < LEAST_SPAN:
            low, high = low - LEAST_SPAN, high + LEAST_SPAN
        span = high - low
        power = 10.0 ** math.floor(math.log10(span / ticks))
        step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= ticks)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, width)

    def __call__(self, value: float) -> float:
        """The place of a value in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return self.pad + share * (self.width - 2 * self.pad)

    @property
    def ticks(self) -> list[float]:
        """Values of the ticks."""
        count = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(count + 1)]

    def name(self, tick: float) -> str:
        """A tick's label, with no more decimals than the step needs."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        text = f"{tick + 0.0:.{decimals}f}"
        text = "0" if float(text) == 0 else text
        return text.replace("0.", ".", 1) if abs(float(text)) < 1 and "." in text else text


def axis(scale: Scale) -> str:
    """The scale's numbers, to stand above strips."""
    marks = "".join(
        f'<text x="{scale(tick):.1f}" y="12" text-anchor="middle">{scale.name(tick)}</text>'
        for tick in scale.ticks
    )
    return _svg(scale.width, 16, marks, "", "axis")


def interval_strip(value: Value, scale: Scale, metric: str, reference: float | None = None) -> str:
    """One row of a forest plot: the value as a dot on its interval; an upright line at ``reference``."""
    parts, label = [], f"{metric} {with_interval(value, metric)}"
    if reference is not None:
        parts.append(f'<path class="zero" d="M{scale(reference):.1f} -{STRIP_HEIGHT / 2:g}v{STRIP_HEIGHT}"/>')
    if value.low is not None and value.high is not None:
        left, right = scale(value.low), scale(value.high)
        parts.append(
            f'<path class="interval" d="M{left:.1f} 0H{right:.1f}M{left:.1f} -4v8M{right:.1f} -4v8"/>'
        )
    if value.value is not None:
        parts.append(f'<circle class="value" cx="{scale(value.value):.1f}" r="{DOT}"/>')
    return _strip(scale, "".join(parts), label)


def speaker_strip(rows: Sequence[SpeakerRow], metric: str, mean: float | None, scale: Scale) -> str:
    """One row of dots, a speaker each, pushed apart where they would hide each other."""
    known = [(row.metrics[metric], row.speaker, row.utterances) for row in rows]
    known = sorted(mark for mark in known if mark[0] is not None)
    radius = _radius(len(known))
    offsets = dodge([scale(value) for value, *_ in known], radius)
    half = max(map(abs, offsets), default=0.0) + radius + 4
    parts = []
    if mean is not None:
        parts.append(f'<path class="mean" d="M{scale(mean):.1f} {-half:.1f}V{half:.1f}"/>')
    for (value, speaker, utterances), offset in zip(known, offsets, strict=True):
        name, place = escape(speaker, quote=True), f'cx="{scale(value):.1f}" cy="{offset:.1f}"'
        parts.append(
            f'<circle class="speaker" data-speaker="{name}" {place} r="{radius}">'
            f"<title>{name}: {shown(value, metric)}, {utterances} utterances</title></circle>"
        )
    values = [value for value, *_ in known]
    label = f"{metric} of {len(values)} speakers"
    if values:
        label += f", from {shown(min(values), metric)} to {shown(max(values), metric)}"
    return _strip(scale, "".join(parts), label)


def dodge(places: Sequence[float], radius: float, rows: int = 4) -> list[float]:
    """Vertical offsets that keep dots at sorted ``places`` from hiding each other, in 2 ``rows`` + 1 rows.

    >>> dodge([0, 1, 50], 5)
    [0.0, 11.0, 0.0]
    """
    step = 2 * radius + 1
    choices = [0.0] + [sign * step * row for row in range(1, rows + 1) for sign in (1, -1)]
    last = dict.fromkeys(choices, -math.inf)
    offsets = []
    for place in places:
        free = [offset for offset in choices if place - last[offset] >= step]
        offset = free[0] if free else min(choices, key=last.__getitem__)
        last[offset] = place
        offsets.append(offset)
    return offsets


def layer_bars(fits: Sequence[Fit], width: float = 320, height: float = 150) -> str:
    """Mean weight of each layer over folds and seeds as bars, with each fold's weight as a dot."""
    table = [fit.layer_weights for fit in fits if fit.layer_weights]
    count = max(map(len, table), default=0)
    table = [weights for weights in table if len(weights) == count]
    means = [sum(weights[i] for weights in table) / len(table) for i in range(count)]
    top, bottom, left = 8.0, height - 22.0, 34.0
    y = Scale.around([0.0, max(map(max, table))], 0, ticks=3)
    room = (width - left - 6) / count

    def level(weight: float) -> float:
        return bottom - weight / y.high * (bottom - top)

    parts = []
    for tick in y.ticks:
        parts.append(f'<path class="grid" d="M{left:.1f} {level(tick):.1f}H{width - 6:.1f}"/>')
        parts.append(
            f'<text x="{left - 6:.1f}" y="{level(tick) + 4:.1f}" text-anchor="end">{y.name(tick)}</text>'
        )
    best = means.index(max(means))
    every = max(1, math.ceil(count / 13))
    for i, mean in enumerate(means):
        x, kind = left + i * room, "bar best" if i == best else "bar"
        own = [weights[i] for weights in table]
        title = f"layer {i}: {shown(mean)}, folds {shown(min(own))} to {shown(max(own))}"
        parts.append(
            f'<rect class="{kind}" x="{x + 0.12 * room:.1f}" y="{level(mean):.1f}" width="{0.76 * room:.1f}"'
            f' height="{bottom - level(mean):.1f}"><title>{title}</title></rect>'
        )
        for weights in table:
            parts.append(
                f'<circle class="fold" cx="{x + room / 2:.1f}" cy="{level(weights[i]):.1f}" r="1.4"/>'
            )
        if i % every == 0:
            parts.append(f'<text x="{x + room / 2:.1f}" y="{height - 7:.1f}" text-anchor="middle">{i}</text>')
    label = f"Weights of {count} layers, largest at layer {best}: {shown(means[best])}"
    return _svg(width, height, "".join(parts), label, "bars")


def curves(fits: Sequence[Fit], key: str, label: str, width: float = 240, height: float = 140) -> str:
    """One line a fold over the epochs, with a dot at the epoch that was chosen."""
    lines = []
    for fit in fits:
        points = [(row["epoch"], row[key]) for row in fit.curve if row.get(key) is not None]
        if points:
            lines.append((fit, points))
    values = [value for _, points in lines for _, value in points]
    y = Scale.around(values, 0, ticks=3)
    epochs = max((epoch for _, points in lines for epoch, _ in points), default=1)
    x = Scale(1, max(epochs, 2), 1, width - 46, pad=0)
    left, top, bottom = 38.0, 8.0, height - 22.0

    def at(epoch: float, value: float) -> tuple[float, float]:
        share = (value - y.low) / (y.high - y.low)
        return left + x(epoch), bottom - share * (bottom - top)

    parts = []
    for tick in y.ticks:
        _, level = at(1, tick)
        parts.append(f'<path class="grid" d="M{left:.1f} {level:.1f}H{width - 8:.1f}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{level + 4:.1f}" text-anchor="end">{y.name(tick)}</text>')
    for epoch, anchor in ((1, "start"), (epochs, "end")):
        parts.append(
            f'<text x="{left + x(epoch):.1f}" y="{height - 7:.1f}" text-anchor="{anchor}">{epoch:.0f}</text>'
        )
    for fit, points in lines:
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in (at(*point) for point in points))
        title = f"seed {fit.seed}, fold {escape(fit.fold)}, epoch {fit.epochs} chosen"
        parts.append(f'<path class="curve" d="M{path}"><title>{title}</title></path>')
    for fit, points in lines:
        chosen = [point for point in points if point[0] == fit.epochs]
        if chosen:
            px, py = at(*chosen[0])
            parts.append(f'<circle class="chosen" cx="{px:.1f}" cy="{py:.1f}" r="2.2"/>')
    return _svg(width, height, "".join(parts), f"{label} by epoch, {len(lines)} folds", "lines")


def _strip(scale: Scale, content: str, label: str) -> str:
    """A picture as high as the table cell around it, its ``content`` drawn about y = 0 in the middle.

    The hairlines at the ticks thus run on from row to row.
    """
    lines = "".join(
        f'<line class="grid" x1="{scale(tick):.1f}" x2="{scale(tick):.1f}" y1="0" y2="100%"/>'
        for tick in scale.ticks
    )
    return (
        f'<svg class="strip" width="{scale.width:g}" height="100%" role="img"'
        f' aria-label="{escape(label, quote=True)}">{lines}'
        f'<svg y="50%" height="1" overflow="visible">{content}</svg></svg>'
    )


def row_height(rows: Sequence[SpeakerRow], metric: str, scale: Scale) -> float:
    """Pixels that ``speaker_strip`` needs."""
    values = sorted(row.metrics[metric] for row in rows if row.metrics[metric] is not None)
    radius = _radius(len(values))
    offsets = dodge([scale(value) for value in values], radius)
    return max(STRIP_HEIGHT, 2 * (max(map(abs, offsets), default=0.0) + radius + 6))


def _radius(count: int) -> float:
    """Of a speaker's dot: smaller where there are many."""
    return DOT if count <= 60 else 3.0


def _svg(width: float, height: float, content: str, label: str, kind: str) -> str:
    """The element around a picture; one without a label is decoration."""
    role = f'role="img" aria-label="{escape(label, quote=True)}"' if label else 'aria-hidden="true"'
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
        f" {role}>{content}</svg>"
    )
