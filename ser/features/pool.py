"""Mean and standard deviation over an utterance's own frames, for every layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ser.upstream.base import HiddenStates


def pool(states: HiddenStates) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Statistics over time of each utterance of a batch.

    Sums are taken in float64, of squared distances from the mean: nothing cancels.

    Yields:
        mean and population standard deviation, each float32 ``(L, D)``.
    """
    for row, length in enumerate(states.lengths.tolist()):
        frames = torch.stack([layer[row, :length] for layer in states.layers]).to(torch.float64)
        mean = frames.mean(dim=1)
        deviation = frames.sub_(mean[:, None]).square_().mean(dim=1).sqrt_()
        yield _float32(mean), _float32(deviation)


def _float32(x: torch.Tensor) -> np.ndarray:
    """A tensor as a float32 array."""
    return x.to(torch.float32).cpu().numpy()
