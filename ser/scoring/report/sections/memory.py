"""What a memory gains by position in the dialogue: ``positions.csv`` of ``ser benchmark compare``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.scoring.comparison.pages import POSITIONS_HEADER
from ser.scoring.comparison.positions import KINDS
from ser.scoring.drawing.figures import Panel, lines

POSITIONS = "positions.csv"


@dataclass(frozen=True)
class Gains:
    """What the reference of a comparison gains over each other system, at one kind of position.

    Attributes:
        label: ``emotion`` or an attribute.
        metric: of which the gain is shown.
        kind: how positions are counted, a key of ``positions.KINDS``.
        panels: one a system, on common axes.
    """

    label: str
    metric: str
    kind: str
    panels: list[Panel]


@dataclass(frozen=True)
class Comparison:
    """A folder of ``ser benchmark compare`` that has positions.

    Attributes:
        name: of the folder.
        reference: the system that all others are compared with.
        parts: by label, metric and kind of position.
    """

    name: str
    reference: str
    parts: list[Gains]


def read_comparisons(folders: Sequence[Path]) -> list[Comparison]:
    """Comparisons with gains by position; those without dialogues have none and are left out.

    Raises:
        UserError: for a folder that is no comparison, and for a table that is not as it was written.
    """
    found = []
    for folder in sorted(set(folders)):
        if not (folder / "comparison.csv").is_file():
            hint = "Run 'ser benchmark compare', or name another folder"
            raise UserError("no comparison.csv in it", file=folder, hint=hint)
        path = folder / POSITIONS
        if path.is_file() and (comparison := _read(path)) is not None:
            found.append(comparison)
    return found


def _read(path: Path) -> Comparison | None:
    """One table; None where nothing stands beside the reference."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != POSITIONS_HEADER:
            raise UserError("not as 'ser benchmark compare' writes it", file=path, line=1)
        rows = list(reader)
    reference = rows[0]["system"] if rows else ""
    keys = dict.fromkeys((row["label"], row["metric"], row["position"]) for row in rows)
    parts = []
    for key in keys:
        own = [row for row in rows if (row["label"], row["metric"], row["position"]) == key]
        try:
            panels = _panels(own, reference, key[1], key[2])
        except (ValueError, KeyError) as error:
            raise UserError(f"not as 'ser benchmark compare' writes it: {error}", file=path) from None
        if panels:
            parts.append(Gains(*key, panels))
    return Comparison(path.parent.name, reference, parts) if parts else None


def _panels(rows: Sequence[dict[str, str]], reference: str, metric: str, kind: str) -> list[Panel]:
    """A picture a system: the reference less the system, so that above 0 the reference is better.

    positions.csv has the system less the reference: signs and ends are exchanged.
    """
    ticks = [row["first"] for row in rows if row["system"] == reference]
    series: dict[str, list[tuple[float, float, float] | None]] = {}
    for row in rows:
        if row["system"] == reference:
            continue
        cells = [row[key] for key in ("difference", "difference_high", "difference_low")]
        gain = None if "" in cells else tuple(-float(cell) + 0.0 for cell in cells)
        series.setdefault(row["system"], []).append(gain)  # type: ignore[arg-type]  # three numbers
    ends = [end for each in series.values() for point in each if point is not None for end in point]
    return [
        lines(f"over {system}", "", KINDS[kind], f"gain in {metric}", ticks, [each], 0.0, holds=ends)
        for system, each in series.items()
        if any(point is not None for point in each)
    ]
