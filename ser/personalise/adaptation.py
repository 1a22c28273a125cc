"""Adaptation of a trained model to test speakers: Sridhar & Busso (IEEE TAFFC 2022, arXiv 2201.07876).

Training goes on, with a low learning rate and few epochs, on training utterances that are chosen,
repeated or weighted by c_r, how many test speakers selected their speaker r (ser/personalise/similar.py):

    unique         the utterances of speakers with c_r > 0, each once
    oversampling   the same, each c_r times
    weighting      all utterances, in the loss with weight 1 + lambda c_r: CCC of weighted moments

No label of a test speaker is looked at; all of their audio is. The paper does not tell the learning rate,
the epochs, lambda, or N: the defaults are this project's, and every result says which they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from ser.core.errors import UserError
from ser.core.seed import derive_seed
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples
from ser.downstream.fit import Fit, Task, best_epoch, pooled_metric, trained_to
from ser.downstream.saved import SavedModel
from ser.personalise.similar import Selection, Strategy, speaker_weights
from ser.personalise.starts import Starts


@dataclass(frozen=True)
class AdaptationConfig:
    """How to adapt.

    Args:
        strategy: ``unique``, ``oversampling`` or ``weighting``.
        per_speaker: one adapted model for each test speaker, in place of one for all of them.
        weight: lambda of ``weighting``.
        lr_factor: the learning rate is that of training times this.
        epochs: the most passes over the adaptation set.
        patience: stop after so many without a better validation metric.
        selection: how similar speakers are found.
    """

    strategy: Strategy = "weighting"
    per_speaker: bool = False
    weight: float = 1.0
    lr_factor: float = 0.1
    epochs: int = 10
    patience: int = 3
    selection: Selection = field(default_factory=Selection)

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: naming the option.
        """
        bounds = {
            "weight": (self.weight, 0),
            "epochs": (self.epochs, 1),
            "patience": (self.patience, 1),
            "selection.components": (self.selection.components, 1),
            "selection.neighbours": (self.selection.neighbours, 1),
            "selection.samples": (self.selection.samples, 1),
        }
        for name, (value, least) in bounds.items():
            if not value >= least:
                raise UserError(f"--{name} must be at least {least}", value=value)
        if not self.lr_factor > 0:
            raise UserError("--lr_factor must be above 0", value=self.lr_factor)
        if not 0 < self.selection.variance < 1:
            raise UserError("--selection.variance must be between 0 and 1", value=self.selection.variance)

    def describe(self, functionals: str) -> str:
        """The words of tables; they say that all of a test speaker's audio is seen.

        Args:
            functionals: tag of their upstream.
        """
        how = self.selection
        words = [
            f"adapted by {self.strategy} (after Sridhar & Busso)",
            "one model a test speaker" if self.per_speaker else "one model for all test speakers",
            f"{how.neighbours} similar speakers by {functionals}, PCA {how.variance:g}, GMM {how.components}",
            f"lr x {self.lr_factor:g}",
            f"at most {self.epochs} epochs",
        ]
        if self.strategy == "weighting":
            words.insert(1, f"lambda {self.weight:g}")
        return ", ".join(words) + " (transductive)"

    def training(self, config: TrainConfig) -> TrainConfig:
        """The configuration of the training that goes on, from that of the training before."""
        options = replace(
            config.optimizer, lr=self.lr_factor * config.optimizer.lr, epochs=self.epochs,
            patience=self.patience, epoch_steps=0,
        )  # fmt: skip
        return replace(config, optimizer=options, search={})


@dataclass(frozen=True)
class Adapted:
    """An adapted model, and how it came about.

    Attributes:
        model: the model.
        report: the chosen epoch, validation before and after, the curve: for fit.json.
    """

    model: SavedModel
    report: dict[str, Any]


# Training speakers who can be selected -> c_r.
Counts = Callable[[set[str]], Mapping[str, int]]


def adaptation_set(
    rows: Tensor, speakers: Sequence[str], counts: Mapping[str, int], config: AdaptationConfig
) -> tuple[Tensor, Tensor | None]:
    """What is learnt from.

    Args:
        rows: training rows ``(n,)``.
        speakers: the speaker of every row of the examples, N.
        counts: c_r by training speaker.
        config: strategy and lambda.

    Returns:
        Rows ``(m,)``, some left out or repeated, and weights of all rows ``(N,)`` in the loss; None for
        no weights.
    """
    names = sorted(counts)
    c = np.array([counts[name] for name in names])
    by_name = dict(zip(names, speaker_weights(c, config.strategy, config.weight).tolist(), strict=True))
    # Who is nobody's voice was selected by none.
    unselected = 1.0 if config.strategy == "weighting" else 0.0
    weights = torch.tensor([by_name.get(name, unselected) for name in speakers])
    if config.strategy != "weighting":
        return rows.repeat_interleave(weights[rows].long()), None
    return rows, None if bool((weights == 1).all()) else weights.float()


def adapt(
    starts: Starts,
    counts: Counts,
    config: AdaptationConfig,
    task: Task,
    examples: Examples,
    seed: int,
    accelerator: Accelerator,
) -> Adapted:
    """Go on training, to the best epoch by validation.

    With one split (speakers held out, or a validation set) the best epoch's model is taken. With
    several, each split's model adapts to find the epoch, and then the fold's model adapts for so long.
    Similar speakers are selected among those that a model learns from.

    Args:
        starts: the trained models.
        counts: c_r, for a choice among some training speakers.
        config: how.
        task: the outputs.
        examples: features and labels of training and validation.
        seed: of the order of batches and of dropout.
        accelerator: where it runs.

    Raises:
        UserError: when validation tells nothing.
    """
    options = config.training(starts.config)

    def fit(start: SavedModel, rows: Tensor, *name: object) -> Fit:
        among = {examples.speakers[row] for row in rows.tolist()}
        learnt, weights = adaptation_set(rows, examples.speakers, counts(among), config)
        return Fit(options, task, examples, learnt, derive_seed(seed, *name), accelerator, start, weights)

    fits = [
        fit(model, learn, "split", number)
        for number, (model, (learn, _)) in enumerate(zip(starts.models, starts.splits, strict=True))
    ]
    validation = [validate for _, validate in starts.splits]
    before = pooled_metric(fits, validation)
    best, model, _ = best_epoch(fits, validation)
    if best.epoch == 0:
        raise UserError("the validation metric is undefined in every epoch", hint="Look at its labels")
    if starts.rows is not None:
        model = trained_to(fit(starts.model, starts.rows, "all"), best.epoch)
    assert model is not None  # one split, or several and starts.rows
    found = {"epochs": best.epoch, "validation_before": before, "validation_metric": best.value}
    return Adapted(model, {**found, "curve": best.curve})
