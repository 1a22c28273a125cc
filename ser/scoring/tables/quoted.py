"""Figures of papers, to be printed beside ours: a YAML list that ``ser benchmark table --quoted FILE`` reads.

    - source: Tran, Yin, Soleymani, Interspeech 2023, table 2
      corpus: msp_podcast
      set: test-b
      setting: release 1.6
      rows:
      - system: PAPT-FT
        transductive: true
        scores:
          arousal: {O-CCC: 0.740, A-CCC: 0.531, A-CCC sd: 0.177}

A quoted row stands under the measured ones of the same corpus, set and label, among systems that hear as
much as it did. It was not measured here: it has no interval, is never sorted among them, and says where it
is from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.scoring.schema import ATTRIBUTE_METRICS, CLASS_METRICS, EMOTION
from ser.scoring.text import IN_UNITS, NOTHING, shown
from ser.scoring.typed import build

DEVIATION = "A-CCC sd"
LOWEST = {"O-CCC": -1.0, "A-CCC": -1.0, "PCC": -1.0}


@dataclass
class QuotedSystem:
    """One row of a published table.

    Attributes:
        system: its name there.
        scores: ``emotion`` or an attribute -> metric -> value as printed; ``A-CCC sd`` is the deviation over
            speakers. Shares are on 0..1, as ours.
        upstream: the encoder, where the paper names it.
        transductive: whether it used the test speakers' other audio.
        note: what else the paper says of it.
    """

    system: str
    scores: dict[str, dict[str, float]]
    upstream: str = ""
    transductive: bool = False
    note: str = ""


@dataclass
class Quotation:
    """Rows of one published table.

    Attributes:
        source: who, where, which table.
        corpus: short name, as in labels.yaml.
        set: the set they were scored on; ``test`` is a cross-validated corpus's.
        rows: in the order of the paper.
        setting: in what they differ from every run here: ``release 1.6``.
    """

    source: str
    corpus: str
    set: str
    rows: list[QuotedSystem]
    setting: str = ""


@dataclass(frozen=True)
class QuotedRow:
    """A published row in a table of ours.

    Attributes:
        quotation: where it is from.
        system: its scores.
        task: ``emotion`` or an attribute.
    """

    quotation: Quotation
    system: QuotedSystem
    task: str

    @property
    def scores(self) -> dict[str, float]:
        """Metric -> value of this table's label."""
        return self.system.scores[self.task]

    @property
    def method(self) -> str:
        """``quoted: PAPT-FT; release 1.6``."""
        return "; ".join(
            filter(None, [f"quoted: {self.system.system}", self.quotation.setting, self.system.note])
        )

    def cell(self, metric: str) -> str:
        """The value as printed there, with the deviation over speakers where it has one."""
        if metric not in self.scores:
            return NOTHING
        deviation = self.scores.get(DEVIATION) if metric == "A-CCC" else None
        value = shown(self.scores[metric], metric)
        return value if deviation is None else f"{value} (sd {shown(deviation)})"


def read_quotations(files: Sequence[Path]) -> list[Quotation]:
    """Read files of published figures.

    Raises:
        UserError: for a missing file, a key or type amiss, a metric that tables do not have, or a value
            that the metric cannot take (a percentage, say).
    """
    found = []
    for file in files:
        try:
            quotations = build(list[Quotation], read_yaml(file))
        except ValueError as error:
            raise UserError(f"not a list of quoted tables: {error}", file=file) from None
        for quotation in quotations:
            for row in quotation.rows:
                check_row(row, file)
        found += quotations
    return found


def check_row(row: QuotedSystem, file: Path) -> None:
    """Refuse what no table could hold.

    Raises:
        UserError: naming the row.
    """
    if not row.scores:
        raise UserError("quoted row without scores", file=file, value=row.system)
    for task, scores in row.scores.items():
        known = CLASS_METRICS if task == EMOTION else (*ATTRIBUTE_METRICS, DEVIATION)
        for metric, value in scores.items():
            where = f"{row.system}, {task}"
            if metric not in known:
                hint = f"Tables of {task} have {', '.join(known)}"
                raise UserError(
                    f"quoted row '{where}' has no such metric", file=file, value=metric, hint=hint
                )
            highest = math.inf if metric in IN_UNITS else 1.0
            if not (math.isfinite(value) and LOWEST.get(metric, 0.0) <= value <= highest):
                hint = "Shares are on 0..1: .712, not 71.2"
                what = f"{metric} of quoted row '{where}' is out of range"
                raise UserError(what, file=file, value=value, hint=hint)


def quoted_rows(quotations: Iterable[Quotation], corpus: str, set_name: str) -> list[QuotedRow]:
    """The rows for a corpus and set: by label in the order of the files."""
    return [
        QuotedRow(quotation, row, task)
        for quotation in quotations
        if (quotation.corpus, quotation.set) == (corpus, set_name)
        for row in quotation.rows
        for task in row.scores
    ]
