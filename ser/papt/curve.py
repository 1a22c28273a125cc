"""curve.csv: how losses went, one row every so many steps, and one after each epoch with validation."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ser.core.files import write_text

# train_loss and validation_loss are - log P a masked frame, in nats; the feature penalty is not in them.
COLUMNS = (
    *("step", "epoch", "seconds", "lr", "train_loss", "masked_accuracy", "feature_penalty", "grad_norm"),
    *("validation_loss", "validation_accuracy"),
)


def write_curve(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows, whole or not at all; what a row does not have stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _short(row.get(name, "")) for name in COLUMNS})
    write_text(path, text.getvalue())


def _short(value: Any) -> Any:
    """A number with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else value
