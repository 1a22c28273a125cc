"""SUPERB's neighbours over its five folds: ``python benchmarks/superb_folds.py``.

Which of the frozen upstreams' ranks on SUPERB's emotion recognition (IEMOCAP, four classes, accuracy in per
cent, fold k tests Session k) are told apart by paired tests over the folds. The fold accuracies are quoted
from SUPERB's public leaderboard (superbbenchmark.org); nothing is measured here.
"""

from __future__ import annotations

import itertools

from ser.core.columns import align
from ser.scoring.comparison.folds import fold_ranks, fold_rows
from ser.scoring.comparison.multiple import rank_text
from ser.scoring.text import p_text

# Quoted: upstream -> accuracy in folds 1 to 5.
QUOTED = {
    "WavLM-large": (69.86, 69.21, 70.20, 70.90, 72.93),
    "WavLM-base+": (69.49, 69.40, 66.38, 70.03, 67.93),
    "HuBERT-large": (67.19, 69.31, 67.85, 67.02, 66.72),
    "WavLM-base": (65.99, 66.76, 64.90, 66.44, 65.59),
    "wav2vec2-large": (65.25, 64.52, 65.60, 66.54, 66.32),
    "HuBERT-base": (62.40, 66.57, 65.25, 65.18, 65.19),
    "wav2vec2-base": (62.86, 68.62, 60.99, 63.53, 61.16),
}


def main() -> None:
    """Print the neighbours' tests and the ranks."""
    rows = fold_rows(QUOTED, list(itertools.pairwise(QUOTED)))
    table = [
        ["upstream", "less its neighbour", "difference", "sd", "t", "p of t", "Holm", "sign flips", "Holm"]
    ]
    for row in rows:
        test = row.test
        assert test.t is not None  # no two upstreams differ by a constant
        table.append([
            row.one, row.other, f"{test.difference:.2f}", f"{test.deviation:.2f}", f"{test.t:.2f}",
            p_text(test.p_t), p_text(row.p_t_holm), p_text(test.p_flip, 4), p_text(row.p_flip_holm, 4),
        ])  # fmt: skip
    print("\n".join(align(table, right=range(2, 9))))
    below = sum(row.test.p_t < 0.05 for row in rows)
    after = sum(row.p_t_holm < 0.05 for row in rows)
    print(f"\n{below} of {len(rows)} have p < .05 by t, {after} after Holm; no sign-flip test over"
          f" {rows[0].test.folds} folds can be below {p_text(rows[0].test.floor, 4)}.\n")  # fmt: skip
    by_t, by_flip = fold_ranks(QUOTED), fold_ranks(QUOTED, test="flip")
    means = {name: sum(values) / len(values) for name, values in QUOTED.items()}
    pairs = len(QUOTED) * (len(QUOTED) - 1) // 2
    print("\n".join(align([
        ["upstream", "mean", f"rank by t, Holm over {pairs} pairs", "rank by sign flips"],
        *([name, f"{means[name]:.2f}", rank_text(by_t[name]), rank_text(by_flip[name])] for name in QUOTED),
    ], right=range(1, 4))))  # fmt: skip


if __name__ == "__main__":
    main()
