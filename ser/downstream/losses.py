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


def concordance_cc(prediction: Tensor, target: Tensor) -> Tensor:
    """Concordance correlation coefficient of a batch (Lin 1989), 0 where neither varies.

    CCC = 2 cov(x, y) / (var x + var y + (mean x - mean y)^2), with population moments.

    Args:
        prediction: (B,).
        target: (B,).
    """
    shift = prediction.mean() - target.mean()
    x, y = prediction - prediction.mean(), target - target.mean()
    spread = x.square().mean() + y.square().mean() + shift.square()
    return 2 * (x * y).mean() / spread.clamp_min(1e-8)


def ccc_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean over attributes of 1 - CCC, each over the utterances that have its label.

    An attribute with fewer than two labels in the batch has no CCC and is left out of the mean.

    Args:
        predictions: (B, A).
        targets: (B, A), NaN where a label is missing.
    """
    losses = []
    for prediction, target in zip(predictions.unbind(1), targets.unbind(1), strict=True):
        known = ~target.isnan()
        if int(known.sum()) >= 2:
            losses.append(1 - concordance_cc(prediction[known], target[known]))
    return torch.stack(losses).mean() if losses else predictions.sum() * 0


def task_loss(
    outputs: Tensor, classes: Tensor, targets: Tensor, weights: Tensor | None, task: TaskConfig
) -> Tensor:
    """The objective of a batch.

    Args:
        outputs: (B, K + A), class scores first.
        classes: (B,) indices, ``MISSING_CLASS`` where there is no label.
        targets: (B, A), NaN where a label is missing, in the outputs' units.
        weights: (K,) class weights, or None for none.
        task: which terms, smoothing and weight.
    """
    num_classes = outputs.shape[1] - targets.shape[1]
    loss = outputs.sum() * 0
    if num_classes and bool((classes != MISSING_CLASS).any()):
        loss = loss + F.cross_entropy(
            outputs[:, :num_classes],
            classes,
            weight=weights,
            ignore_index=MISSING_CLASS,
            label_smoothing=task.label_smoothing,
        )
    if targets.shape[1]:
        weight = task.attribute_weight if num_classes else 1.0
        loss = loss + weight * ccc_loss(outputs[:, num_classes:], targets)
    return loss
