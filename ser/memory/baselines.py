"""What a memory is compared with: simpler histories of the same interface, at the same number of parameters.

Each keeps something of the utterances' vectors u_n = mean of the tokens inside, and reads it beside the
utterance's own by one hidden layer: r = silu(W [h; u_n]), the same for all tokens of the utterance.

    mean           h = (u_1 + ... + u_{n-1}) / (n - 1)
    gru            h = GRU(u_{n-1}, h of before)
    concatenated   h = [u_{n-1}; ...; u_{n-span}], 0 where there was none
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser.core.errors import UserError
from ser.downstream.pooling import masked_mean
from ser.memory.config import HistoryConfig, MemoryConfig
from ser.memory.history import History, Slot, Switches
from ser.memory.neural import NeuralMemory

WIDEST = 1 << 14


class VectorHistory(History):
    """A history of utterance vectors.

    Args:
        dim: D of the tokens.
        width: W of the vectors inside.
        kept: size of h, in vectors.
    """

    def __init__(self, dim: int, width: int, kept: int = 1) -> None:
        super().__init__(dim, width)
        self.reader = nn.Linear((kept + 1) * width, width)

    @abstractmethod
    def summary(self, slot: Slot) -> Tensor:
        """h of what was before, ``(B, kept W)``."""

    @abstractmethod
    def remember(self, u: Tensor, slot: Slot) -> dict[str, Tensor]:
        """The slot after an utterance ``u (B, W)``."""

    def read(self, inside: Tensor, lengths: Tensor, slot: Slot) -> Tensor:
        """r, for every token alike."""
        u = masked_mean(inside, lengths)
        r = F.silu(self.reader(torch.cat([self.summary(slot), u], dim=1)))
        return r[:, None].expand_as(inside)

    def write(self, inside: Tensor, lengths: Tensor, slot: Slot, switches: Switches) -> dict[str, Tensor]:
        """Remember the utterance's vector."""
        return self.remember(masked_mean(inside, lengths), slot)


class RunningMean(VectorHistory):
    """Mean of all vectors so far."""

    def start(self) -> dict[str, Tensor]:
        """Sum and count, both 0."""
        return {"sum": self.gate.new_zeros(self.width), "count": self.gate.new_zeros(1)}

    def summary(self, slot: Slot) -> Tensor:
        """The mean, 0 before the first utterance."""
        return slot["sum"] / slot["count"].clamp_min(1)

    def remember(self, u: Tensor, slot: Slot) -> dict[str, Tensor]:
        """Add the vector."""
        return {"sum": slot["sum"] + u, "count": slot["count"] + 1}


class Gru(VectorHistory):
    """A gated recurrent unit over utterances."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim, width)
        self.cell = nn.GRUCell(width, width)

    def start(self) -> dict[str, Tensor]:
        """h = 0."""
        return {"hidden": self.gate.new_zeros(self.width)}

    def summary(self, slot: Slot) -> Tensor:
        """h."""
        return slot["hidden"]

    def remember(self, u: Tensor, slot: Slot) -> dict[str, Tensor]:
        """One step."""
        return {"hidden": self.cell(u, slot["hidden"])}


class Concatenated(VectorHistory):
    """The last vectors side by side, the latest first."""

    def __init__(self, dim: int, width: int, span: int) -> None:
        super().__init__(dim, width, span)
        self.span = span

    def start(self) -> dict[str, Tensor]:
        """Zeros."""
        return {"last": self.gate.new_zeros(self.span, self.width)}

    def summary(self, slot: Slot) -> Tensor:
        """All of them."""
        return slot["last"].flatten(1)

    def remember(self, u: Tensor, slot: Slot) -> dict[str, Tensor]:
        """The latest takes the first place, the oldest goes."""
        return {"last": torch.cat([u[:, None], slot["last"][:, :-1]], dim=1)}


def make_history(config: HistoryConfig, memory: MemoryConfig, dim: int) -> History | None:
    """The history that the configuration names; None for none.

    Args:
        config: kind and size.
        memory: the neural memory, and the number of parameters at which the others are compared with it.
        dim: D of the tokens.

    Raises:
        UserError: when no width has so few parameters.
    """
    if config.kind == "none":
        return None
    if config.kind == "memory":
        return NeuralMemory(dim, memory)
    width = config.width
    if config.parameters:
        most = config.parameters
        width = fitting_width(config, dim, count_memory(memory, dim) if most == "memory" else most)
    return _build(config, dim, width)


def count_memory(memory: MemoryConfig, dim: int) -> int:
    """Parameters of the neural memory."""
    with torch.device("meta"):
        return NeuralMemory(dim, memory).count()


def fitting_width(config: HistoryConfig, dim: int, parameters: int) -> int:
    """The greatest width with at most so many parameters.

    Raises:
        UserError: when a width of 1 has more.
    """

    def count(width: int) -> int:
        with torch.device("meta"):
            return _build(config, dim, width).count()

    low, high = 0, 1
    while high < WIDEST and count(high) <= parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    if not low:
        raise UserError(
            f"history.kind {config.kind} of width 1 has {count(1)} parameters",
            value=f"history.parameters: {parameters}", hint="Allow more, or 0 for history.width",
        )  # fmt: skip
    return low


def _build(config: HistoryConfig, dim: int, width: int) -> History:
    """The history of another kind than memory with this width."""
    if config.kind == "mean":
        return RunningMean(dim, width)
    if config.kind == "gru":
        return Gru(dim, width)
    return Concatenated(dim, width, config.span)
