"""Log-likelihoods of several answers to one prompt, in one pass.

    log p(w_1 .. w_m, end | prompt) = sum_i log p(w_i | prompt, w_1 .. w_{i-1}) + log p(end | prompt, w)

The answers stand behind the prompt, one after the other. Each token sees the prompt and its own answer up
to itself, at the positions it would have alone; so the prompt is computed once and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packed:
    """A prompt with S tokens of answers behind it.

    Args:
        tokens: of the answers, ``(1, S)``.
        positions: of prompt and answers, ``(B, T + S)``.
        mask: what is added to attention, 0 or the least number, ``(B, 1, T + S, T + S)``.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor


class Answers:
    """K answers as one row of tokens.

    Args:
        words: token numbers of each answer, at least one.
        end: the end of turn, which belongs to the answer.
    """

    def __init__(self, words: Sequence[Sequence[int]], end: int) -> None:
        self.tokens = torch.tensor([token for word in words for token in word])
        self.owners = torch.tensor([k for k, word in enumerate(words) for _ in word])
        self.offsets = torch.tensor([i for word in words for i in range(len(word))])
        # What each of the S tokens is followed by, and what follows the prompt.
        self.next = torch.tensor([token for word in words for token in (*word[1:], end)])
        self.first = torch.tensor([word[0] for word in words])
        self.longest = max(len(word) for word in words) + 1

    def behind(self, ends: Tensor, longest: int, dtype: torch.dtype) -> Packed:
        """The answers behind prompts of ``ends (B,)`` tokens that are padded to ``longest``, T."""
        device = ends.device
        owners, offsets = self.owners.to(device), self.offsets.to(device)
        before = torch.arange(longest, device=device)
        positions = torch.cat([before.expand(len(ends), -1), ends[:, None] + offsets], dim=1)
        size = positions.shape[1]
        sees = torch.zeros(len(ends), size, size, dtype=torch.bool, device=device)
        sees[:, :longest, :longest] = before[:, None] >= before
        sees[:, longest:, :longest] = (before < ends[:, None])[:, None]
        sees[:, longest:, longest:] = (owners[:, None] == owners) & (offsets[:, None] >= offsets)
        mask = torch.zeros(sees.shape, dtype=dtype, device=device)
        mask = mask.masked_fill(~sees, torch.finfo(dtype).min)[:, None]
        return Packed(tokens=self.tokens.to(device)[None], positions=positions, mask=mask)

    def scores(self, log_likelihoods: Tensor) -> Tensor:
        """Of each answer ``(B, K)``, from the log-likelihoods of the vocabulary ``(B, 1 + S, V)``.

        The first of the 1 + S positions is the prompt's last; the others are those of the answers.
        """
        device = log_likelihoods.device
        first = log_likelihoods[:, 0, self.first.to(device)]
        later = log_likelihoods[:, 1:].gather(-1, self.next.to(device).expand(len(first), -1)[..., None])
        return first.index_add(1, self.owners.to(device), later[..., 0])
