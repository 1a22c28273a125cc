"""Objectives of classes: cross-entropy, focal loss, KL divergence from the shares of raters' votes.

Each is a weighted mean over the utterances that have the label; where none has, it is 0:

    cross-entropy   sum_i u_i w_c(i) l_i / sum_i u_i w_c(i),                l_i = -log p_i,c(i)
    focal           the same of (1 - p_i,c(i))^gamma l_i                    (Lin et al., ICCV 2017, eq. 5)
    soft labels     sum_i u_i sum_k w_k q_ik log(q_ik / p_ik) / sum_i u_i sum_k w_k q_ik

with p the softmax of the scores, q the shares of the votes, w the weights of classes, u those of
utterances. Of shares that are all in one class, the last is the first. Class weights inside the KL
divergence are this project's (with them it may be below 0; its gradient is that of the weighted
cross-entropy to q).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MISSING_CLASS = -1


def class_weights(classes: Tensor, num_classes: int) -> Tensor:
    """Inverse-frequency weights N / (K N_c); a class without examples gets 0.

    Args:
        classes: (N,) class indices, ``MISSING_CLASS`` where there is no label.
        num_classes: K.
    """
    known = classes[classes != MISSING_CLASS]
    return _inverse(torch.bincount(known, minlength=num_classes).double(), len(known))


def share_weights(shares: Tensor) -> Tensor:
    """``class_weights`` with N_c the sum of the shares of class c, and N that of all.

    Args:
        shares: (N, K), NaN where there are no votes.
    """
    known = shares[~shares.isnan().any(1)].double()
    return _inverse(known.sum(0), len(known))


def _inverse(counts: Tensor, total: int) -> Tensor:
    """N / (K N_c) of counts (K,), 0 where N_c is 0."""
    weights = total / (len(counts) * torch.where(counts > 0, counts, torch.ones_like(counts)))
    return torch.where(counts > 0, weights, torch.zeros_like(weights)).float()


def class_loss(
    scores: Tensor,
    classes: Tensor,
    weights: Tensor | None = None,
    utterance_weights: Tensor | None = None,
    smoothing: float = 0.0,
    gamma: float = 0.0,
) -> Tensor:
    """Cross-entropy, or focal loss where ``gamma`` is above 0.

    Args:
        scores: (B, K), before the softmax.
        classes: (B,), ``MISSING_CLASS`` where there is no label.
        weights: (K,) of the classes; None for 1 each.
        utterance_weights: (B,), not negative; None for 1 each.
        smoothing: share of the probability that is spread over all classes.
        gamma: of the focal loss; 0 is cross-entropy, to the bit.
    """
    known = classes != MISSING_CLASS
    if not bool(known.any()):
        return scores.sum() * 0
    options = {"weight": weights, "ignore_index": MISSING_CLASS, "label_smoothing": smoothing}
    if utterance_weights is None and gamma == 0:
        return F.cross_entropy(scores, classes, **options)
    # Of each utterance w_c l already, and 0 where there is no label.
    losses = F.cross_entropy(scores, classes, reduction="none", **options)
    chosen = classes.clamp_min(0)
    if gamma:
        losses = _miss(scores, chosen).pow(gamma) * losses
    of_class = known.to(scores.dtype) if weights is None else known * weights[chosen]
    return _mean(losses, of_class, utterance_weights)


def _miss(scores: Tensor, classes: Tensor) -> Tensor:
    """1 - p of the class, (B,), as the sum of the others' p: exact near 0, never below it."""
    others = F.one_hot(classes, scores.shape[1]) == 0
    # A power below 1 has no finite gradient at 0.
    return (scores.softmax(1) * others).sum(1).clamp_min(torch.finfo(scores.dtype).tiny)


def soft_label_loss(
    scores: Tensor, shares: Tensor, weights: Tensor | None = None, utterance_weights: Tensor | None = None
) -> Tensor:
    """KL divergence of the model's probabilities from the shares of votes.

    Args:
        scores: (B, K), before the softmax.
        shares: (B, K), each row with the sum 1, or NaN where there are no votes.
        weights: (K,) of the classes; None for 1 each.
        utterance_weights: (B,), not negative; None for 1 each.
    """
    known = ~shares.isnan().any(1)
    shares = torch.where(known[:, None], shares, torch.zeros_like(shares))
    weighted = shares if weights is None else shares * weights
    # q log q, which is 0 at 0.
    losses = (torch.xlogy(weighted, shares) - weighted * scores.log_softmax(1)).sum(1)
    return _mean(losses, weighted.sum(1), utterance_weights)


def _mean(losses: Tensor, mass: Tensor, utterance_weights: Tensor | None) -> Tensor:
    """sum_i u_i l_i / sum_i u_i m_i, with all (B,); 0 where the masses m are."""
    if utterance_weights is not None:
        losses, mass = utterance_weights * losses, utterance_weights * mass
    total = mass.sum()
    return losses.sum() / total if float(total) > 0 else losses.sum() * 0
