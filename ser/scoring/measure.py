"""The metrics of some utterances, by seed and in every draw of a bootstrap over their speakers.

What is measured may be all utterances of a set or those of one group of speakers: a group's scores
are those of a set that holds nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ser.metrics import categorical, continuous
from ser.metrics.sums import ConfusionSums, MomentSums
from ser.scoring import schema
from ser.scoring.intervals import bootstrap, mean_over_clusters, percentile_interval

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """Metrics of the labelled utterances of S speakers.

    Attributes:
        present: index of each speaker with an utterance, ascending ``(S,)``.
        sizes: their utterances ``(S,)``.
        by_seed: metric -> its value for each seed, NaN where undefined.
        statistics: metric -> for each seed, counts ``(d, S)`` of a bootstrap's draws -> ``(d,)``.
        per_speaker: metric -> value of each speaker, mean over seeds ``(S,)``.
    """

    present: np.ndarray
    sizes: np.ndarray
    by_seed: dict[str, list[float]]
    statistics: dict[str, list[Statistic]]
    per_speaker: dict[str, np.ndarray]

    @property
    def clusters(self) -> int:
        """Number of speakers S."""
        return len(self.present)

    def draws(self, metric: str, how: schema.Bootstrap, stream: int = 0) -> np.ndarray:
        """The metric, mean over seeds, in every draw ``(D,)``.

        Every draw takes the same speakers for all seeds. Draws of another ``stream`` are independent.
        """
        seed = how.seed
        if stream:
            seed = int(np.random.SeedSequence([how.seed, stream]).generate_state(1, np.uint64)[0])
        return bootstrap(lambda counts: self.drawn(metric, counts), self.clusters, how.draws, seed)

    def drawn(self, metric: str, counts: np.ndarray) -> np.ndarray:
        """The metric, mean over seeds, of draws: counts ``(d, S)`` -> ``(d,)``."""
        return np.mean([statistic(counts) for statistic in self.statistics[metric]], axis=0)

    def values(self, how: schema.Bootstrap) -> dict[str, schema.Value]:
        """Every metric with its interval."""
        return {
            metric: as_value(by_seed, self.draws(metric, how), self.clusters, how)
            for metric, by_seed in self.by_seed.items()
        }


@dataclass(frozen=True)
class MeasuredClasses(Measured):
    """Measured classes.

    Attributes:
        confusion: counts of each seed ``(seeds, K, K)``, rows the reference.
    """

    confusion: np.ndarray


@dataclass(frozen=True)
class MeasuredAttribute(Measured):
    """A measured attribute.

    Attributes:
        eligible: whether a speaker's CCC says anything ``(S,)``: two utterances, labels that vary.
    """

    eligible: np.ndarray


def measure_classes(
    truth: np.ndarray, predicted: Sequence[np.ndarray], speaker: np.ndarray, num_classes: int
) -> MeasuredClasses:
    """UAR, WA, macro-F1 and weighted F1.

    Args:
        truth: class indices ``(N,)``.
        predicted: for each seed, class indices ``(N,)``.
        speaker: index of each utterance's speaker ``(N,)``.
        num_classes: K.
    """
    present, cluster = np.unique(speaker, return_inverse=True)
    size = len(present)
    sums = [ConfusionSums.of(truth, guess, cluster, num_classes, size) for guess in predicted]
    totals = np.stack([each.table.sum(0) for each in sums])
    return MeasuredClasses(
        present=present,
        sizes=np.bincount(cluster, minlength=size),
        by_seed={
            name: [float(metric(total)) for total in totals] for name, metric in categorical.METRICS.items()
        },
        statistics={name: [_drawn(each, name) for each in sums] for name in categorical.METRICS},
        per_speaker={name: np.mean([each.metric(name) for each in sums], axis=0) for name in ("UAR", "WA")},
        confusion=totals,
    )


def measure_attribute(
    truth: np.ndarray, predicted: Sequence[np.ndarray], speaker: np.ndarray
) -> MeasuredAttribute:
    """O-CCC, A-CCC, PCC and MAE.

    Args:
        truth: values ``(N,)``.
        predicted: for each seed, values ``(N,)``.
        speaker: index of each utterance's speaker ``(N,)``.
    """
    present, cluster = np.unique(speaker, return_inverse=True)
    size = len(present)
    rows = np.split(np.argsort(cluster, kind="stable"), np.cumsum(np.bincount(cluster, minlength=size))[:-1])
    # CCC of a speaker whose labels do not vary says nothing of the system.
    eligible = np.array([len(own) > 1 and np.ptp(truth[own]) > 0 for own in rows], bool)
    sums = [MomentSums.of(truth, values, cluster, size) for values in predicted]
    ccc, mae = (
        np.array([[measure(truth[own], values[own]) for own in rows] for values in predicted])
        for measure in (continuous.ccc, continuous.mae)
    )
    averaged = np.where(eligible, ccc, np.nan)
    by_seed, statistics = {}, {}
    for name, key, measure in (
        ("O-CCC", "CCC", continuous.ccc), ("A-CCC", None, None), ("PCC", "PCC", continuous.pcc),
        ("MAE", "MAE", continuous.mae),
    ):  # fmt: skip
        if key is None:
            by_seed[name] = [float(row[eligible].mean()) if eligible.any() else np.nan for row in averaged]
            statistics[name] = [mean_over_clusters(row) for row in averaged]
        else:
            by_seed[name] = [measure(truth, values) for values in predicted]
            statistics[name] = [_drawn(each, key) for each in sums]
    return MeasuredAttribute(
        present=present,
        sizes=np.bincount(cluster, minlength=size),
        by_seed=by_seed,
        statistics=statistics,
        per_speaker={"CCC": averaged.mean(0), "MAE": mae.mean(0)},
        eligible=eligible,
    )


def as_value(
    by_seed: Sequence[float], draws: np.ndarray, clusters: int, how: schema.Bootstrap
) -> schema.Value:
    """The mean over seeds with the interval of its draws ``(D,)``."""
    interval, value = percentile_interval(draws, clusters, how.level), number(np.mean(by_seed))
    low, high = (interval.low, interval.high) if value is not None else (None, None)
    return schema.Value(value, low, high, interval.undefined, [number(each) for each in by_seed])


def number(value: float | None) -> float | None:
    """A float, or None for NaN."""
    return None if value is None or np.isnan(value) else float(value)


def _drawn(sums: ConfusionSums | MomentSums, name: str) -> Statistic:
    """The statistic that is a metric of drawn sums."""
    return lambda counts: sums.weighted(counts).metric(name)
