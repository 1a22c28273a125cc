"""k-means as HuBERT has it: scikit-learn's MiniBatchKMeans on a sample, exact assignment of every frame.

Source: Hsu et al. 2021, arXiv 2106.07447, and fairseq's recipe for it: k-means++, minibatches of 10,000
frames, at most 100 passes, no tolerance, 100 minibatches without improvement, no reassignment of small
clusters. fairseq takes the best of 20 starts; the default here is 5.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import save
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.core.tensors import open_tensors

BATCH_FRAMES = 10_000
PASSES = 100
NO_IMPROVEMENT = 100
# Frames whose distances are held at once: 8192 x 2000 clusters are 131 MB.
BLOCK_FRAMES = 8192
# Distances that differ by less, relative to the squares they are made of, are equal but for rounding.
ROUNDING = 1e-12
METADATA_KEY = "ser"


@dataclass(frozen=True)
class KMeans:
    """Centroids ``(K, D)`` float32.

    Args:
        centroids: finite.
    """

    centroids: np.ndarray

    @property
    def clusters(self) -> int:
        """K."""
        return len(self.centroids)

    @property
    def dim(self) -> int:
        """D."""
        return self.centroids.shape[1]

    def assign(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest centroid of every frame; of equally near ones, the first.

            |x - c|^2 = |x|^2 - 2 x c + |c|^2

        In float64, and with ties broken by number, so that the number of threads changes no label.

        Args:
            frames: ``(F, D)``.

        Returns:
            Labels ``(F,)`` int32, and squared distances ``(F,)`` float64.
        """
        centroids = self.centroids.astype(np.float64)
        # About their mean: distances stay, and less of them cancels.
        centre = centroids.mean(0)
        centroids -= centre
        squares = (centroids**2).sum(1)
        labels, distances = np.empty(len(frames), np.int32), np.empty(len(frames))
        for start in range(0, len(frames), BLOCK_FRAMES):
            block = frames[start : start + BLOCK_FRAMES] - centre
            own = (block**2).sum(1)
            table = own[:, None] - 2 * (block @ centroids.T) + squares
            least = table.min(1)
            slack = ROUNDING * (own + squares.max())
            labels[start : start + len(block)] = (table <= (least + slack)[:, None]).argmax(1)
            distances[start : start + len(block)] = np.maximum(least, 0)
        return labels, distances

    def save(self, path: str | os.PathLike[str], about: dict[str, Any]) -> None:
        """Write centroids and what is known of them (JSON values) as safetensors, whole or not at all."""
        text = {METADATA_KEY: json.dumps(about, sort_keys=True)}
        with whole_file(path, "wb") as stream:
            stream.write(save({"centroids": np.ascontiguousarray(self.centroids)}, metadata=text))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[KMeans, dict[str, Any]]:
        """Read what ``save`` wrote: the centroids, and what is known of them.

        Raises:
            UserError: no such file, or another kind of file.
        """
        make = {"missing": "no such centroids", "hint": "Make them with 'ser units'"}
        try:
            with open_tensors(path, **make, framework="numpy") as file:
                centroids = file.get_tensor("centroids")
                about = json.loads((file.metadata() or {})[METADATA_KEY])
            if centroids.ndim != 2 or not centroids.size or not np.isfinite(centroids).all():
                raise ValueError(f"centroids of shape {centroids.shape}")
            return cls(centroids), about
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UserError("no centroids of this project", file=path, value=error) from None


def fit_kmeans(sample: np.ndarray, clusters: int, seed: int, inits: int = 5) -> KMeans:
    """Fit centroids to a sample of frames.

    On one thread: with several, scikit-learn's sums, and so the centroids, depend on their number.

    Args:
        sample: ``(N, D)`` float32.
        clusters: K.
        seed: of k-means++ and the minibatches.
        inits: starts, of which the best by inertia goes on.

    Raises:
        UserError: fewer frames than clusters.
    """
    if len(sample) < clusters:
        raise UserError(
            f"{len(sample)} frames for {clusters} clusters",
            hint="Lower --clusters, raise --sample-frames, or fit on more data",
        )
    model = MiniBatchKMeans(
        clusters, init="k-means++", n_init=inits, batch_size=BATCH_FRAMES, max_iter=PASSES, tol=0.0,
        max_no_improvement=NO_IMPROVEMENT, reassignment_ratio=0.0, compute_labels=False, random_state=seed,
    )  # fmt: skip
    with threadpool_limits(1), warnings.catch_warnings():
        # Fewer distinct frames than clusters: the number of used clusters tells it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(sample)
    return KMeans(model.cluster_centers_.astype(np.float32))
