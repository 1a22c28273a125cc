"""The rows of the audio tokens in a language model's input, and the edit that is made of them, once.

    prompt of utterance b   before | X_b, N_b audio tokens | after | padding
    row                     0 .. P   P .. P + N_b

Prompts are padded at the right: in a causal model nothing real sees the padding, positions count from 0,
and an utterance's numbers do not depend on its batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ser.memory.hosts.base import Edit


@dataclass(frozen=True)
class AudioRows:
    """Where the audio tokens of B utterances stand.

    Args:
        start: P, the first of them.
        lengths: audio tokens of each utterance, ``(B,)``.
    """

    start: int
    lengths: Tensor

    @property
    def longest(self) -> int:
        """N, of the longest utterance."""
        return int(self.lengths.max())

    def valid(self) -> Tensor:
        """True where a token is one of the utterance's own, ``(B, N)``."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    def take(self, hidden: Tensor) -> Tensor:
        """The audio tokens ``(B, N, D)`` out of ``(B, T, D)``, zero beyond their lengths."""
        rows = hidden[:, self.start : self.start + self.longest]
        return torch.where(self.valid()[..., None], rows, 0)

    def put(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """``hidden (B, T, D)`` with the audio tokens ``(B, N, D)`` in their rows; a new tensor."""
        end = self.start + self.longest
        rows = torch.where(self.valid()[..., None], tokens.to(hidden.dtype), hidden[:, self.start : end])
        return torch.cat([hidden[:, : self.start], rows, hidden[:, end:]], dim=1)


def apply_edit(edit: Edit | None, tokens: Tensor, lengths: Tensor) -> Tensor:
    """X' of the audio tokens X ``(B, N, D)``: the edit sees float32, whatever the host's precision.

    Raises:
        ValueError: when X' has another shape.
    """
    if edit is None:
        return tokens
    edited = edit(tokens.float(), lengths)
    if edited.shape != tokens.shape:
        raise ValueError(f"an edit must keep the shape {tuple(tokens.shape)}, not {tuple(edited.shape)}")
    return edited.to(tokens.dtype)


@contextlib.contextmanager
def edited_before(layer: nn.Module, rows: AudioRows, edit: Edit | None) -> Iterator[None]:
    """Within this context the audio tokens that enter ``layer`` are edited.

    Args:
        layer: a decoder layer, called with the hidden states ``(B, T, D)`` first.
        rows: where the audio tokens are.
        edit: None changes nothing.
    """
    if edit is None:
        yield
        return

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        hidden = args[0] if args else kwargs.pop("hidden_states")
        edited = apply_edit(edit, rows.take(hidden), rows.lengths)
        return (rows.put(hidden, edited), *args[1:]), kwargs

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
