"""Gender and text together beside a model on features, and a head that makes room for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.downstream.conditioning.gender import GenderBranch
from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.text import TextBranch
from ser.downstream.transformer import TransformerInterpreter


class SideBranch(nn.Module):
    """What a model is told beside the sound; gender first, which may change the utterance vector.

    Args:
        options: of which one at least is on.
        shape: (S, L, D) of the features.
    """

    def __init__(self, options: SideOptions, shape: Sequence[int]) -> None:
        super().__init__()
        self.options = options
        statistics, _, dim = shape
        self.gender = self.text = None
        if options.gender.on:
            self.gender = GenderBranch(options.gender, statistics * dim)
        if options.text.fusion != "none":
            self.text = TextBranch(options.text, options.text_dim, shape)

    @property
    def widths(self) -> list[int]:
        """By how much the utterance vector grows, part by part."""
        return [part.width for part in (self.gender, self.text) if part is not None and part.width]

    def forward(self, merged: Tensor, standardised: Tensor, side: Side | None) -> tuple[Tensor, Tensor]:
        """Condition the merged statistics.

        Args:
            merged: (B, S, D).
            standardised: (B, S, L, D).
            side: of these utterances; None where nothing is known.

        Returns:
            (B, S, D), and what is set beside the utterance vector (B, sum of widths).
        """
        side = side or Side.unknown(len(merged), self.options, merged.device)
        x, beside = merged.flatten(1), []
        if self.gender is not None:
            x, vector = self.gender(x, side.gender)
            beside.append(vector)
        if self.text is not None:
            beside.append(self.text(side.text, standardised))
        return x.view_as(merged), torch.cat(beside, dim=1)

    def loss(self, merged: Tensor, side: Side) -> Tensor:
        """The side tasks' weighted loss, of merged statistics (B, S, D)."""
        return merged.sum() * 0 if self.gender is None else self.gender.loss(merged.flatten(1), side.gender)


def widen(head: nn.Module, widths: Sequence[int]) -> None:
    """Let a head read further parts of the vector, behind the others; its weights on them are zero.

    So its output is at first what it was. A Transformer reads each part as a token, which is zero at first.

    Args:
        head: of ``make_head``.
        widths: of the parts.
    """
    if isinstance(head, TransformerInterpreter):
        for width in widths:
            project = nn.Linear(width, head.last.in_features)
            nn.init.zeros_(project.weight)
            nn.init.zeros_(project.bias)
            head.tokens.append(project)
            head.sizes.append(width)
        return
    assert isinstance(head, nn.Sequential)
    place, first = next((n, each) for n, each in enumerate(head) if isinstance(each, nn.Linear))
    wider = nn.Linear(first.in_features + sum(widths), first.out_features)
    with torch.no_grad():
        wider.weight[:, : first.in_features] = first.weight
        wider.weight[:, first.in_features :] = 0
        wider.bias.copy_(first.bias)
    head[place] = wider
    if isinstance(head[0], nn.BatchNorm1d) and place:  # of the vector itself
        head[0] = nn.BatchNorm1d(wider.in_features, affine=False)
