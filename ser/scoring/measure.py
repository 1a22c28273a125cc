"""The metrics of some utterances, by seed and in every draw of a bootstrap over speakers or dialogues.

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
    """Metrics of the labelled utterances of S speakers, in C clusters: the speakers, as a rule.

    Attributes:
        present: index of each cluster with an utterance, ascending ``(C,)``.
        speakers: index of each speaker with an utterance, ascending ``(S,)``.
        sizes: their utterances ``(S,)``.
        by_seed: metric -> its value for each seed, NaN where undefined.
        statistics: metric -> for each seed, counts ``(d, C)`` of a bootstrap's draws -> ``(d,)``.
        per_speaker: metric -> value of each speaker, mean over seeds ``(S,)``.
    """

    present: np.ndarray
    speakers: np.ndarray
    sizes: np.ndarray
    by_seed: dict[str, list[float]]
    statistics: dict[str, list[Statistic]]
    per_speaker: dict[str, np.ndarray]

    @property
    def clusters(self) -> int:
        """Number of clusters C."""
        return len(self.present)

    def draws(self, metric: str, how: schema.Bootstrap, stream: int = 0) -> np.ndarray:
        """The metric, mean over seeds, in every draw ``(D,)``.

        Every draw takes the same clusters for all seeds. Draws of another ``stream`` are independent.
        """
        seed = how.seed
        if stream:
            seed = int(np.random.SeedSequence([how.seed, stream]).generate_state(1, np.uint64)[0])
        return bootstrap(lambda counts: self.drawn(metric, counts), self.clusters, how.draws, seed)

    def drawn(self, metric: str, counts: np.ndarray) -> np.ndarray:
        """The metric, mean over seeds, of draws: counts ``(d, C)`` -> ``(d,)``."""
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
    truth: np.ndarray,
    predicted: Sequence[np.ndarray],
    speaker: np.ndarray,
    num_classes: int,
    cluster: np.ndarray | None = None,
) -> MeasuredClasses:
    """UAR, WA, macro-F1 and weighted F1.

    Args:
        truth: class indices ``(N,)``.
        predicted: for each seed, class indices ``(N,)``.
        speaker: index of each utterance's speaker ``(N,)``.
        num_classes: K.
        cluster: index of each utterance's cluster ``(N,)``; the speaker when not given.
    """
    speakers, own = np.unique(speaker, return_inverse=True)
    by_speaker = [ConfusionSums.of(truth, guess, own, num_classes, len(speakers)) for guess in predicted]
    present, sums = speakers, by_speaker
    if cluster is not None:
        present, drawn = np.unique(cluster, return_inverse=True)
        sums = [ConfusionSums.of(truth, guess, drawn, num_classes, len(present)) for guess in predicted]
    totals = np.stack([each.table.sum(0) for each in sums])
    return MeasuredClasses(
        present=present,
        speakers=speakers,
        sizes=np.bincount(own, minlength=len(speakers)),
        by_seed={
            name: [float(metric(total)) for total in totals] for name, metric in categorical.METRICS.items()
        },
        statistics={name: [_drawn(each, name) for each in sums] for name in categorical.METRICS},
        per_speaker={
            name: np.mean([each.metric(name) for each in by_speaker], axis=0) for name in ("UAR", "WA")
        },
        confusion=totals,
    )


def measure_attribute(
    truth: np.ndarray,
    predicted: Sequence[np.ndarray],
    speaker: np.ndarray,
    cluster: np.ndarray | None = None,
) -> MeasuredAttribute:
    """O-CCC, A-CCC, PCC and MAE.

    Args:
        truth: values ``(N,)``.
        predicted: for each seed, values ``(N,)``.
        speaker: index of each utterance's speaker ``(N,)``.
        cluster: index of each utterance's cluster ``(N,)``; the speaker when not given.
    """
    speakers, of_speaker = np.unique(speaker, return_inverse=True)
    sizes = np.bincount(of_speaker, minlength=len(speakers))
    rows = np.split(np.argsort(of_speaker, kind="stable"), np.cumsum(sizes)[:-1])
    present, drawn = np.unique(speaker if cluster is None else cluster, return_inverse=True)
    # CCC of a speaker whose labels do not vary says nothing of the system.
    eligible = np.array([len(own) > 1 and np.ptp(truth[own]) > 0 for own in rows], bool)
    sums = [MomentSums.of(truth, values, drawn, len(present)) for values in predicted]
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
            statistics[name] = (
                [mean_over_clusters(row) for row in averaged] if cluster is None
                else [mean_of_speakers(truth, values, of_speaker, drawn) for values in predicted]
            )  # fmt: skip
        else:
            by_seed[name] = [measure(truth, values) for values in predicted]
            statistics[name] = [_drawn(each, key) for each in sums]
    return MeasuredAttribute(
        present=present,
        speakers=speakers,
        sizes=sizes,
        by_seed=by_seed,
        statistics=statistics,
        per_speaker={"CCC": averaged.mean(0), "MAE": mae.mean(0)},
        eligible=eligible,
    )


def mean_of_speakers(
    truth: np.ndarray, predicted: np.ndarray, speaker: np.ndarray, cluster: np.ndarray
) -> Statistic:
    """A-CCC where a draw takes clusters that hold parts of several speakers, as dialogues do.

    A speaker's CCC in a draw is that of the speaker's drawn utterances, from sums by speaker and cluster;
    the mean weighs it by how often they were drawn, on average:

        A-CCC = sum_s m_s CCC_s / sum_s m_s,   m_s = drawn utterances of s / utterances of s

    Where each speaker is in one cluster only, that is the bootstrap over clusters of whole speakers.

    Args:
        truth: values ``(N,)``.
        predicted: values ``(N,)``.
        speaker: index of each utterance's speaker ``(N,)``, from 0 without gaps.
        cluster: index of each utterance's cluster ``(N,)``, from 0 without gaps.
    """
    width = cluster.max() + 1
    cells, cell = np.unique(speaker * width + cluster, return_inverse=True)
    sums = MomentSums.of(truth, predicted, cell, len(cells))
    cell_of = np.split(np.arange(len(cells)), np.flatnonzero(np.diff(cells // width)) + 1)

    def statistic(counts: np.ndarray) -> np.ndarray:
        total, weight = np.zeros(len(counts)), np.zeros(len(counts))
        for own in cell_of:
            drawn = MomentSums(counts[:, cells[own] % width] @ sums.table[own], sums.shift)
            ccc = np.where(drawn.constant(), np.nan, drawn.metric("CCC"))
            times = np.where(np.isnan(ccc), 0.0, drawn.table[:, 0] / sums.table[own, 0].sum())
            total += times * np.nan_to_num(ccc)
            weight += times
        return np.divide(total, weight, out=np.full(len(counts), np.nan), where=weight > 0)

    return statistic


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
