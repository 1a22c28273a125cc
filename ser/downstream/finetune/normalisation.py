"""Waveforms by one mean and deviation of the whole training set, x' = (x - mean) / deviation.

So the Odyssey 2024 baseline has it, in place of the encoder's own rule (each waveform by itself, for most
large models): an utterance keeps how loud it is beside the others. The two numbers are a part of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from ser.core.errors import UserError


class GlobalNormalisation(nn.Module):
    """x' = (x - mean) / deviation; the identity until it is told them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def set(self, mean: float, deviation: float) -> None:
        """Take over what ``measure`` found."""
        self.mean.fill_(mean)
        self.deviation.fill_(deviation)

    def forward(self, wave: Tensor) -> Tensor:
        """``(B, T)`` to ``(B, T)``; the encoder takes no notice of what is beyond an utterance's end."""
        return (wave - self.mean) / self.deviation


def measure(
    read: Callable[[str], np.ndarray], utterances: Sequence[str], accelerator: Accelerator
) -> tuple[float, float]:
    """Mean and population deviation of all samples of some utterances.

    Sums are exact to the last bit, so they are the same for any number of processes.

    Args:
        read: samples ``(T,)`` of an utterance.
        utterances: of the training set.
        accelerator: shares the reading among processes.

    Raises:
        UserError: what ``read`` raises, or silence everywhere.
    """
    sums = []
    for name in utterances[accelerator.process_index :: accelerator.num_processes]:
        wave = read(name).astype(np.float64)
        sums.append((len(wave), float(wave.sum()), float(np.square(wave).sum())))
    every = gather_object(sums) if accelerator.num_processes > 1 else sums
    count, total, squares = (math.fsum(column) for column in zip(*every, strict=True))
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean**2, 0.0))
    if not deviation > 0:
        raise UserError(
            "the training audio is silent: it has no deviation to normalise by",
            value=f"{len(utterances)} utterances", hint="Look at the audio with 'ser lint'",
        )  # fmt: skip
    return mean, deviation
