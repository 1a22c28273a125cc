"""Cosine similarity of speaker vectors, and the nearest speakers by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Neighbours:
    """The training speakers nearest to each test speaker, the nearest first.

    Attributes:
        index: ``(S, k)``, into the training speakers.
        cosine: ``(S, k)``.
    """

    index: np.ndarray
    cosine: np.ndarray

    def first(self, k: int) -> Neighbours:
        """The ``k`` nearest of them."""
        return Neighbours(self.index[:, :k], self.cosine[:, :k])


def nearest(test: np.ndarray, train: np.ndarray, k: int) -> Neighbours:
    """The k training speakers of highest cosine similarity.

    Args:
        test: speaker vectors ``(S, D)``.
        train: speaker vectors ``(R, D)``; equal similarities keep their order.
        k: at most R.

    Raises:
        ValueError: for k out of range, or a vector that is zero or not finite: it has no direction.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"k = {k} of {len(train)} training speakers")
    cosine = _directions(test) @ _directions(train).T
    # Rounded, so that ties are ties on every machine and fall to the speaker that comes first.
    cosine = np.round(cosine, 12)
    if k < len(train):
        chosen = np.sort(np.argpartition(-cosine, k - 1, axis=1)[:, :k], axis=1)
    else:
        chosen = np.broadcast_to(np.arange(k), cosine.shape)
    similarity = np.take_along_axis(cosine, chosen, axis=1)
    order = np.argsort(-similarity, axis=1, kind="stable")
    return Neighbours(
        np.take_along_axis(chosen, order, axis=1), np.take_along_axis(similarity, order, axis=1)
    )


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    vectors = np.asarray(vectors, np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(length) & (length > 0)).all():
        row = int(np.flatnonzero(~(np.isfinite(length) & (length > 0)))[0])
        raise ValueError(f"speaker vector {row} has no direction")
    return vectors / length
