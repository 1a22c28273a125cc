"""Layers whose activations are thrown away and computed again when gradients want them (Chen et al. 2016).

Families run their layers through :func:`run_layer`; who trains an encoder wraps the call in
:func:`checkpointed_layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_REPLAYED: ContextVar[bool] = ContextVar("replayed", default=False)


@contextmanager
def checkpointed_layers(on: bool = True) -> Iterator[None]:
    """In the block layers keep their inputs alone: less memory, and a step costs one more forward pass."""
    token = _REPLAYED.set(on)
    try:
        yield
    finally:
        _REPLAYED.reset(token)


def run_layer(layer: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """``layer(*inputs)``."""
    if not (_REPLAYED.get() and torch.is_grad_enabled()):
        return layer(*inputs)
    return checkpoint(layer, *inputs, use_reentrant=False)
