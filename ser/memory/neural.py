"""The neural memory of Titans (Behrouz, Zhong, Mirrokni, arXiv 2501.00663) as a history.

    Z       = [P; W_in norm(X_n)]                                    persistent tokens first
    k, v, q = conv(Z W_K), conv(Z W_V), conv(Z W_Q)                  SiLU after each; q and k of length 1
    r       = M_{n-1}(q)                                             at the audio rows of Z
    S_t     = eta_t S_{t-1} - theta_t grad l(M; x_t)                 l = || M(k) - v ||^2
    M_t     = (1 - alpha_t) M_{t-1} + S_t                            over the chunks of Z, see ``update``

with theta, eta and alpha by sigmoids of Z. M's first weights are learned; S starts at zero.

Open in Titans and chosen here: a chunk's step is divided among its tokens, so that the sum of steps does not
grow with the chunk; gates start at the same value for every token; M has no bias and no residual, and its
hidden layers are scaled to length 1 (``inner``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser.memory.config import MemoryConfig
from ser.memory.history import History, Slot, Switches
from ser.memory.inner import recall_each, weighted_gradients
from ser.memory.update import coefficients


class NeuralMemory(History):
    """Fast weights that are written while the conversation goes on.

    Args:
        dim: D of the audio tokens.
        config: sizes and rates.
    """

    def __init__(self, dim: int, config: MemoryConfig) -> None:
        super().__init__(dim, config.width)
        self.config, width = config, config.width
        self.persistent = nn.Parameter(torch.randn(config.persistent, width) / math.sqrt(width))
        self.first = nn.ParameterList(
            nn.Parameter(torch.randn(width, width) / math.sqrt(width)) for _ in range(config.depth)
        )
        self.keys, self.values, self.queries = (Projection(width, config.kernel) for _ in range(3))
        self.step = Rate(width, config.step)
        self.momentum = Rate(width, config.momentum) if config.momentum else None
        self.forgetting = Rate(width, config.forgetting) if config.forgetting else None

    def start(self) -> dict[str, Tensor]:
        """M_0 and S_0 = 0: ``memory<l>`` and ``surprise<l>``, ``(W, W)`` each."""
        memory = {f"memory{number}": weight for number, weight in enumerate(self.first)}
        return memory | {f"surprise{number}": torch.zeros_like(w) for number, w in enumerate(self.first)}

    def read(self, inside: Tensor, lengths: Tensor, slot: Slot) -> Tensor:
        """r = M_{n-1}(q) at the audio rows."""
        queries = F.normalize(self.queries(self._sequence(inside)), dim=-1)
        return recall_each(self._layers(slot, "memory"), queries)[:, self.config.persistent :]

    def write(self, inside: Tensor, lengths: Tensor, slot: Slot, switches: Switches) -> dict[str, Tensor]:
        """M_n and S_n, chunk by chunk."""
        z = self._sequence(inside)
        keys, values = F.normalize(self.keys(z), dim=-1), self.values(z)
        valid = torch.arange(z.shape[1], device=z.device) < (lengths + self.config.persistent)[:, None]
        memory, surprise = self._layers(slot, "memory"), self._layers(slot, "surprise")
        for begin in range(0, z.shape[1], self.config.chunk):
            chunk = slice(begin, begin + self.config.chunk)
            rates = self._rates(z[:, chunk], valid[:, chunk], switches)
            memory, surprise = write_chunk(
                memory, surprise, keys[:, chunk], values[:, chunk], *rates, valid[:, chunk]
            )
        names = range(self.config.depth)
        return {f"memory{n}": memory[n] for n in names} | {f"surprise{n}": surprise[n] for n in names}

    def _sequence(self, inside: Tensor) -> Tensor:
        """Z ``(B, P + N, W)``."""
        return torch.cat([self.persistent.expand(len(inside), -1, -1), inside], dim=1)

    def _layers(self, slot: Slot, name: str) -> list[Tensor]:
        """Fast weights by layer, ``(B, W, W)`` each."""
        return [slot[f"{name}{number}"] for number in range(self.config.depth)]

    def _rates(self, z: Tensor, valid: Tensor, switches: Switches) -> tuple[Tensor, Tensor, Tensor]:
        """theta, eta and alpha of a chunk's tokens, ``(B, C)`` each."""
        if self.config.gates == "chunk":
            count = valid.sum(1, keepdim=True).clamp_min(1)
            mean = (z * valid[..., None]).sum(1) / count
            z = mean[:, None].expand_as(z)
        none = z.new_zeros(z.shape[:2])
        momentum = self.momentum(z) if self.momentum is not None and switches.momentum else none
        forgetting = self.forgetting(z) if self.forgetting is not None and switches.forgetting else none
        return self.step(z), momentum, forgetting


def write_chunk(
    memory: list[Tensor],
    surprise: list[Tensor],
    keys: Tensor,
    values: Tensor,
    step: Tensor,
    momentum: Tensor,
    forgetting: Tensor,
    valid: Tensor,
) -> tuple[list[Tensor], list[Tensor]]:
    """(M_N, S_N) of (M_0, S_0) after a chunk of N tokens, by the closed form of ``update``.

    Args:
        memory: M_0, layers of ``(B, W, W)``.
        surprise: S_0, the same.
        keys: ``(B, N, W)``.
        values: ``(B, N, W)``.
        step: theta, of the chunk, ``(B, N)``; a token's is the N-th part of it.
        momentum: eta, ``(B, N)``.
        forgetting: alpha, ``(B, N)``.
        valid: ``(B, N)``, False for padding, of which nothing is written.
    """
    step = step / valid.sum(1, keepdim=True).clamp_min(1)
    c = coefficients(step, momentum, forgetting, valid)
    learnt, surprising = weighted_gradients(memory, keys, values, c.learnt, c.surprise)

    def times(factor: Tensor, weight: Tensor) -> Tensor:
        return factor[:, None, None] * weight

    after = [
        times(c.kept, m) + times(c.carried, s) - g for m, s, g in zip(memory, surprise, learnt, strict=True)
    ]
    return after, [times(c.kept_surprise, s) - g for s, g in zip(surprise, surprising, strict=True)]


class Projection(nn.Module):
    """Linear, causal depthwise convolution, SiLU: ``(B, N, W)`` -> ``(B, N, W)``.

    Args:
        width: W.
        kernel: of the convolution, which starts as the identity; 1 is none.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.kernel = kernel
        self.convolution = None
        if kernel > 1:
            self.convolution = nn.Conv1d(width, width, kernel, groups=width, bias=False)
            with torch.no_grad():
                self.convolution.weight.zero_()[..., -1] = 1.0

    def forward(self, z: Tensor) -> Tensor:
        """Token t sees tokens t - kernel + 1 to t."""
        x = self.linear(z)
        if self.convolution is not None:
            x = self.convolution(F.pad(x.mT, (self.kernel - 1, 0))).mT
        return F.silu(x)


class Rate(nn.Module):
    """A rate between 0 and 1 that follows from each token, the same for all at the start.

    Args:
        width: W.
        value: at the start.
    """

    def __init__(self, width: int, value: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.constant_(self.linear.bias, math.log(value / (1 - value)))

    def forward(self, z: Tensor) -> Tensor:
        """``(B, N, W)`` -> ``(B, N)``."""
        return self.linear(z).squeeze(-1).sigmoid()
