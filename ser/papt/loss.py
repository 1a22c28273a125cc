"""HuBERT's masked prediction loss, without a tensor of classes x frames x width.

    P(c | f_t) = exp(cos(A f_t, e_c) / tau) / sum_c' exp(cos(A f_t, e_c') / tau)
    L = - sum over masked t of log P(l_t | f_t)

Hsu et al. 2021, equation 3, with tau = .1; A is ``final_proj`` and e_c the embedding of unit c. fairseq and
S3PRL (``compute_nce``) broadcast every frame against every embedding, the label's own once more in front, and
put minus infinity where it comes again: cross-entropy over all C classes, since cos(x, y) is a product of
normalised vectors. So one product (M, P) x (P, C) does it; a test holds loss and gradients against S3PRL.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def unit_logits(projected: Tensor, embeddings: Tensor, temperature: float) -> Tensor:
    """Cosines over temperature.

    Args:
        projected: ``(M, P)``.
        embeddings: ``(C, P)``.
        temperature: tau.

    Returns:
        ``(M, C)``, float32 under any precision, as in S3PRL.
    """
    with torch.autocast(projected.device.type, enabled=False):
        x, y = F.normalize(projected.float(), dim=-1), F.normalize(embeddings.float(), dim=-1)
        return F.linear(x, y) / temperature


def masked_prediction(
    projected: Tensor, embeddings: Tensor, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Loss of masked frames, and how many of them are predicted right.

    Args:
        projected: ``(M, P)``, the frames that are masked.
        embeddings: ``(C, P)``.
        targets: ``(M,)`` units.
        temperature: tau.

    Returns:
        The sum over frames of - log P, and the number of frames whose unit has the highest P: two scalars.
    """
    logits = unit_logits(projected, embeddings, temperature)
    return F.cross_entropy(logits, targets, reduction="sum"), (logits.argmax(1) == targets).sum()


def feature_energy(features: Tensor) -> Tensor:
    """Sum of squares of convolutional features ``(B, F, C)``, zero beyond the utterances' ends.

    Divided by the number of their values it is fairseq's feature penalty, which enters the loss ten times.
    """
    with torch.autocast(features.device.type, enabled=False):
        return features.float().square().sum()


class ScaleGradient(torch.autograd.Function):
    """The identity, with gradients multiplied by a number (``feature_grad_mult``)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, scale: float) -> Tensor:
        """``x`` as it is."""
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient times ``scale``."""
        return gradient * ctx.scale, None
