"""Pictures that stand alone, as SVG files: scatter plots and lines with bands. Light and dark, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ser.scoring.plots import Scale

STYLE = """<style>
svg { --paper: #fbfaf7; --ink: #1d1f24; --muted: #6a6e76; --line: #e3e0d8; --accent: #1f5f8b; --warm: #b3532a;
  background: var(--paper); font: 12px "Inter", "Segoe UI", Arial, "Liberation Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #15171b; --ink: #e7e5df; --muted: #9a9ea6; --line: #2d3138; --accent: #6fb3e0;
    --warm: #e08a5c; }
}
text { fill: var(--muted); } text.title { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--line); fill: none; } .dot { fill: var(--accent); fill-opacity: .75; }
.line { stroke: var(--accent); fill: none; stroke-width: 1.8; }
.band { fill: var(--accent); fill-opacity: .15; }
.reference { stroke: var(--warm); fill: none; stroke-dasharray: 5 4; }
</style>"""
WIDTH, HEIGHT = 320.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 14.0, 40.0, 42.0


@dataclass(frozen=True)
class Panel:
    """One picture of several side by side.

    Attributes:
        title: above it.
        note: under the title.
        x_name: of the axis below.
        y_name: of the axis on the left.
        content: marks, in the panel's pixels.
        x: the axis below.
        y: the axis on the left.
        x_ticks: (value, its name); those of the axis when empty.
    """

    title: str
    note: str
    x_name: str
    y_name: str
    content: str
    x: Scale
    y: Scale
    x_ticks: Sequence[tuple[float, str]] = ()


def horizontal(values: Sequence[float], ticks: int = 4) -> Scale:
    """The axis below a panel."""
    return Scale.around(values, WIDTH - LEFT - RIGHT, ticks)


def vertical(values: Sequence[float], ticks: int = 4) -> Scale:
    """The axis on the left of a panel."""
    return Scale.around(values, HEIGHT - TOP - BOTTOM, ticks)


def place(x: Scale, y: Scale, at: float, value: float) -> tuple[float, float]:
    """A point's place in the panel's pixels."""
    return LEFT + x(at), HEIGHT - BOTTOM - y(value)


def scatter(
    title: str,
    note: str,
    x_name: str,
    y_name: str,
    points: Sequence[tuple[str, float, float]],
) -> Panel:
    """A panel of points.

    Args:
        title: above it.
        note: under the title.
        x_name: of the axis below.
        y_name: of the axis on the left.
        points: (name, x, y).
    """
    x, y = horizontal([p[1] for p in points]), vertical([p[2] for p in points])
    dots = []
    for name, at, value in points:
        px, py = place(x, y, at, value)
        text = f"{escape(name)}: {at:.3g}, {value:.3g}"
        dots.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="4"><title>{text}</title></circle>')
    return Panel(title, note, x_name, y_name, "".join(dots), x, y)


def line(
    title: str,
    note: str,
    x_name: str,
    y_name: str,
    points: Sequence[tuple[str, float, float, float]],
    references: Sequence[float],
) -> Panel:
    """A panel with one line in a band, its points evenly spaced, and a second line to compare with.

    Args:
        title: above it.
        note: under the title.
        x_name: of the axis below.
        y_name: of the axis on the left.
        points: (name on the axis, value, low, high), from left to right.
        references: level at each point; drawn dashed.
    """
    x = Scale(0, max(len(points) - 1, 1), 1, WIDTH - LEFT - RIGHT)
    y = vertical([*(v for p in points for v in p[1:]), *references])
    middle = [place(x, y, i, p[1]) for i, p in enumerate(points)]
    edge = [place(x, y, i, p[2]) for i, p in enumerate(points)]
    edge += [place(x, y, i, p[3]) for i, p in reversed(list(enumerate(points)))]
    other = [place(x, y, i, level) for i, level in enumerate(references)]
    parts = [
        f'<path class="band" d="M{_path(edge)}Z"/>',
        f'<path class="reference" d="M{_path(other)}"/>',
        f'<path class="line" d="M{_path(middle)}"/>',
    ]
    for (px, py), (name, value, low, high) in zip(middle, points, strict=True):
        text = f"{escape(name)}: {value:.3f} ({low:.3f} to {high:.3f})"
        parts.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3"><title>{text}</title></circle>')
    names = [(float(i), p[0]) for i, p in enumerate(points)]
    return Panel(title, note, x_name, y_name, "".join(parts), x, y, names)


def standalone(panels: Sequence[Panel], label: str, columns: int = 0) -> str:
    """An SVG file with panels side by side; the same panels give the same bytes.

    Args:
        panels: from left to right, and then from the top down.
        label: what it shows, for those who hear it.
        columns: panels a row; 0 for all in one.
    """
    columns = columns or len(panels)
    width, height = WIDTH * columns, HEIGHT * -(-len(panels) // columns)
    body = "".join(
        f'<g transform="translate({i % columns * WIDTH:g} {i // columns * HEIGHT:g})">{_drawn(panel)}</g>'
        for i, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img" aria-label="{escape(label, quote=True)}">{STYLE}{body}</svg>\n'
    )


def _drawn(panel: Panel) -> str:
    """Grid, names and marks of a panel."""
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [
        f'<text class="title" x="{LEFT:g}" y="16">{escape(panel.title)}</text>',
        f'<text x="{LEFT:g}" y="31">{escape(panel.note)}</text>',
    ]
    for tick in panel.y.ticks:
        _, level = place(panel.x, panel.y, panel.x.low, tick)
        parts.append(f'<path class="grid" d="M{LEFT:g} {level:.1f}H{right:g}"/>')
        parts.append(
            f'<text x="{LEFT - 6:g}" y="{level + 4:.1f}" text-anchor="end">{panel.y.name(tick)}</text>'
        )
    for tick, name in panel.x_ticks or [(tick, panel.x.name(tick)) for tick in panel.x.ticks]:
        at, _ = place(panel.x, panel.y, tick, panel.y.low)
        parts.append(f'<path class="grid" d="M{at:.1f} {TOP:g}V{floor:g}"/>')
        parts.append(f'<text x="{at:.1f}" y="{floor + 16:g}" text-anchor="middle">{escape(name)}</text>')
    middle = (TOP + floor) / 2
    parts.append(
        f'<text x="{(LEFT + right) / 2:g}" y="{HEIGHT - 8:g}" text-anchor="middle">'
        f"{escape(panel.x_name)}</text>"
    )
    parts.append(
        f'<text transform="translate(12 {middle:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(panel.y_name)}</text>"
    )
    return "".join(parts) + panel.content


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Points as a path's coordinates."""
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
