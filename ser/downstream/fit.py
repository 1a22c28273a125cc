"""Training one model, and choosing among several on speakers that none of them has heard."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ser.core.log import get_logger
from ser.core.seed import derive_seed, seed_everything
from ser.data.speakers import is_known
from ser.downstream.class_losses import MISSING_CLASS, class_weights, share_weights
from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.voices import Voices
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples, Labels
from ser.downstream.heads import has_batchnorm, settle_batchnorm
from ser.downstream.losses import task_loss
from ser.downstream.model import UtteranceModel
from ser.downstream.saved import SavedModel, fit_scale
from ser.engine.loop import BestEpoch, train_epochs
from ser.metrics.categorical import confusion, uar, wa
from ser.metrics.continuous import ccc

logger = get_logger(__name__)

# Rows that go through the model at once when nothing is learnt.
PREDICTION_BATCH = 4096
# Up to this size, standardised features of all rows are kept by every model being trained.
KEPT_BYTES = 2**30


@dataclass
class Task:
    """The model's outputs by name.

    Args:
        classes: names of the first K outputs.
        attributes: names of the A outputs after them.
    """

    classes: list[str]
    attributes: list[str]

    @property
    def outputs(self) -> int:
        """K + A."""
        return len(self.classes) + len(self.attributes)


class Fit:
    """One model being trained on some rows of the examples.

    Args:
        config: its options.
        task: its outputs.
        examples: features and labels.
        rows: the rows to learn from, (n,).
        seed: of initial values, order of batches and dropout.
        accelerator: where it runs.
        start: a trained model to go on from, whose standardisation and scales are kept; None for a new one.
        utterance_weights: weight of every utterance of the examples in the loss, (N,); None for 1 each.
    """

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        examples: Examples,
        rows: Tensor,
        seed: int,
        accelerator: Accelerator,
        start: SavedModel | None = None,
        utterance_weights: Tensor | None = None,
    ) -> None:
        seed_everything(seed)
        self.config, self.task, self.examples, self.rows = config, task, examples, rows
        self.accelerator = accelerator
        self._order = torch.Generator().manual_seed(seed)
        self._hides = torch.Generator().manual_seed(derive_seed(seed, "hide"))
        self._passes = itertools.chain.from_iterable(self._pass() for _ in itertools.count())
        model = self._new_model() if start is None else copy.deepcopy(start.model)
        options = config.optimizer
        groups = model.parameter_groups(options.lr, options.weight_decay, options.layer_weights_lr_factor)
        self.model, self.optimizer = accelerator.prepare(model, torch.optim.AdamW(groups))
        if start is None:
            scales = [fit_scale(column) for column in examples.targets[rows].T]
        else:
            scales = [start.attributes[name] for name in task.attributes]
        self.result = SavedModel(
            accelerator.unwrap_model(self.model),
            config.model,
            examples.pooled.shape,
            task.classes,
            dict(zip(task.attributes, scales, strict=True)),
            config.speaker if start is None else start.speaker,
            self._side_options() if start is None else start.side,
        )
        mean = torch.tensor([scale.mean for scale in scales])
        deviation = torch.tensor([scale.deviation for scale in scales])
        self._targets = ((examples.targets - mean) / deviation).to(accelerator.device)
        self._classes = examples.classes.to(accelerator.device)
        self._standardised = self._standardise_all()
        self._voices = self._hear_speakers()
        self._utterance_weights = None
        if utterance_weights is not None:
            self._utterance_weights = utterance_weights.to(accelerator.device)
        self._weights, self._share_weights = None, None
        self._shares = None if examples.shares is None else examples.shares.to(accelerator.device)
        if task.classes and config.task.class_weights == "balanced":
            self._weights = class_weights(examples.classes[rows], len(task.classes)).to(accelerator.device)
            if examples.shares is not None:
                self._share_weights = share_weights(examples.shares[rows]).to(accelerator.device)

    def epochs(self) -> Iterator[float]:
        """Train epoch by epoch; yields each epoch's mean loss."""
        options = self.config.optimizer
        for loss in train_epochs(
            self.model, self.optimizer, self._batches, self._loss, self.accelerator,
            options.epochs, options.gradient_clipping,
        ):  # fmt: skip
            self._settle()
            yield loss

    def _new_model(self) -> UtteranceModel:
        """A model with random values, standardising by the moments or quantiles of the rows."""
        pooled = self.examples.pooled
        names = sorted({each for row in self.rows.tolist() if is_known(each := self.examples.speakers[row])})
        speaker = self.config.speaker
        side = self._side_options()
        model = UtteranceModel(self.config.model, pooled.shape, self.task.outputs, speaker, names, side)
        if model.side is not None and model.side.text is not None:
            model.side.text.embedding.fit(self.examples.side.text[self.rows])
        if self.config.model.standardise in ("global", "quantile"):
            model.standardiser.fit(pooled.take(part) for part in self.rows.split(PREDICTION_BATCH))
        return model

    def _side_options(self) -> SideOptions:
        """What the model is told beside the sound."""
        side = self.examples.side
        dim = 0 if side is None or side.text is None else side.text.shape[1]
        return SideOptions(self.config.gender, self.config.text, dim)

    @torch.inference_mode()
    def predict(self, rows: Tensor) -> Tensor:
        """Class probabilities, then attributes in the label's units: (n,) -> (n, K + A)."""
        self.model.eval()
        parts = rows.split(PREDICTION_BATCH)
        vectors = (self._vectors(self.result.model, part) for part in parts)
        return torch.cat([self.result.predict(part).cpu() for part in vectors])

    def _batches(self) -> Iterator[Tensor]:
        """An epoch's batches: a whole pass over the data, or so many steps, which go on where they were."""
        steps = self.config.optimizer.epoch_steps
        return itertools.islice(self._passes, steps) if steps else self._pass()

    def _pass(self) -> Iterator[Tensor]:
        """Shuffled rows, batch by batch; a last batch of one, which has no CCC, joins the one before."""
        shuffled = self.rows[torch.randperm(len(self.rows), generator=self._order)]
        batches = list(shuffled.split(self.config.optimizer.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        yield from batches

    def _loss(self, model: torch.nn.Module, rows: Tensor) -> Tensor:
        """The objective of one batch."""
        side = self._side(rows)
        told = side and side.hidden(self.result.side, self._hides)
        loss = task_loss(
            model.head(self._vectors(model, rows, told)),
            self._classes[rows],
            self._targets[rows],
            self._weights,
            self.config.task,
            None if self._utterance_weights is None else self._utterance_weights[rows],
            None if self._shares is None else self._shares[rows],
            self._share_weights,
        )
        return loss if side is None else loss + model.side_loss(self._features(rows), side)

    def _vectors(self, model: UtteranceModel, rows: Tensor, side: Side | None = None) -> Tensor:
        """What the head sees of some rows: (n,) -> (n, S D), or wider; ``side``: if not all that is known."""
        side = side or self._side(rows)
        return model.merge(self._features(rows), model.speaker_vectors(self._voices, rows), side)

    def _side(self, rows: Tensor) -> Side | None:
        """Gender and text of some rows; None for models without."""
        return self.examples.side and self.examples.side.take(rows, self.accelerator.device)

    @torch.no_grad()
    def _hear_speakers(self) -> Voices | None:
        """Speakers' statistics, of all their utterances among the examples; None if the model wants none."""
        if self.result.model.speaker is None:
            return None
        parts = torch.arange(len(self.examples)).split(PREDICTION_BATCH)
        features = (self._features(part) for part in parts)
        return Voices.of(features, self.examples.speakers, self.result.model.speaker.reduce)

    @torch.no_grad()
    def _settle(self) -> None:
        """What of the model follows from its weights: speakers' voices, BatchNorm's statistics."""
        model = self.result.model
        model.remember(self._voices)
        if model.side is not None:
            model.side.eval()
        if has_batchnorm(model.head):
            # One batch, since the statistics are to be those of all utterances.
            parts = self.rows.split(PREDICTION_BATCH)
            settle_batchnorm(model.head, torch.cat([self._vectors(model, part) for part in parts]))

    @torch.no_grad()
    def _standardise_all(self) -> Tensor | None:
        """Standardised features of all rows (N, S, L, D), fixed while training; None if too large."""
        pooled = self.examples.pooled
        if 4 * math.prod(pooled.shape) * len(pooled) > KEPT_BYTES:
            return None
        parts = torch.arange(len(pooled)).split(PREDICTION_BATCH)
        return torch.cat([self._standardise(part) for part in parts])

    def _standardise(self, rows: Tensor) -> Tensor:
        pooled = self.examples.pooled.take(rows).to(self.accelerator.device)
        return self.result.model.standardiser(pooled)

    def _features(self, rows: Tensor) -> Tensor:
        """Standardised features of some rows: (n,) -> (n, S, L, D)."""
        if self._standardised is None:
            return self._standardise(rows)
        return self._standardised.index_select(0, rows.to(self._standardised.device))


@dataclass
class Choice:
    """What validation chose.

    Args:
        options: the searched options and their values.
        config: the configuration with them set.
        best: the epoch, its metric and the curve.
        best_model: the best epoch's model where one split decided; None where it is to be trained again.
        predictions: of the validation rows of all splits in the best epoch, (M, K + A), in their order.
        trials: every candidate with its metric and epoch.
    """

    options: dict[str, Any]
    config: TrainConfig
    best: BestEpoch
    best_model: SavedModel | None
    predictions: Tensor | None = None
    trials: list[dict[str, Any]] = field(default_factory=list)


def choose(
    config: TrainConfig,
    task: Task,
    examples: Examples,
    splits: Sequence[tuple[Tensor, Tensor]],
    seed: int,
    accelerator: Accelerator,
) -> Choice:
    """Try every candidate of ``config.search``; the best validation metric decides option and epoch.

    Args:
        config: with or without ``search``.
        task: the outputs.
        examples: features and labels.
        splits: (rows to learn from, rows to validate on).
        seed: of the trainings; the same for every candidate.
        accelerator: where it runs.
    """
    chosen, trials = None, []
    for options, candidate in config.candidates():
        fits = [
            Fit(candidate, task, examples, learn, derive_seed(seed, "split", number), accelerator)
            for number, (learn, _) in enumerate(splits)
        ]
        best, model, predictions = best_epoch(fits, [validate for _, validate in splits])
        trials.append({"options": options, "metric": best.value, "epoch": best.epoch})
        if options:
            shown = ", ".join(f"{name} {value}" for name, value in options.items())
            logger.info("  %s: %.4f at epoch %d", shown, best.value, best.epoch)
        if chosen is None or best.value > chosen.best.value:
            chosen = Choice(options, candidate, best, model, predictions)
    assert chosen is not None  # candidates() yields at least one
    chosen.trials = trials
    return chosen


def best_epoch(
    fits: Sequence[Fit], validation: Sequence[Tensor]
) -> tuple[BestEpoch, SavedModel | None, Tensor | None]:
    """Train to the best epoch by validation.

    The trainings of several splits advance epoch by epoch together, and their validation predictions
    are pooled before the metric is taken: one number an epoch, on every held-out speaker.

    Args:
        fits: a training of each split, of one configuration.
        validation: the rows that each is validated on.

    Returns:
        The best epoch, its model where there is one split, and its predictions (M, K + A).
    """
    best, model, kept = BestEpoch(fits[0].config.optimizer.patience), None, None
    for epoch, losses in enumerate(zip(*(fit.epochs() for fit in fits), strict=True), start=1):
        predictions = pooled_predictions(fits, validation)
        value = pooled_metric(fits, validation, predictions)
        if best.update(epoch, sum(losses) / len(losses), value):
            kept = predictions
            model = copy.deepcopy(fits[0].result) if len(fits) == 1 else None
        if best.exhausted(epoch):
            break
    return best, model, kept


def pooled_predictions(fits: Sequence[Fit], validation: Sequence[Tensor]) -> Tensor:
    """All splits' validation predictions (M, K + A); arguments as those of ``best_epoch``."""
    return torch.cat([fit.predict(rows) for fit, rows in zip(fits, validation, strict=True)])


def pooled_metric(
    fits: Sequence[Fit], validation: Sequence[Tensor], predictions: Tensor | None = None
) -> float:
    """The validation metric of ``pooled_predictions``, which are made where they are not given."""
    if predictions is None:
        predictions = pooled_predictions(fits, validation)
    first = fits[0]
    metric = first.config.validation.metric
    return validation_metric(predictions, first.examples, torch.cat(list(validation)), first.task, metric)


def train_chosen(
    choice: Choice, task: Task, examples: Examples, rows: Tensor, seed: int, accelerator: Accelerator
) -> SavedModel:
    """The final model: the best epoch's, or one trained on ``rows`` up to the chosen epoch."""
    if choice.best_model is not None:
        return choice.best_model
    fit = Fit(choice.config, task, examples, rows, derive_seed(seed, "all"), accelerator)
    return trained_to(fit, choice.best.epoch)


def trained_to(fit: Fit, epoch: int) -> SavedModel:
    """The model after so many epochs, at least one."""
    for done, _ in enumerate(fit.epochs(), start=1):
        if done == epoch:
            break
    return fit.result


def validation_metric(predictions: Tensor, examples: Labels, rows: Tensor, task: Task, metric: str) -> float:
    """The metric that chooses, on utterances that have the label.

    Args:
        predictions: (n, K + A).
        examples: holds the labels.
        rows: the rows predicted, (n,).
        task: the outputs by name.
        metric: ``auto``, ``uar``, ``wa`` or ``ccc``.
    """
    classes, targets = examples.classes[rows], examples.targets[rows]
    values = []
    if task.classes and metric != "ccc":
        known = classes != MISSING_CLASS
        found = predictions[known, : len(task.classes)].argmax(1).numpy()
        measure = wa if metric == "wa" else uar
        values.append(measure(confusion(classes[known].numpy(), found, len(task.classes))))
    if task.attributes and metric in ("auto", "ccc"):
        scores = []
        for column in range(len(task.attributes)):
            known = ~targets[:, column].isnan()
            found = predictions[known, len(task.classes) + column]
            scores.append(ccc(targets[known, column].numpy(), found.numpy()))
        values.append(sum(scores) / len(scores))
    return float(sum(values) / len(values)) if values else float("nan")
