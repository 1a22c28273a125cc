"""Pictures that stand alone, as SVG files: scatter plots and lines with bands. Light, dark, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ser.scoring.drawing.plots import Scale

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
# Colours of several systems; after eight they begin again, dashed.
SERIES = ("#1f5f8b", "#b3532a", "#2e7d4f", "#7a4fa3", "#8a6d00", "#a3345f", "#5a5e66", "#0f7f7f")
SERIES_DARK = ("#6fb3e0", "#e08a5c", "#6cc491", "#b79be0", "#d4b94a", "#e389ab", "#b0b4bb", "#5fd0d0")
WIDTH, HEIGHT = 320.0, 260.0
LEGEND_LINE = 20.0
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


def lines(
    title: str,
    note: str,
    x_name: str,
    y_name: str,
    ticks: Sequence[str],
    series: Sequence[Sequence[tuple[float, float, float] | None]],
    level: float | None = None,
    holds: Sequence[float] = (),
) -> Panel:
    """A panel with one line in a band for each of several systems.

    Args:
        title: above it.
        note: under the title.
        x_name: of the axis below.
        y_name: of the axis on the left.
        ticks: names of the points, evenly spaced.
        series: for each system, (value, low, high) at each point; None where it has none. An empty one keeps
            its colour for the next panel.
        level: drawn dashed, as 0 under differences.
        holds: further values that the axis holds, so that several panels have the same.
    """
    x = Scale(0, max(len(ticks) - 1, 1), 1, WIDTH - LEFT - RIGHT)
    known = [[(i, point) for i, point in enumerate(each) if point is not None] for each in series]
    levels = [] if level is None else [level]
    y = vertical([*levels, *holds, *(value for each in known for _, point in each for value in point)])
    parts = [
        f'<path class="reference" d="M{_path([place(x, y, i, v) for i in (x.low, x.high)])}"/>'
        for v in levels
    ]
    for number, each in enumerate(known):
        edge = [place(x, y, i, point[1]) for i, point in each]
        edge += [place(x, y, i, point[2]) for i, point in reversed(each)]
        middle = [place(x, y, i, point[0]) for i, point in each]
        if middle:
            parts.append(
                f'<g class="{series_class(number)}"><path class="band" d="M{_path(edge)}Z"/>'
                f'<path class="line" d="M{_path(middle)}"/>'
            )
            for (px, py), (i, (value, low, high)) in zip(middle, each, strict=True):
                text = f"{escape(ticks[i])}: {value:.3f} ({low:.3f} to {high:.3f})"
                parts.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3">')
                parts.append(f"<title>{text}</title></circle>")
            parts.append("</g>")
    names = [(float(i), name) for i, name in enumerate(ticks)]
    return Panel(title, note, x_name, y_name, "".join(parts), x, y, names)


def standalone(
    panels: Sequence[Panel], label: str, columns: int = 0, legend: Sequence[str] = (), caption: str = ""
) -> str:
    """An SVG file with panels side by side; the same panels give the same bytes.

    Args:
        panels: from left to right, and then from the top down.
        label: what it shows, for those who hear it.
        columns: panels a row; 0 for all in one.
        legend: names of the systems of ``lines``, in their order.
        caption: under the legend.
    """
    columns = columns or len(panels)
    width, height = WIDTH * columns, HEIGHT * -(-len(panels) // columns)
    style, names, top = STYLE, "", height
    if legend:
        style, names = STYLE + _series_style(len(legend)), _legend(legend, top)
        height += LEGEND_LINE * len(legend) + 10
    if caption:
        height += LEGEND_LINE
        names += f'<text class="caption" x="{LEFT:g}" y="{height - 10:g}">{escape(caption)}</text>'
    body = "".join(
        f'<g transform="translate({i % columns * WIDTH:g} {i // columns * HEIGHT:g})">{_drawn(panel)}</g>'
        for i, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{style}{body}{names}</svg>\n"
    )


def inline(panel: Panel, label: str) -> str:
    """A panel to stand in a page, whose style sheet has the colours.

    Args:
        panel: what to draw.
        label: what it shows, for those who hear it.
    """
    return (
        f'<svg class="panel" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
        f' role="img" aria-label="{escape(label, quote=True)}">{_drawn(panel)}</svg>'
    )


def series_class(number: int) -> str:
    """The class of a system's marks."""
    dashed = " dashed" if number >= len(SERIES) else ""
    return f"series s{number % len(SERIES)}{dashed}"


def _series_style(number: int) -> str:
    """Colours of so many systems; each mark takes those of its group."""
    used = range(min(number, len(SERIES)))
    light = " ".join(f".s{i} {{ --accent: {SERIES[i]}; }}" for i in used)
    dark = " ".join(f".s{i} {{ --accent: {SERIES_DARK[i]}; }}" for i in used)
    return (
        f"<style>{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"
        ".series .band { fill-opacity: .1; } .reference { stroke: var(--muted); }"
        " .dashed .line { stroke-dasharray: 3 3; }</style>"
    )


def _legend(names: Sequence[str], top: float) -> str:
    """A line for each system under the panels."""
    rows = []
    for number, name in enumerate(names):
        at = top + LEGEND_LINE * (number + 0.5)
        rows.append(
            f'<g class="{series_class(number)}"><path class="line" d="M{LEFT:g} {at:g}h24"/>'
            f'<text x="{LEFT + 32:g}" y="{at + 4:g}">{escape(name)}</text></g>'
        )
    return "".join(rows)


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
