"""A uniform sample of frames from a stream, of bounded size, that no order of utterances changes."""

from __future__ import annotations

import numpy as np

from ser.core.errors import UserError
from ser.core.seed import derive_seed


class FrameSample:
    """The ``capacity`` frames of lowest priority among all that are added (bottom-k sampling).

    A frame's priority is uniform in [0, 1), drawn from the seed and its utterance's id alone; so which
    frames are kept depends on neither the order nor the number of processes in which they come.

    Args:
        capacity: the most frames to keep.
        seed: another seed keeps others.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity, self.seed = capacity, seed
        self.seen = 0
        self._rows: list[np.ndarray] = []
        self._priority: list[np.ndarray] = []
        self._waiting = 0
        self._bound = np.inf

    def add(self, utterance: str, frames: np.ndarray) -> None:
        """Offer the frames ``(F, D)`` of an utterance."""
        drawn = np.random.default_rng(derive_seed(self.seed, "frames", utterance)).random(len(frames))
        self.seen += len(frames)
        low = drawn < self._bound
        if not low.any():
            return
        self._rows.append(frames[low])
        self._priority.append(drawn[low])
        self._waiting += int(low.sum())
        # A quarter more than is kept may wait, so that sorting out is rare and memory bounded.
        if self._waiting > 1.25 * self.capacity:
            self._sort_out()

    def frames(self) -> np.ndarray:
        """The sample ``(N, D)``, in the order of priorities.

        Raises:
            UserError: when nothing was added.
        """
        if not self._rows:
            raise UserError("no frames to draw from")
        self._sort_out()
        return self._rows[0]

    def _sort_out(self) -> None:
        """Keep the lowest priorities, sorted."""
        priority = np.concatenate(self._priority)
        kept = np.argsort(priority, kind="stable")[: self.capacity]
        self._rows = [_gather(self._rows, kept)]
        self._priority = [priority[kept]]
        self._waiting = len(kept)
        if len(kept) == self.capacity:
            self._bound = float(priority[kept[-1]])


def _gather(parts: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Rows ``(N,)`` of the concatenation of ``parts``, which is never made."""
    result = np.empty((len(rows), parts[0].shape[1]), parts[0].dtype)
    ends = np.cumsum([len(part) for part in parts])
    part_of = np.searchsorted(ends, rows, side="right")
    for number in np.unique(part_of):
        here = part_of == number
        result[here] = parts[number][rows[here] - (ends[number] - len(parts[number]))]
    return result
