"""Training of one fold: batches of dialogues, in order, with truncated back-propagation through time.

For every batch, windows of ``truncation`` utterances are run one after the other; a window's loss is that of
its labelled utterances as one batch, weighted by its share of the batch's, so that the gradient of a batch
does not depend on how cross-entropy is cut (1 - CCC is that of each window). The optimiser steps once a
batch: a state never outlives the weights that made it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.core.seed import derive_seed
from ser.downstream.class_losses import MISSING_CLASS, class_weights
from ser.downstream.examples import Labels
from ser.downstream.fit import Task, validation_metric
from ser.downstream.losses import task_loss
from ser.downstream.saved import in_label_units
from ser.engine.effective_batch import gather_rows, random_numbers
from ser.engine.epochs import run_epochs
from ser.engine.loop import BestEpoch
from ser.engine.resume import TrainingState
from ser.memory.config import MalConfig
from ser.memory.dialogues import Dialogue, in_batches, in_random_batches
from ser.memory.history import ALL_ON, Switches
from ser.memory.listening import Listening
from ser.memory.model import ConversationModel, Step, converse
from ser.memory.saved import SavedConversation

logger = get_logger(__name__)
# Dialogues side by side when nothing is learnt.
PREDICTION_BATCH = 32


class ConversationFit:
    """One fold being trained.

    Args:
        config: what and how.
        task: the outputs.
        saved: the untrained model, with the names and scales of its outputs.
        labels: of all utterances.
        listening: the host's input.
        learn: dialogues to learn from.
        validate: dialogues that choose the epoch.
        seed: of order and dropout.
        accelerator: device, precision, processes.
    """

    def __init__(
        self,
        config: MalConfig,
        task: Task,
        saved: SavedConversation,
        labels: Labels,
        listening: Listening,
        learn: Sequence[Dialogue],
        validate: Sequence[Dialogue],
        seed: int,
        accelerator: Accelerator,
    ) -> None:
        self.config, self.task, self.saved = config, task, saved
        self.labels, self.listening, self.learn, self.validate = labels, listening, learn, validate
        self.seed, self.accelerator = seed, accelerator
        self.model, device = saved.model, accelerator.device
        groups = parameter_groups(self.model, config)
        self.optimizer = accelerator.prepare_optimizer(torch.optim.AdamW(groups)) if groups else None
        scales = saved.attributes.values()
        mean = torch.tensor([scale.mean for scale in scales])
        deviation = torch.tensor([scale.deviation for scale in scales])
        self._targets = ((labels.targets - mean) / deviation).to(device)
        self._classes = labels.classes.to(device)
        known = (labels.classes != MISSING_CLASS) | ~labels.targets.isnan().all(1)
        self._known = known if labels.targets.shape[1] else labels.classes != MISSING_CLASS
        self._weights = None
        if task.classes and config.task.class_weights == "balanced":
            rows = labels.rows([u for dialogue in learn for u in dialogue.utterances])
            self._weights = class_weights(labels.classes[rows], len(task.classes)).to(device)
        self.state = TrainingState(BestEpoch(config.optimizer.patience))

    def run(self, folder: Path, fingerprint: str) -> TrainingState:
        """Train to the end, from where an earlier call was killed; the state has the best epoch's model.

        Args:
            folder: of the fold, where the state is kept after every epoch.
            fingerprint: of data, options and host.

        Raises:
            UserError: when loss or memory are not finite, or no epoch has a validation metric.
        """
        state, options = self.state, self.config.optimizer
        if self.optimizer is None:
            logger.info("nothing is trained: a language model that answers in words, without history or LoRA")
            state.best.value = self._validate()
            state.keep(self.model)
            return state
        run_epochs(
            state, folder, fingerprint, self.model, self.optimizer, self.accelerator, options.epochs, "train",
            lambda number: (self._epoch(number), self._validate()),
            lambda: state.best.exhausted(state.epoch),
        )  # fmt: skip
        self.model.load_trained_state(state.best_state)
        return state

    def _epoch(self, epoch: int) -> float:
        """One pass over the dialogues; the mean loss of its batches."""
        self.model.train()
        batches = in_random_batches(self.learn, self.config.optimizer.dialogues, self.seed, epoch)
        total = 0.0
        for number, batch in enumerate(batches):
            with random_numbers(derive_seed(self.seed, "step", epoch, number)):
                loss = self._step(batch)
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss of step {self.state.step + 1} (epoch {epoch}) is {loss}",
                    value=f"dialogues {', '.join(d.name for d in batch[:3])}", hint="Lower optimizer.lr",
                )  # fmt: skip
            total += loss
            self.state.step += 1
        return total / len(batches)

    def _step(self, batch: list[Dialogue]) -> float:
        """Forward and backward through a batch of dialogues, and one step; its loss."""
        mine = batch[self.accelerator.process_index :: self.accelerator.num_processes]
        options = self.config.optimizer
        self.optimizer.zero_grad()
        windows, total = window_utterances(batch, options.truncation), 0.0
        known = sum(int(self._known[self.labels.rows(window)].sum()) for window in windows)
        steps: Iterator[Step] = iter(())
        if mine:
            steps = converse(self.model, mine, self.listening, truncation=options.truncation)
        for window in windows:
            with self.accelerator.autocast():
                own = take_window(steps)
            share = int(self._known[self.labels.rows(window)].sum()) / max(known, 1)
            if share:
                loss = share * self._loss(window, own)
                total += float(loss.detach())
                if loss.requires_grad:
                    self.accelerator.backward(loss)
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.accelerator.num_processes > 1:
            sum_gradients(trained, self.accelerator)
        if options.gradient_clipping:
            self.accelerator.clip_grad_norm_(trained, options.gradient_clipping)
        self.optimizer.step()
        return total

    def _loss(self, window: list[str], own: list[Step]) -> Tensor:
        """The objective of a window, over the dialogues of all processes."""
        place = {utterance: row for row, utterance in enumerate(window)}
        device, count = self.accelerator.device, self.task.outputs
        found = torch.cat([step.outputs for step in own]) if own else torch.zeros(0, count, device=device)
        rows = torch.tensor([place[u] for step in own for u in step.utterances], dtype=torch.long)
        outputs = gather_rows(found.float(), rows.to(device), len(window), self.accelerator)
        at = self.labels.rows(window).to(device)
        return task_loss(outputs, self._classes[at], self._targets[at], self._weights, self.config.task)

    def _validate(self) -> float:
        """The metric that chooses."""
        found = predict_dialogues(self.saved, self.validate, self.listening)
        utterances = [utterance for dialogue in self.validate for utterance in dialogue.utterances]
        predictions = torch.stack([found[utterance][1] for utterance in utterances])
        rows = self.labels.rows(utterances)
        return validation_metric(predictions, self.labels, rows, self.task, self.config.validation.metric)

    def best_predictions(self) -> dict[str, np.ndarray]:
        """Validation utterance -> predictions ``(K + A,)`` of the model as it is."""
        found = predict_dialogues(self.saved, self.validate, self.listening)
        return {utterance: values.numpy() for utterance, (_, values) in found.items()}


def parameter_groups(model: ConversationModel, config: MalConfig) -> list[dict]:
    """The optimiser's groups: memory and head, of which matrices decay; and what is trained of the host."""
    options, of_host = config.optimizer, {id(p) for p in model.host.trained_parameters()}
    own = [p for p in model.parameters() if p.requires_grad and id(p) not in of_host]
    decay = {"weight_decay": options.weight_decay, "lr": options.lr}
    groups = [
        {"params": [p for p in own if p.dim() > 1], **decay},
        {"params": [p for p in own if p.dim() <= 1], "lr": options.lr, "weight_decay": 0.0},
        {"params": model.host.trained_parameters(), "lr": options.host_lr or options.lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def sum_gradients(parameters: Sequence[nn.Parameter], accelerator: Accelerator) -> None:
    """Gradients of all processes together; a parameter that has none in any of them keeps none.

    AdamW leaves such a one alone, and would move it by its momentum and decay if it had a gradient of zeros.
    """
    has = torch.tensor([float(p.grad is not None) for p in parameters], device=accelerator.device)
    for parameter, somewhere in zip(
        parameters, accelerator.reduce(has, reduction="sum").tolist(), strict=True
    ):
        if somewhere:
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(own, reduction="sum")


def window_utterances(batch: Sequence[Dialogue], truncation: int) -> list[list[str]]:
    """The utterances of each window of a batch, turn by turn."""
    longest = len(batch[0])
    span = truncation or longest
    return [
        [d.utterances[n] for n in range(begin, min(begin + span, longest)) for d in batch if len(d) > n]
        for begin in range(0, longest, span)
    ]


def take_window(steps: Iterator[Step]) -> list[Step]:
    """The steps up to the end of the window; none when this process's dialogues have ended."""
    found = []
    for step in steps:
        found.append(step)
        if step.last:
            break
    return found


@torch.no_grad()
def predict_dialogues(
    saved: SavedConversation, dialogues: Sequence[Dialogue], listening: Listening, switches: Switches = ALL_ON
) -> dict[str, tuple[Tensor, Tensor]]:
    """Utterance -> (vector ``(H,)``, prediction ``(K + A,)`` in the label's units), each dialogue on its own.

    The memory is written without gradients of the host: its inner ones are taken all the same.
    """
    model = saved.model.eval()
    found = {}
    for batch in in_batches(dialogues, PREDICTION_BATCH):
        for step in converse(model, batch, listening, switches):
            values = in_label_units(step.outputs.float(), saved.attributes).cpu()
            rows = zip(step.utterances, step.vectors.float().cpu(), values, strict=True)
            found |= {utterance: (vector, value) for utterance, vector, value in rows}
    return found


@torch.no_grad()
def say_dialogues(
    saved: SavedConversation, dialogues: Sequence[Dialogue], listening: Listening
) -> dict[str, str]:
    """Utterance -> what the language model says of it, each dialogue on its own.

    Raises:
        UserError: for a host that is none.
    """
    model, found = saved.model.eval(), {}
    device = next(model.parameters()).device
    for dialogue in dialogues:
        slots = dialogue.slots(model.scope)
        state = model.begin(1, max(slots) + 1)
        for utterance, slot in zip(dialogue.utterances, slots, strict=True):
            heard, speaker = listening.take([utterance]).to(device), torch.tensor([slot], device=device)
            [found[utterance]], state = model.generate(heard, state, speaker)
    return found
