"""Fine-tuning one model end to end, epoch by epoch, and the epoch that validation chooses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.core.seed import derive_seed, seed_everything
from ser.data.wording import first_few
from ser.downstream.class_losses import MISSING_CLASS, class_weights, share_weights
from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.examples import Labels
from ser.downstream.finetune.augment import Augmentation, check_augmentation
from ser.downstream.finetune.batches import AudioSet, count_kept, divide, plan_epoch, read_batch, whole
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.normalisation import measure
from ser.downstream.finetune.saved import FineTuned
from ser.downstream.finetune.trainable import set_rates
from ser.downstream.fit import Task, validation_metric
from ser.downstream.heads import has_batchnorm, settle_batchnorm
from ser.downstream.losses import task_loss
from ser.downstream.saved import fit_scale, range_scale
from ser.engine.effective_batch import MicroBatch, backward, gather_vectors, random_numbers
from ser.engine.epochs import run_epochs
from ser.engine.loop import BestEpoch
from ser.engine.resume import TrainingState
from ser.features.extract import prefetch
from ser.upstream.base import Upstream

logger = get_logger(__name__)

READ_AHEAD = 2


class FineTuning:
    """One fold's model being trained.

    A step on the effective batch of B utterances (see ``ser.engine.effective_batch``):

        v_i = pooling of encoder(u_i)                 micro-batch by micro-batch
        L   = loss(interpreter(v_1 ... v_B), y)       once

    Args:
        config: the options.
        task: the outputs.
        labels: of all utterances.
        audio: of all utterances.
        learn: utterances to learn from.
        validate: utterances that choose the epoch.
        seed: of initial values, order of batches, crops and dropout.
        accelerator: where it runs.
        ranges: (least, most) of each attribute in the corpus, for ``interpreter.scale: range``.

    Raises:
        UserError: when there is too little to learn from, or the upstream cannot be trained so.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        task: Task,
        labels: Labels,
        audio: AudioSet,
        learn: Sequence[str],
        validate: Sequence[str],
        seed: int,
        accelerator: Accelerator,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.config, self.task, self.labels, self.audio = config, task, labels, audio
        self.learn, self.validate = labelled(audio.usable(learn), labels), audio.usable(validate)
        self.seed, self.accelerator = seed, accelerator
        if len(self.learn) < 2:
            raise UserError(
                "an effective batch of one utterance: BatchNorm and CCC want two or more",
                value=f"{len(self.learn)} utterances with a label to learn from",
            )
        seed_everything(seed)
        upstream: Upstream = audio.upstream.to(accelerator.device)
        speaker = audio.speaker_of[self.learn[0]]
        side = SideOptions() if audio.told is None else audio.told.options
        self.model = EndToEnd(upstream, config.encoder, config.interpreter, task.outputs, [speaker],
                              config.pooling, side)  # fmt: skip
        for part in (self.model.reader, self.model.side):
            if part is not None and part.embedding is not None:
                part.embedding.fit(audio.side(self.learn).text)
        check_augmentation(config.augment, upstream)
        if self.model.normalisation is not None:
            self.model.normalisation.set(*measure(partial(whole, audio), self.learn, accelerator))
        optimizer = torch.optim.AdamW(self.model.parameter_groups(config.optimizer, config.unfreeze))
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        rows, device = labels.rows(self.learn), accelerator.device
        scales = [fit_scale(column) for column in labels.targets[rows].T]
        if config.interpreter.scale == "range":
            scales = [range_scale(*(ranges or {})[name]) for name in task.attributes]
        attributes = dict(zip(task.attributes, scales, strict=True))
        self.result = FineTuned(
            self.model, config.interpreter, task.classes, attributes, config.pooling, side
        )
        mean = torch.tensor([scale.mean for scale in scales])
        deviation = torch.tensor([scale.deviation for scale in scales])
        self._targets = ((labels.targets - mean) / deviation).to(device)
        self._classes = labels.classes.to(device)
        self._weights, self._share_weights = None, None
        self._shares = None if labels.shares is None else labels.shares.to(device)
        if task.classes and config.task.class_weights == "balanced":
            self._weights = class_weights(labels.classes[rows], len(task.classes)).to(device)
            if labels.shares is not None:
                self._share_weights = share_weights(labels.shares[rows]).to(device)
        self.state = TrainingState(BestEpoch(config.optimizer.patience))
        # Epochs of which the encoder sees nothing.
        epoch_steps = len(plan_epoch(self.learn, config.batches.size, seed, 1))
        self._begun = config.unfreeze.steps(config.unfreeze.after, epoch_steps) // epoch_steps
        if self._begun >= config.optimizer.epochs:
            raise UserError(
                f"{config.unfreeze.describe()}, and there are {epoch_steps * config.optimizer.epochs} steps",
                value=f"unfreeze.after: {config.unfreeze.after}",
                hint="Use encoder.trainable: none to train the head alone",
            )  # fmt: skip

    def run(self, folder: Path, fingerprint: str) -> TrainingState:
        """Train to the end, from where an earlier call was killed; the state has the best epoch's model.

        Args:
            folder: of the fold, where the state is kept after every epoch.
            fingerprint: of data, options and upstream.

        Raises:
            UserError: when the loss or the gradients are not finite, or no epoch has a validation metric.
        """
        run_epochs(
            self.state, folder, fingerprint, self.model, self.optimizer, self.accelerator,
            self.config.optimizer.epochs, "fine-tune", self._train_and_validate, self._exhausted,
        )  # fmt: skip
        return self.state

    def _train_and_validate(self, epoch: int) -> tuple[float, float]:
        """One epoch: its loss, and the metric that chooses."""
        loss = self._epoch(epoch)
        self._settle()
        return loss, self._validate()

    def _epoch(self, epoch: int) -> float:
        """One pass over the data; its mean loss."""
        self.model.train()
        options, batches = self.config.optimizer, plan_epoch(
            self.learn, self.config.batches.size, self.seed, epoch
        )  # fmt: skip
        total, groups = 0.0, self.optimizer.param_groups
        for batch, micro, told in prefetch(lambda batch: self._read(batch, epoch), batches, READ_AHEAD):
            set_rates(
                groups, self.state.step, len(batches), options.epochs, self.config.unfreeze, options
            )  # fmt: skip
            total += self._step(batch, micro, epoch, told)
            self.state.step += 1
        return total / len(batches)

    def _exhausted(self) -> bool:
        """Whether patience has run out, counted from the epoch in which the encoder begins to learn."""
        epoch, best = self.state.epoch, self.state.best
        return epoch > self._begun and epoch - max(best.epoch, self._begun) >= best.patience

    def _step(
        self, batch: Sequence[str], micro: Sequence[MicroBatch], epoch: int, told: Side | None = None
    ) -> float:
        """One step on an effective batch; its loss."""
        device = self.accelerator.device
        rows = self.labels.rows(batch).to(device)
        kept = count_kept(micro, self.config.batches.kept_seconds * self.audio.upstream.info.sample_rate)
        vectors = gather_vectors(
            self._encode, micro, len(batch), self.model.dim, self.accelerator, kept
        )  # fmt: skip
        with random_numbers(derive_seed(self.seed, "head", epoch, batch[0])):
            outputs = self.model.head(self.model.inputs(vectors, told and told.to(device)))
        loss = task_loss(
            outputs, self._classes[rows], self._targets[rows], self._weights, self.config.task,
            shares=None if self._shares is None else self._shares[rows], share_weights=self._share_weights,
        )  # fmt: skip
        loss = loss + self.model.side_loss(vectors, self.audio.side(batch, device))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._not_finite("loss", value, batch, epoch)
        self.optimizer.zero_grad()
        backward(loss, self.model.encoder_parameters(), self.accelerator)
        if self.config.optimizer.clip:
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            norm = float(self.accelerator.clip_grad_norm_(trained, self.config.optimizer.clip))
            # With float16 gradients overflow now and then, and the scaler leaves the step out.
            if not math.isfinite(norm) and self.accelerator.scaler is None:
                raise self._not_finite("gradient", norm, batch, epoch)
        self.optimizer.step()
        return value

    def _not_finite(self, what: str, value: float, batch: Sequence[str], epoch: int) -> UserError:
        """The error that names the batch, here in short and in the log whole."""
        logger.warning("utterances of the batch: %s", " ".join(batch))
        return UserError(
            f"the {what} of step {self.state.step + 1} (epoch {epoch}) is {value}, on the batch of"
            f" {first_few(list(batch))}",
            hint="Lower optimizer.lr or optimizer.head_lr, or look at these utterances (train.log names all)",
        )

    def _encode(self, waves: Waves) -> Tensor:
        """The vectors of a micro-batch, in the precision that is asked for."""
        with self.accelerator.autocast():
            return self.model.embed(waves)

    def _read(self, batch: list[str], epoch: int) -> tuple[list[str], list[MicroBatch], Side | None]:
        """This process's micro-batches of an effective batch, cropped; and what the model is told of it."""
        options = self.config.batches
        augmentation = Augmentation(self.config.augment, self.seed, epoch)
        mine = divide(
            self.audio, batch, options.micro_seconds, options.max_seconds, self.accelerator, options.order,
            augmentation,
        )  # fmt: skip
        longest = round(options.max_seconds * self.audio.upstream.info.sample_rate)
        told = self.audio.side(batch)
        if told is not None:
            draws = torch.Generator().manual_seed(derive_seed(self.seed, "hide", epoch, batch[0]))
            told = told.hidden(self.result.side, draws)
        return batch, read_batch(self.audio, batch, mine, self.seed, epoch, longest, augmentation, told), told

    def _settle(self) -> None:
        """Statistics of the head's BatchNorms with the weights as they are, always of the same utterances."""
        count = min(self.config.interpreter.statistics, len(self.learn))
        if count > 1 and has_batchnorm(self.model.head):
            order = np.random.default_rng(derive_seed(self.seed, "statistics")).permutation(len(self.learn))
            some = [self.learn[place] for place in sorted(order[:count])]
            device = self.accelerator.device
            vectors = self._predict(some)[0].to(device)
            settle_batchnorm(self.model.head, self.model.inputs(vectors, self.audio.side(some, device)))

    def _predict(self, utterances: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors ``(n, D)`` and predictions ``(n, K + A)`` of whole utterances."""
        seconds = self.config.batches.micro_seconds
        return self.result.predict_audio(self.audio, utterances, seconds, self.accelerator)

    def _validate(self) -> float:
        """The metric that chooses."""
        predictions = self._predict(self.validate)[1]
        rows = self.labels.rows(self.validate)
        if self.config.validation.metric == "loss":
            return -self._loss_of(predictions, rows) if labelled(self.validate, self.labels) else math.nan
        return validation_metric(
            predictions, self.labels, rows, self.task, self.config.validation.metric
        )  # fmt: skip

    def _loss_of(self, predictions: Tensor, rows: Tensor) -> float:
        """The objective of predictions ``(n, K + A)``, all of them one batch.

        It is that of the outputs: log p has the cross-entropy of the scores, and CCC is the same in the
        label's units.
        """
        count = len(self.task.classes)
        scores = predictions[:, :count].clamp_min(torch.finfo(torch.float32).tiny).log()
        on_cpu = {name: None if value is None else value.cpu() for name, value in self._weighting().items()}
        shares = None if self.labels.shares is None else self.labels.shares[rows]
        loss = task_loss(
            torch.cat([scores, predictions[:, count:]], dim=1), self.labels.classes[rows],
            self.labels.targets[rows], task=self.config.task, shares=shares, **on_cpu,
        )  # fmt: skip
        return float(loss)

    def _weighting(self) -> dict[str, Tensor | None]:
        """Weights of the classes, and of their shares of votes, as ``task_loss`` takes them."""
        return {"weights": self._weights, "share_weights": self._share_weights}

    def best_predictions(self) -> dict[str, np.ndarray]:
        """Validation utterance -> predictions ``(K + A,)`` of the best epoch's model, which is taken up."""
        self.model.load_trained_state(self.state.best_state)
        return dict(zip(self.validate, self._predict(self.validate)[1].cpu().numpy(), strict=True))


def labelled(utterances: Sequence[str], labels: Labels) -> list[str]:
    """The utterances that have a label to learn from."""
    rows = labels.rows(utterances)
    known = labels.classes[rows] != MISSING_CLASS
    if labels.shares is not None:
        known = known | ~labels.shares[rows].isnan().any(1)
    if labels.targets.shape[1]:
        known = known | ~labels.targets[rows].isnan().all(1)
    return [utterance for utterance, kept in zip(utterances, known.tolist(), strict=True) if kept]
