"""What stands behind a row of the table: its experiment, seeds, what the folds chose, the upstream."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from ser.scoring.schema import Fit
from ser.scoring.tables.rows import Row
from ser.scoring.text import counted, shown

# Of the upstream's meta.yaml: key -> how it is said.
UPSTREAM = {
    "family": "{}", "layers": "{} layers", "dim": "{} dimensions", "frame_rate": "{:g} frames a second",
    "precision": "{}",
}  # fmt: skip


def details(row: Row, speaker_metric: str) -> list[tuple[str, str]]:
    """Facts ``(what, words)`` of a row; what is not known is left out.

    Args:
        row: of a table.
        speaker_metric: the one that speakers have.
    """
    found = [("Experiment", row.scores.experiment)]
    if len(row.scores.seeds) > 1:
        for metric, value in row.metrics.items():
            each = ", ".join(shown(one, metric) for one in value.by_seed)
            found.append((f"{metric} by seed", f"{each} (seeds {', '.join(map(str, row.scores.seeds))})"))
    known = sorted(
        (value, speaker.speaker)
        for speaker in row.per_speaker
        if (value := speaker.metrics[speaker_metric]) is not None
    )
    if len(known) > 1:
        (low, worst), (high, best) = known[0], known[-1]
        words = f"{speaker_metric} from {shown(low)} ({worst}) to {shown(high)} ({best})"
        found.append(("Speakers", f"{counted(len(known), 'speaker')}, {words}"))
    found += [("Chosen", words) for words in chosen(row.scores.fits)]
    if row.scores.fits:
        epochs = [fit.epochs for fit in row.scores.fits]
        span = "" if min(epochs) == max(epochs) else f" ({min(epochs)} to {max(epochs)})"
        found.append(("Epochs", f"{statistics.median(epochs):g}{span}, {counted(len(epochs), 'fit')}"))
    meta = row.scores.info.get("upstream") or {}
    words = [text.format(meta[key]) for key, text in UPSTREAM.items() if meta.get(key) is not None]
    if words:
        found.append(("Upstream", ", ".join(words)))
    return found


def chosen(fits: Sequence[Fit]) -> list[str]:
    """What validation chose, an option a line, most frequent first: ``optimizer.lr 0.01 (8), 0.1 (2)``."""
    names = dict.fromkeys(name for fit in fits for name in fit.chosen)
    lines = []
    for name in names:
        counts = Counter(str(fit.chosen[name]) for fit in fits if name in fit.chosen)
        values = [value if len(counts) == 1 else f"{value} ({n})" for value, n in counts.most_common()]
        lines.append(f"{name} {', '.join(values)}")
    return lines
