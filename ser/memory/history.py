"""What of a dialogue reaches an utterance: read before write, added to the audio tokens through a gate.

    r   = read(state, X_n)                           of what was before the utterance
    X'_n = X_n + tanh(g) W_out r                     g = 0 at the start: the host, to the bit
    state = write(state, X_n)                        of the host's own tokens, for the next utterance

Kinds differ in what they keep, and share this: the neural memory (``neural``) and what it is compared with
(``baselines``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ser.memory.state import State

Slot = Mapping[str, Tensor]


@dataclass(frozen=True)
class Switches:
    """What is left on; the ablations of a trained model turn parts off at test time.

    Args:
        reads: add what is read.
        writes: change the state.
        resets: forget everything before each utterance.
        momentum: of the neural memory's update.
        forgetting: of the neural memory's update.
    """

    reads: bool = True
    writes: bool = True
    resets: bool = False
    momentum: bool = True
    forgetting: bool = True


ALL_ON = Switches()


@dataclass(frozen=True)
class Seen:
    """What was read of an utterance, and is still to be written.

    Args:
        inside: its tokens in the memory branch, ``(B, N, W)``.
        lengths: ``(B,)``.
        slot: what the speaker's slot held.
    """

    inside: Tensor
    lengths: Tensor
    slot: Slot


class History(nn.Module, ABC):
    """A residual of the audio tokens from the dialogue so far.

    Args:
        dim: D of the tokens.
        width: W inside.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.dim, self.width = dim, width
        self.norm = nn.LayerNorm(dim)
        self.into = nn.Linear(dim, width)
        self.out = nn.Linear(width, dim, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))

    @abstractmethod
    def start(self) -> dict[str, Tensor]:
        """What a slot holds before the first utterance, by name, without B."""

    @abstractmethod
    def read(self, inside: Tensor, lengths: Tensor, slot: Slot) -> Tensor:
        """r for every token: ``inside (B, N, W)``, lengths ``(B,)``, slot ``(B, ...)`` -> ``(B, N, W)``."""

    @abstractmethod
    def write(self, inside: Tensor, lengths: Tensor, slot: Slot, switches: Switches) -> dict[str, Tensor]:
        """The slot after the utterance; arguments as those of ``read``."""

    def begin(self, dialogues: int, slots: int = 1) -> State:
        """The state of dialogues of which nothing was heard."""
        return State.begin(self.start(), dialogues, slots)

    def forward(
        self, tokens: Tensor, lengths: Tensor, state: State, speaker: Tensor, switches: Switches = ALL_ON
    ) -> tuple[Tensor, State]:
        """One utterance of each of B dialogues.

        In float32 whatever the host's precision: fast weights live by small differences.

        Args:
            tokens: X_n ``(B, N, D)``; what stands in the padding does not matter.
            lengths: ``(B,)``, at least 1.
            state: of the B dialogues.
            speaker: slot of who speaks, ``(B,)``.
            switches: what is left on.

        Returns:
            X'_n ``(B, N, D)`` in the host's precision, and the state for the next utterance.
        """
        edited, seen = self.look(tokens, lengths, state, speaker, switches)
        return edited, self.keep(seen, state, speaker, switches)

    def look(
        self, tokens: Tensor, lengths: Tensor, state: State, speaker: Tensor, switches: Switches = ALL_ON
    ) -> tuple[Tensor, Seen]:
        """The first half of ``forward``: X'_n, and what ``keep`` writes; a label need not wait for that."""
        with torch.autocast(tokens.device.type, enabled=False):
            slot = state.slot(speaker)
            if switches.resets:
                slot = {name: value.expand_as(slot[name]) for name, value in self.start().items()}
            valid = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
            # Whatever stands in the padding, NaN too, must not come near a product.
            inside = self.into(self.norm(tokens.float().masked_fill(~valid[..., None], 0.0)))
            if not switches.reads:
                return tokens, Seen(inside, lengths, slot)
            residual = torch.tanh(self.gate) * self.out(self.read(inside, lengths, slot))
        return tokens + residual.to(tokens.dtype), Seen(inside, lengths, slot)

    def keep(self, seen: Seen, state: State, speaker: Tensor, switches: Switches = ALL_ON) -> State:
        """The second half of ``forward``: the state for the next utterance."""
        if not switches.writes:
            return state
        with torch.autocast(seen.inside.device.type, enabled=False):
            return state.with_slot(speaker, self.write(seen.inside, seen.lengths, seen.slot, switches))

    def count(self) -> int:
        """Parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
