"""Which layers of an upstream were used: learned weights, or how often each was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ser.scoring.schema import Fit, Scores
from ser.scoring.tables.rows import Benchmark
from ser.scoring.text import counted


@dataclass(frozen=True)
class LayerRow:
    """One system of the heat map.

    Attributes:
        scores: of the experiment.
        weights: mean weight of each layer over folds and seeds, ``(L,)``; they sum to 1.
        best: the layer with the largest.
    """

    scores: Scores
    weights: list[float]

    @property
    def best(self) -> int:
        """The layer with the largest weight."""
        return self.weights.index(max(self.weights))

    @property
    def shades(self) -> list[float]:
        """How dark each cell is, 0 to 1: the weight's square root, so that one of 25 layers still shows."""
        return [math.sqrt(max(weight, 0.0)) for weight in self.weights]


def learned_layers(benchmark: Benchmark) -> list[Scores]:
    """Experiments whose upstream has more than one layer to choose from."""
    return [
        scores for scores in benchmark.experiments
        if any(len(fit.layer_weights or []) > 1 for fit in scores.fits)
    ]  # fmt: skip


def layer_rows(benchmark: Benchmark) -> list[LayerRow]:
    """The heat map, upstream by upstream; empty where no system had layers to choose from."""
    rows = [LayerRow(scores, mean_weights(scores.fits)) for scores in learned_layers(benchmark)]
    names = [str((row.scores.info.get("upstream") or {}).get("tag")) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (names[i], rows[i].scores.experiment))
    return [rows[i] for i in order if max(rows[i].weights, default=0) > 0]


def mean_weights(fits: Sequence[Fit]) -> list[float]:
    """Mean weight of each layer over the fits that saw all layers."""
    table = [fit.layer_weights for fit in fits if fit.layer_weights]
    count = max(map(len, table), default=0)
    table = [weights for weights in table if len(weights) == count]
    return [sum(weights[i] for weights in table) / len(table) for i in range(count)]


def layer_note(fits: Sequence[Fit]) -> str:
    """What a bar is: a mean of learned weights, or how many folds chose the layer."""
    table = [fit.layer_weights for fit in fits if fit.layer_weights]
    chosen = all(max(weights) > 1 - 1e-6 for weights in table)
    return f"share of {counted(len(table), 'fold')} that chose the layer" if chosen else (
        f"learned weight, mean over {counted(len(table), 'fold')}; dots are folds"
    )  # fmt: skip
