"""Objectives: weighted cross-entropy for classes, 1 - CCC for attributes; a missing label adds nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ser.downstream.config import TaskConfig

MISSING_CLASS = -1


def class_weights(classes: Tensor, num_classes: int) -> Tensor:
    """Inverse-frequency weights N / (K N_c); a class without examples gets 0.

    Args:
        classes: (N,) class indices, ``MISSING_CLASS`` where there is no label.
        num_classes: K.
    """
    known = classes[classes != MISSING_CLASS]
    counts = torch.bincount(known, minlength=num_classes).double()
    weights = len(known) / (num_classes * counts.clamp_min(1))
    return torch.where(counts > 0, weights, torch.zeros_like(weights)).float()


def concordance_cc(prediction: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Concordance correlation coefficient of a batch (Lin 1989), 0 where neither varies.

    CCC = 2 cov(x, y) / (var x + var y + (mean x - mean y)^2), with population moments, weighted ones
    where utterances have weights: an utterance of weight 2 counts as two.

    Args:
        prediction: (B,).
        target: (B,).
        weights: (B,), not negative and not all 0; None for 1 each.
    """
    mean_x, mean_y = _mean(prediction, weights), _mean(target, weights)
    x, y = prediction - mean_x, target - mean_y
    spread = _mean(x.square(), weights) + _mean(y.square(), weights) + (mean_x - mean_y).square()
    return 2 * _mean(x * y, weights) / spread.clamp_min(1e-8)


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """sum_i w_i v_i / sum_i w_i, both (B,)."""
    return values.mean() if weights is None else (weights * values).sum() / weights.sum()


def ccc_loss(predictions: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over attributes of 1 - CCC, each over the utterances that have its label.

    An attribute with fewer than two labels (of weight above 0) in the batch has no CCC and is left out
    of the mean.

    Args:
        predictions: (B, A).
        targets: (B, A), NaN where a label is missing.
        weights: (B,) of the utterances, not negative; None for 1 each.
    """
    losses = []
    for prediction, target in zip(predictions.unbind(1), targets.unbind(1), strict=True):
        known = ~target.isnan()
        if weights is not None:
            known = known & (weights > 0)
        if int(known.sum()) >= 2:
            some = None if weights is None else weights[known]
            losses.append(1 - concordance_cc(prediction[known], target[known], some))
    return torch.stack(losses).mean() if losses else predictions.sum() * 0


def task_loss(
    outputs: Tensor,
    classes: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    task: TaskConfig,
    utterance_weights: Tensor | None = None,
) -> Tensor:
    """The objective of a batch.

    Args:
        outputs: (B, K + A), class scores first.
        classes: (B,) indices, ``MISSING_CLASS`` where there is no label.
        targets: (B, A), NaN where a label is missing, in the outputs' units.
        weights: (K,) class weights, or None for none.
        task: which terms, smoothing and weight.
        utterance_weights: (B,), not negative; None for 1 each.
    """
    num_classes = outputs.shape[1] - targets.shape[1]
    loss = outputs.sum() * 0
    if num_classes and bool((classes != MISSING_CLASS).any()):
        scores = outputs[:, :num_classes]
        loss = loss + _cross_entropy(scores, classes, weights, task.label_smoothing, utterance_weights)
    if targets.shape[1]:
        weight = task.attribute_weight if num_classes else 1.0
        loss = loss + weight * ccc_loss(outputs[:, num_classes:], targets, utterance_weights)
    return loss


def _cross_entropy(
    scores: Tensor,
    classes: Tensor,
    weights: Tensor | None,
    smoothing: float,
    utterance_weights: Tensor | None,
) -> Tensor:
    """Weighted mean of -log p over labelled utterances: sum_i u_i w_c(i) l_i / sum_i u_i w_c(i).

    Args:
        scores: (B, K).
        classes: (B,).
        weights: (K,), or None.
        smoothing: share of the probability spread over all classes.
        utterance_weights: (B,), or None.
    """
    options = {"weight": weights, "ignore_index": MISSING_CLASS, "label_smoothing": smoothing}
    if utterance_weights is None:
        return F.cross_entropy(scores, classes, **options)
    # Of each utterance w_c l already, and 0 where there is no label.
    losses = F.cross_entropy(scores, classes, reduction="none", **options)
    known = (classes != MISSING_CLASS).to(scores.dtype)
    of_class = known if weights is None else known * weights[classes.clamp_min(0)]
    total = (utterance_weights * of_class).sum()
    return (utterance_weights * losses).sum() / total if float(total) > 0 else scores.sum() * 0
