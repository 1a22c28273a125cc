"""Each speaker's CCC before and after calibration (PLDC; Tran et al. 2023).

A calibrated experiment is one whose last option in info.yaml begins with ``PLDC``; what it was made from
is the experiment of the same upstream and name that has all its options but that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from ser.scoring.drawing.figures import vertical
from ser.scoring.schema import Scores
from ser.scoring.tables.rows import Benchmark, Row
from ser.scoring.text import counted, shown

WORD, METRIC = "PLDC", "CCC"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 490.0, 220.0, 40.0, 12.0, 30.0


@dataclass(frozen=True)
class Calibrated:
    """One calibration of one attribute.

    Attributes:
        before: the system that was calibrated.
        after: the calibrated one.
        speakers: name, CCC before and CCC after, of those with both, the lowest before first.
    """

    before: Row
    after: Row
    speakers: list[tuple[str, float, float]]

    @property
    def title(self) -> str:
        """Label, and the option's words."""
        return f"{self.after.task.capitalize()}: {self.after.scores.info['options'][-1]}"

    @property
    def note(self) -> str:
        """How many gained, and by how much A-CCC moved."""
        gains = [after - before for _, before, after in self.speakers]
        mean = sum(gains) / len(gains)
        up, down = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        return (
            f"{up} of {counted(len(gains), 'speaker')} higher, {down} lower; mean {'+' if mean > 0 else ''}"
            f"{shown(mean)}"
        )


def calibrations(benchmark: Benchmark) -> list[Calibrated]:
    """Every pair of an experiment and its calibration, attribute by attribute; empty where there is none."""
    found = []
    for after in benchmark.experiments:
        before = source_of(after, benchmark.experiments)
        if before is None:
            continue
        for task in after.attributes:
            if task in before.attributes:
                one, other = Row(before, task), Row(after, task)
                speakers = _paired(one, other)
                if speakers:
                    found.append(Calibrated(one, other, speakers))
    return found


def source_of(after: Scores, experiments: list[Scores]) -> Scores | None:
    """The experiment that was calibrated into this one; None where it was not, or is not beside it."""
    options = list(map(str, after.info.get("options") or []))
    if not options or not options[-1].startswith(WORD):
        return None
    same = [
        scores
        for scores in experiments
        if list(map(str, scores.info.get("options") or [])) == options[:-1]
        and all(scores.info.get(key) == after.info.get(key) for key in ("name", "upstream", "data"))
    ]
    # Several differ in what info.yaml does not say: 'ser calibrate' names its own after their source.
    named = [scores for scores in same if after.experiment.startswith(f"{scores.experiment}_")]
    return (
        max(named, key=lambda scores: len(scores.experiment))
        if named
        else same[0]
        if len(same) == 1
        else None
    )


def dumbbells(pair: Calibrated) -> str:
    """A speaker an upright line from CCC before (ring) to CCC after (dot), from the lowest before on.

    Returns:
        Inline SVG; colours come from the page.
    """
    y = vertical([value for _, *both in pair.speakers for value in both])
    step = (WIDTH - LEFT - 10) / len(pair.speakers)
    radius = min(4.5, max(1.2, 0.36 * step))

    def level(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y.low) / (y.high - y.low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in y.ticks:
        parts.append(f'<path class="grid" d="M{LEFT:g} {level(tick):.1f}H{WIDTH - 10:g}"/>')
        parts.append(
            f'<text x="{LEFT - 8:g}" y="{level(tick) + 4:.1f}" text-anchor="end">{y.name(tick)}</text>'
        )
    for i, (speaker, before, after) in enumerate(pair.speakers):
        x, kind = LEFT + (i + 0.5) * step, "gain" if after >= before else "loss"
        name = escape(speaker, quote=True)
        words = f"{name}: {shown(before)} before, {shown(after)} after"
        parts.append(
            f'<g class="pair-mark {kind}" data-speaker="{name}"><title>{words}</title>'
            f'<path d="M{x:.1f} {level(before):.1f}V{level(after):.1f}"/>'
            f'<circle class="before" cx="{x:.1f}" cy="{level(before):.1f}" r="{radius:.1f}"/>'
            f'<circle class="after" cx="{x:.1f}" cy="{level(after):.1f}" r="{radius:.1f}"/></g>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - 10) / 2:g}" y="{HEIGHT - 8:g}" text-anchor="middle">'
        f"{counted(len(pair.speakers), 'speaker')}, lowest {METRIC} before calibration first</text>"
    )
    label = f"{METRIC} of each speaker before and after calibration, {pair.title}: {pair.note}"
    return (
        f'<svg class="dumbbells" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
        f' role="img" aria-label="{escape(label, quote=True)}">{"".join(parts)}</svg>'
    )


def _paired(before: Row, after: Row) -> list[tuple[str, float, float]]:
    """Speakers with a CCC on both sides, the lowest before first."""
    later = {speaker.speaker: speaker.metrics.get(METRIC) for speaker in after.per_speaker}
    known = [
        (speaker.speaker, was, now)
        for speaker in before.per_speaker
        if (was := speaker.metrics.get(METRIC)) is not None
        and (now := later.get(speaker.speaker)) is not None
    ]
    return sorted(known, key=lambda each: (each[1], each[0]))
