"""Span masks as HuBERT's (Hsu et al. 2021), which are wav2vec 2.0's (Baevski et al. 2020).

For an utterance of F frames, with p = .80 and spans of l = 10:

    n = max(min_masks, int(p F / l + u))          u uniform in [0, 1)
    n starts are drawn without replacement from the frames 0 .. F - l - 1; spans may overlap
    of a batch's rows the one with the fewest masked frames decides: the others give up frames at random

The draws are those of fairseq's ``compute_mask_indices`` (static spans), one by one, so that the same random
stream gives the same mask; a test holds that against S3PRL's copy. Here every utterance has a stream of its
own, derived from seed, epoch and utterance: neither resuming nor the number of processes changes a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser.core.seed import derive_seed


@dataclass
class MaskingConfig:
    """Which frames are masked.

    Args:
        prob: share of frames that would be masked if no two spans overlapped.
        length: of a span, in frames.
        min_masks: the fewest spans in an utterance.
        same_number: bring all rows of a batch to the same number of masked frames, as fairseq does.
    """

    prob: float = 0.80
    length: int = 10
    min_masks: int = 2
    same_number: bool = True


def stream(seed: int, *names: object) -> np.random.RandomState:
    """The random stream of one utterance in one epoch; its draws are the same in every release of NumPy."""
    return np.random.RandomState(derive_seed(seed, *names))


def span_mask(frames: int, config: MaskingConfig, random: np.random.RandomState) -> np.ndarray:
    """Masked frames of one utterance, in order.

    Args:
        frames: F, at least 1.
        config: how many spans, and how long.
        random: the stream; one uniform number and one choice are taken from it.

    Returns:
        Indices ``(M,)``, int64.
    """
    spans = max(config.min_masks, int(config.prob * frames / float(config.length) + random.rand()))
    margin = config.length
    if frames - margin <= spans:  # an utterance too short for so many spans inside it
        margin = frames - spans - 1
    starts = random.choice(frames - margin, spans, replace=False)
    masked = (starts[:, None] + np.arange(config.length)).reshape(-1)
    return np.unique(masked[masked < frames])


def same_number(rows: Sequence[np.ndarray], randoms: Sequence[np.random.RandomState]) -> list[np.ndarray]:
    """Rows of masked frames cut down, at random, to the number that the shortest row has."""
    least = min(map(len, rows))
    return [
        np.sort(random.choice(row, least, replace=False)) if len(row) > least else row
        for row, random in zip(rows, randoms, strict=True)
    ]


def batch_mask(
    frames: Sequence[int], config: MaskingConfig, randoms: Sequence[np.random.RandomState]
) -> np.ndarray:
    """The mask of a batch.

    Args:
        frames: of each row.
        config: how.
        randoms: the stream of each row.

    Returns:
        ``(B, max(frames))``, bool; nothing is masked beyond a row's frames.
    """
    rows = [span_mask(count, config, random) for count, random in zip(frames, randoms, strict=True)]
    if config.same_number:
        rows = same_number(rows, randoms)
    mask = np.zeros((len(rows), max(frames)), bool)
    for out, row in zip(mask, rows, strict=True):
        out[row] = True
    return mask
