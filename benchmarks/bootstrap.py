"""Time of the clustered bootstrap: ``python benchmarks/bootstrap.py``.

1,000 draws of UAR, WA, macro-F1 and weighted F1, and of CCC, PCC and MAE, over 100,000 utterances of
1,200 speakers, the building of the sums included. ``--utterances``, ``--speakers``, ``--draws`` change that.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ser.metrics.categorical import METRICS
from ser.metrics.sums import ConfusionSums, MomentSums
from ser.scoring.intervals import bootstrap, percentile_interval

CLASSES = 8


def main() -> None:
    """Make labels and predictions, draw, print seconds and intervals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--speakers", type=int, default=1_200)
    parser.add_argument("--draws", type=int, default=1_000)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    size, speakers = options.utterances, options.speakers
    clusters = random.integers(speakers, size=size)
    classes = random.integers(CLASSES, size=size)
    guesses = np.where(random.random(size) < 0.6, classes, random.integers(CLASSES, size=size))
    values = random.normal(4, 1, size) + random.normal(0, 0.5, speakers)[clusters]
    estimates = values + random.normal(size=size)
    print(f"{size:,} utterances, {speakers:,} speakers, {options.draws:,} draws")

    start = time.perf_counter()
    counted = ConfusionSums.of(classes, guesses, clusters, CLASSES, speakers)
    report(counted, tuple(METRICS), speakers, options.draws, start)
    start = time.perf_counter()
    moments = MomentSums.of(values, estimates, clusters, speakers)
    report(moments, ("CCC", "PCC", "MAE"), speakers, options.draws, start)


def report(
    sums: ConfusionSums | MomentSums, names: tuple[str, ...], speakers: int, draws: int, start: float
) -> None:
    """Draw all metrics of ``names`` at once; print their intervals and the seconds since ``start``."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        drawn = sums.weighted(counts)
        return np.stack([drawn.metric(name) for name in names], axis=1)

    values = bootstrap(statistic, speakers, draws, seed=0)
    seconds = time.perf_counter() - start
    for name, column in zip(names, values.T, strict=True):
        interval = percentile_interval(column, speakers)
        print(f"  {name:<11} [{interval.low:.4f}, {interval.high:.4f}]")
    print(f"  {seconds:.3f} s")


if __name__ == "__main__":
    main()
