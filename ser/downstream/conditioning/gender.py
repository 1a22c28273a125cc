"""Gender in a model: shares p over genders, and how they enter the utterance vector x.

    source   true        p = one-hot of f, m or unknown
             predicted   p = softmax(W x + b), learnt by cross-entropy as a side task
    fusion   none        x                 gender is a further task alone (``gender.task``)
             concatenate [x; p E]          E random, the head's weights on it zero
             add         x + p E           E zero
             film        (1 + p G) x + p E G, E zero (Perez et al. 2018, "FiLM")

So training starts from the model that is told nothing. Conditioning on gender, with a classifier where it is
not known, is that of Diatlova et al. (Odyssey 2024); where it enters, and how much the side task weighs,
are open there and this project's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser.downstream.conditioning.side import UNKNOWN
from ser.downstream.conditioning.side_config import GenderConfig


class GenderBranch(nn.Module):
    """Conditions utterance vectors on gender.

    Args:
        config: which asks for gender, as what is told, as a task, or both.
        size: S D of the utterance vector.
    """

    def __init__(self, config: GenderConfig, size: int) -> None:
        super().__init__()
        self.config = config
        rows = 2 if config.source == "predicted" else 3
        if config.fusion == "concatenate":
            self.shift = nn.Parameter(torch.randn(rows, config.width))
        elif config.fusion != "none":
            self.shift = nn.Parameter(torch.zeros(rows, size))
        if config.fusion == "film":
            self.scale = nn.Parameter(torch.zeros(rows, size))
        if config.classified:
            self.classifier = nn.Linear(size, 2)
            nn.init.zeros_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)

    @property
    def width(self) -> int:
        """By how much the utterance vector grows."""
        return self.config.width if self.config.fusion == "concatenate" else 0

    def shares(self, x: Tensor, gender: Tensor) -> Tensor:
        """p ``(B, 3)``, or ``(B, 2)`` where it is predicted, of ``x (B, S D)`` and labels ``(B,)``."""
        if self.config.source == "true":
            return F.one_hot(gender, 3).to(x.dtype)
        # The emotion's loss does not teach the classifier: its output is to mean gender.
        predicted = self.classifier(x).softmax(1).detach()
        if not self.training:
            return predicted
        known = F.one_hot(gender, 3)[:, :2].to(x.dtype)
        return torch.where((gender == UNKNOWN)[:, None], predicted, known)

    def forward(self, x: Tensor, gender: Tensor) -> tuple[Tensor, Tensor]:
        """``x (B, S D)`` and labels ``(B,)`` -> vectors of that shape, and what is set beside them."""
        if self.config.fusion == "none":
            return x, x.new_zeros(len(x), 0)
        p = self.shares(x, gender)
        if self.config.fusion == "concatenate":
            return x, p @ self.shift
        if self.config.fusion == "film":
            x = (1 + p @ self.scale) * x
        return x + p @ self.shift, x.new_zeros(len(x), 0)

    def loss(self, x: Tensor, gender: Tensor) -> Tensor:
        """The side task: ``weight`` times the cross-entropy of known genders; 0 where none is learnt."""
        if not self.config.classified or bool((gender == UNKNOWN).all()):
            return x.sum() * 0
        return self.config.weight * F.cross_entropy(self.classifier(x), gender, ignore_index=UNKNOWN)
