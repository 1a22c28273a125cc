"""What memory needs of a host: audio tokens that may be edited once, between hearing and answering.

    tokens X (B, N, D)  = the host's first part, of B utterances
    tokens X'           = edit(X): what a memory layer makes of them, residually; X' = X without one
    vectors (B, H)      = the host's second part, of X'; a head reads them

The edit is called once for an utterance, whatever the host computes after it (beams, candidate words):
a memory is written in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Tokens (B, N, D), right-padded, and their lengths (B,) -> tokens (B, N, D); padding may hold anything.
Edit = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class HostInfo:
    """What is known of a host, for tables and checks.

    Args:
        name: as it was asked for: a folder, a hub name, the upstream of features.
        tag: short name for folders and tables.
        family: ``encoder``, ``qwen2_audio`` ...
        checkpoint: hash of the weights, by which a trained adapter knows its host.
        sample_rate: of the waves that ``hear`` takes, Hz.
        dim: D of the tokens.
        width: H of the vectors.
        parameters: of the host, without memory and head.
        insertion: where the tokens are edited, in words.
    """

    name: str
    tag: str
    family: str
    checkpoint: str
    sample_rate: int
    dim: int
    width: int
    parameters: int
    insertion: str


@dataclass
class Heard:
    """What a host takes of B utterances.

    Args:
        tensors: by name, each with B rows; float tensors are moved and cast by the host.
        lengths: audio tokens of each utterance, ``(B,)``.
    """

    tensors: dict[str, Tensor]
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str) -> Heard:
        """The same on another device."""
        return Heard({name: value.to(device) for name, value in self.tensors.items()}, self.lengths.to(device))


class Host(nn.Module, ABC):
    """An encoder or an audio language model, through which memory is inserted.

    Attributes:
        info: what it is.
    """

    info: HostInfo

    @abstractmethod
    def hear(self, waves: Sequence[np.ndarray]) -> Heard:
        """What ``forward`` takes of mono audio ``(T_i,)`` at ``info.sample_rate``; nothing is learnt here.

        Raises:
            UserError: for audio that is too short to give a token.
        """

    @abstractmethod
    def forward(self, heard: Heard, edit: Edit | None = None) -> Tensor:
        """The vectors ``(B, H)`` in float32 that a head reads; ``edit`` is called once, on all B utterances."""

    def trained_parameters(self) -> list[nn.Parameter]:
        """What training may change: layer weights, LoRA."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors that belong with a trained adapter, by name: trained parameters, statistics of training."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Put ``trained_state`` back.

        Raises:
            RuntimeError: when names or shapes do not agree.
        """
        own = self.trained_state()
        if own.keys() != state.keys():
            raise RuntimeError(f"another set of trained tensors: {sorted(own.keys() ^ state.keys())[:3]}")
        with torch.no_grad():
            for name, value in own.items():
                if value.shape != state[name].shape:
                    raise RuntimeError(f"{name} is {tuple(value.shape)}, not {tuple(state[name].shape)}")
                value.copy_(state[name])

    def describe(self) -> dict[str, Any]:
        """What info.yaml says of the host."""
        info = self.info
        return {
            "upstream": info.name, "tag": info.tag, "family": info.family, "checkpoint": info.checkpoint,
            "sample_rate": info.sample_rate, "dim": info.dim, "parameters": info.parameters,
            "insertion": info.insertion,
        }  # fmt: skip


class AnsweringHost(Host, ABC):
    """A language model that names the class in words.

    Attributes:
        words: what it says for each of the K classes, in order.
    """

    words: list[str]

    @abstractmethod
    def word_scores(self, heard: Heard, edit: Edit | None = None) -> Tensor:
        """Log-likelihood of each class's word, end of turn included, after the prompt: ``(B, K)`` in float32.

        The loss of label words is the mean of ``-word_scores[b, class of b]``.
        """

    @abstractmethod
    def generate(self, heard: Heard, edit: Edit | None = None) -> list[str]:
        """What it says of its own accord, greedily, B strings."""
