"""How good units are as far as one can see without training: sizes, entropy, runs, inertia."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser.core.columns import align


@dataclass
class UnitQuality:
    """Sums over utterances, from which the figures follow.

    Attributes:
        counts: frames of each unit, ``(K,)`` int64.
        runs: maximal stretches of one unit within an utterance.
        distance: sum of squared distances of frames from their centroids.
    """

    counts: np.ndarray
    runs: int = 0
    distance: float = 0.0

    @classmethod
    def empty(cls, clusters: int) -> UnitQuality:
        """Of nothing yet."""
        return cls(np.zeros(clusters, np.int64))

    def add(self, labels: np.ndarray, distances: np.ndarray) -> None:
        """Count an utterance: labels ``(F,)``, F > 0, squared distances ``(F,)``."""
        self.counts += np.bincount(labels, minlength=len(self.counts))
        self.runs += 1 + int(np.count_nonzero(np.diff(labels)))
        self.distance += float(distances.sum())

    def __add__(self, other: UnitQuality) -> UnitQuality:
        """Of both together."""
        return UnitQuality(self.counts + other.counts, self.runs + other.runs, self.distance + other.distance)

    @property
    def frames(self) -> int:
        """Frames counted."""
        return int(self.counts.sum())

    @property
    def used(self) -> int:
        """Units that occur."""
        return int(np.count_nonzero(self.counts))

    @property
    def inertia(self) -> float:
        """Mean squared distance of a frame from its centroid."""
        return self.distance / self.frames

    @property
    def entropy(self) -> float:
        """Entropy of the units' frequencies in bits, at most log2 K.

        >>> UnitQuality(np.array([2, 1, 1, 0])).entropy
        1.5
        """
        p = self.counts[self.counts > 0] / self.frames
        return float(-(p * np.log2(p)).sum()) + 0.0

    @property
    def perplexity(self) -> float:
        """2 to the entropy: so many units, equally frequent, would be as hard to guess."""
        return float(2**self.entropy)

    @property
    def mean_run(self) -> float:
        """Mean length of a run, in frames."""
        return self.frames / self.runs

    def figures(self) -> dict[str, Any]:
        """The figures as plain values, rounded so that the order of additions cannot be seen."""
        return {
            "frames": self.frames,
            "inertia": float(f"{self.inertia:.9g}"),
            "used_clusters": self.used,
            "entropy_bits": float(f"{self.entropy:.9g}"),
            "perplexity": float(f"{self.perplexity:.9g}"),
            "mean_run_frames": float(f"{self.mean_run:.9g}"),
        }

    def to_plain(self) -> dict[str, Any]:
        """Figures and sums, for JSON."""
        sums = {"counts": self.counts.tolist(), "runs": self.runs, "distance": self.distance}
        return {**self.figures(), "sums": sums}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> UnitQuality:
        """Read what ``to_plain`` made."""
        sums = values["sums"]
        return cls(np.array(sums["counts"], np.int64), int(sums["runs"]), float(sums["distance"]))


def table(found: Mapping[str, UnitQuality], frame_rate: float) -> Sequence[str]:
    """Lines of a table, one a set: for people.

    Args:
        found: set -> quality.
        frame_rate: of the units, in Hz.
    """
    rows = [["set", "frames", "inertia", "used", "entropy (bits)", "perplexity", "mean run (ms)"]]
    for name, quality in found.items():
        rows.append(
            [
                name, str(quality.frames), f"{quality.inertia:.4g}", f"{quality.used}/{len(quality.counts)}",
                f"{quality.entropy:.3f}", f"{quality.perplexity:.1f}",
                f"{1000 * quality.mean_run / frame_rate:.1f}",
            ]
        )  # fmt: skip
    return align(rows, right=range(1, 7))
