"""What ``ser calibrate`` has found about speakers, with intervals and as pictures.

shift.tsv          -> correlations.tsv, shift_<set>_<attribute>.svg
by_utterances.tsv  -> by_utterances_<set>_<attribute>.svg
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ser.core.columns import align
from ser.core.errors import UserError
from ser.core.files import whole_file, write_text
from ser.metrics.sums import ROUNDING
from ser.scoring.drawing.figures import Panel, line, scatter, standalone
from ser.scoring.intervals import Interval, bootstrap, percentile_interval
from ser.scoring.text import shown

SHIFT, CORRELATIONS, BY_UTTERANCES = "shift.tsv", "correlations.tsv", "by_utterances.tsv"
# Name of the pair -> columns of shift.tsv.
PAIRS = {
    "feature shift, CCC": ("feature_shift", "ccc"),
    "label shift, CCC": ("label_shift", "ccc"),
    "feature shift, label shift": ("feature_shift", "label_shift"),
    "feature shift, CCC calibrated": ("feature_shift", "ccc_calibrated"),
}
AXES = {
    "feature_shift": "feature shift, nats",
    "label_shift": "label shift, nats",
    "ccc": "CCC of the speaker",
}
HEADER = ("set", "attribute", "pair", "speakers", "pcc", "low", "high")


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Lines of a table with a header.

    Raises:
        UserError: when it is missing.
    """
    if not path.is_file():
        raise UserError(
            "no such table", file=path, hint="Run 'ser calibrate' with --analyse or --by-utterances"
        )
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def pcc_of_draws(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation over speakers in each draw, NaN where undefined.

    Args:
        x: ``(S,)``.
        y: ``(S,)``.
        counts: how often each speaker was drawn, ``(D, S)``.
    """
    weight = counts / counts.sum(1, keepdims=True)
    dx, dy = x - (weight @ x)[:, None], y - (weight @ y)[:, None]
    variance_x, variance_y = (weight * dx**2).sum(1), (weight * dy**2).sum(1)
    # What is left of a constant is rounding.
    varies = (variance_x > ROUNDING * (weight @ x**2)) & (variance_y > ROUNDING * (weight @ y**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (weight * dx * dy).sum(1) / np.sqrt(variance_x * variance_y)
    return np.where(varies, value, np.nan)


def correlation(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> tuple[float, Interval]:
    """Pearson's correlation over speakers ``(S,)``, with the interval of a bootstrap over speakers."""
    defined = ~(np.isnan(x) | np.isnan(y))
    x, y = x[defined], y[defined]
    if len(x) < 3:
        return float("nan"), Interval(None, None, 0)
    values = bootstrap(lambda counts: pcc_of_draws(x, y, counts), len(x), draws, seed)
    return float(pcc_of_draws(x, y, np.ones((1, len(x))))[0]), percentile_interval(values, len(x))


def analyse_shifts(folder: Path, draws: int = 1000, seed: int = 0) -> tuple[str, list[Path]]:
    """Correlations and scatter plots of shift.tsv; a speaker of several training seeds is one, averaged.

    Args:
        folder: the calibrated experiment.
        draws: of the bootstrap over speakers.
        seed: of the draws.

    Returns:
        The table for the terminal, and the files written.
    """
    groups: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in read_tsv(folder / SHIFT):
        groups.setdefault((row["set"], row["attribute"]), {}).setdefault(row["speaker"], []).append(row)
    table, files = [], [folder / CORRELATIONS]
    for (name, attribute), speakers in groups.items():
        columns = {
            key: np.array([np.mean([float(row[key]) for row in rows]) for rows in speakers.values()])
            for key in ("feature_shift", "label_shift", "ccc", "ccc_calibrated")
        }
        found = {pair: correlation(columns[x], columns[y], draws, seed) for pair, (x, y) in PAIRS.items()}
        for pair, (value, interval) in found.items():
            numbers = [_cell(value), _cell(interval.low), _cell(interval.high)]
            table.append([name, attribute, pair, str(len(speakers)), *numbers])
        panels = [
            scatter(
                pair, f"r = {_words(*found[pair])}", AXES[x], AXES[y],
                list(zip(speakers, columns[x].tolist(), columns[y].tolist(), strict=True)),
            )
            for pair, (x, y) in list(PAIRS.items())[:3]
        ]  # fmt: skip
        path = folder / f"shift_{name}_{attribute}.svg"
        write_text(
            path, standalone(panels, f"Shift and CCC of {len(speakers)} speakers, {attribute}, {name}")
        )
        files.append(path)
    with whole_file(folder / CORRELATIONS) as stream:
        stream.writelines("\t".join(row) + "\n" for row in [list(HEADER), *table])
    return "\n".join(align([list(HEADER), *table], right=range(3, len(HEADER)))), files


def draw_by_utterances(folder: Path) -> tuple[str, list[Path]]:
    """Curves of by_utterances.tsv: O-CCC and A-CCC by utterances heard.

    Args:
        folder: the calibrated experiment.

    Returns:
        The table for the terminal, and the files written.
    """
    rows = read_tsv(folder / BY_UTTERANCES)
    files = []
    for name, attribute in dict.fromkeys((row["set"], row["attribute"]) for row in rows):
        own = [row for row in rows if (row["set"], row["attribute"]) == (name, attribute)]
        panels = [_curve([row for row in own if row["metric"] == metric], metric) for metric in
                  dict.fromkeys(row["metric"] for row in own)]  # fmt: skip
        path = folder / f"by_utterances_{name}_{attribute}.svg"
        write_text(path, standalone(panels, f"PLDC by utterances of a speaker, {attribute}, {name}"))
        files.append(path)
    header = list(rows[0])
    numbers = ("before", "after", "low", "high")
    lines = [[shown(float(row[k])) if k in numbers else row[k] for k in header] for row in rows]
    return "\n".join(align([header, *lines], right=range(3, len(header)))), files


def _curve(rows: Sequence[dict[str, str]], metric: str) -> Panel:
    """One metric's panel."""
    points = [(row["utterances"], *(float(row[key]) for key in ("after", "low", "high"))) for row in rows]
    before, draws = float(rows[0]["before"]), max(int(row["draws"]) for row in rows)
    note = f"dashed: before, {shown(before)}; band: 95 % of {draws} draws"
    return line(metric, note, "utterances of a speaker", metric, points, [before] * len(points))


def _words(value: float, interval: Interval) -> str:
    """``-.71 [-.85, -.50]``."""
    if interval.low is None or interval.high is None:
        return shown(None if np.isnan(value) else value)
    return f"{shown(value)} [{shown(interval.low)}, {shown(interval.high)}]"


def _cell(value: float | None) -> str:
    """Six digits, or nothing where it is undefined."""
    return "" if value is None or np.isnan(value) else f"{value:.6f}"
