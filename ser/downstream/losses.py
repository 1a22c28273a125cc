"""The objective of a batch: terms for classes, votes and attributes; a missing label adds nothing.

    L = w_e L_class + w_s KL(votes, p) + w_a mean over attributes of (1 - CCC)

with the terms of classes as ``class_losses`` has them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ser.downstream.class_losses import class_loss, soft_label_loss
from ser.downstream.config import TaskConfig


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
    shares: Tensor | None = None,
    share_weights: Tensor | None = None,
) -> Tensor:
    """The objective of a batch.

    Args:
        outputs: (B, K + A), class scores first.
        classes: (B,) indices, ``MISSING_CLASS`` where there is no label.
        targets: (B, A), NaN where a label is missing, in the outputs' units.
        weights: (K,) class weights, or None for none.
        task: which terms, their options and weights.
        utterance_weights: (B,), not negative; None for 1 each.
        shares: (B, K) of raters' votes, NaN where there are none; None where they are not learnt.
        share_weights: (K,) class weights of the votes, or None for none.
    """
    num_classes = outputs.shape[1] - targets.shape[1]
    scores, values = outputs[:, :num_classes], outputs[:, num_classes:]
    loss = outputs.sum() * 0
    if num_classes and task.emotion_weight:
        hard = class_loss(scores, classes, weights, utterance_weights, task.label_smoothing, task.focal_gamma)
        loss = loss + task.emotion_weight * hard
    if num_classes and shares is not None:
        loss = loss + task.soft_weight * soft_label_loss(scores, shares, share_weights, utterance_weights)
    if targets.shape[1]:
        weight = task.attribute_weight if num_classes else 1.0
        loss = loss + weight * ccc_loss(values, targets, utterance_weights)
    return loss
