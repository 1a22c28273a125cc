"""Masks on an encoder's input features (SpecAugment), put there by who trains it.

Families hand the features that their first layer sees to :func:`mask_features`; who trains an encoder wraps
the call in :func:`masked_features`. Outside of it nothing is masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor


class FeatureMask(Protocol):
    """What masks the features of a batch."""

    def __call__(self, x: Tensor, frames: Tensor, fill: Tensor | None, owners: Tensor | None) -> Tensor:
        """See :func:`mask_features`."""


_MASK: ContextVar[FeatureMask | None] = ContextVar("mask", default=None)


@contextmanager
def masked_features(mask: FeatureMask | None) -> Iterator[None]:
    """In the block encoders mask their input features; None masks nothing."""
    token = _MASK.set(mask)
    try:
        yield
    finally:
        _MASK.reset(token)


def mask_features(
    x: Tensor, frames: Tensor, fill: Tensor | None = None, owners: Tensor | None = None
) -> Tensor:
    """``x`` with masks, where who trains the encoder wants some; else ``x`` itself.

    Args:
        x: ``(B, F, C)``.
        frames: ``(B,)`` that are valid.
        fill: ``(C,)``, what stands in a masked frame (the mask embedding of pre-training); None for 0.
        owners: ``(B,)``, the utterance that each row is a part of; None where a row is an utterance.
    """
    mask = _MASK.get()
    return x if mask is None else mask(x, frames, fill, owners)
