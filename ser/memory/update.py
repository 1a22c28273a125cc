"""The update of a memory by a chunk of tokens, in closed form.

Token t of a chunk (Titans, sections 3.1 and 3.2, with all gradients taken at the chunk's first memory M_0):

    S_t = eta_t S_{t-1} - theta_t g_t            surprise, with momentum
    M_t = (1 - alpha_t) M_{t-1} + S_t            memory, with forgetting

Both are linear in M_0, S_0 and the gradients g_t = grad l(M_0; x_t). After the N tokens

    S_N = d_0 S_0 - sum_t d_t g_t                d_t = theta_t  prod_{j>t} eta_j
    M_N = a M_0 + c_0 S_0 - sum_t c_t g_t        a   = prod_j (1 - alpha_j)
                                                 c_t = theta_t sum_{s>=t} E_ts prod_{j>s} (1 - alpha_j)
                                                 E_ts = prod_{t<j<=s} eta_j

with theta_0 = 1 in d_0 and c_0. A chunk of one token is the recurrence itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Coefficients:
    """What M_0, S_0 and every gradient count after a chunk.

    Args:
        kept: a, of M_0 in M_N, ``(B,)``.
        carried: c_0, of S_0 in M_N, ``(B,)``.
        learnt: c_t, of -g_t in M_N, ``(B, N)``.
        kept_surprise: d_0, of S_0 in S_N, ``(B,)``.
        surprise: d_t, of -g_t in S_N, ``(B, N)``.
    """

    kept: Tensor
    carried: Tensor
    learnt: Tensor
    kept_surprise: Tensor
    surprise: Tensor


def coefficients(step: Tensor, momentum: Tensor, forgetting: Tensor, valid: Tensor) -> Coefficients:
    """The coefficients of a chunk; tokens that are not valid leave memory and surprise as they are.

    Args:
        step: theta_t, ``(B, N)``.
        momentum: eta_t, ``(B, N)``, 0 allowed.
        forgetting: alpha_t, ``(B, N)``, 0 allowed.
        valid: ``(B, N)``, False for padding.
    """
    one = torch.ones_like(step)
    eta = torch.where(valid, momentum, one)
    keep = torch.where(valid, 1 - forgetting, one)
    theta = torch.where(valid, step, 0 * one)
    count = step.shape[1]
    # after[s] = prod_{j>s} (1 - alpha_j), s = 1 ... N; a step of padding adds no surprise to the memory.
    after = torch.cat([keep.flip(1).cumprod(1).flip(1)[:, 1:], one[:, :1]], dim=1)
    adds = torch.where(valid, after, 0 * one)
    # through[t, s] = prod_{t<j<=s} eta_j for s >= t, t = 0 ... N, s = 1 ... N.
    t = torch.arange(count + 1, device=step.device)[:, None]
    s = torch.arange(1, count + 1, device=step.device)
    through = torch.where(s > t, eta[:, None], one[:, None]).cumprod(2) * (s >= t)
    reaches = (through * adds[:, None]).sum(2)  # (B, N + 1)
    return Coefficients(
        kept=keep.prod(1),
        carried=reaches[:, 0],
        learnt=theta * reaches[:, 1:],
        kept_surprise=through[:, 0, -1],
        surprise=theta * through[:, 1:, -1],
    )
