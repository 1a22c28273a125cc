"""The loop: optimiser's steps over effective batches, in one process or several.

An effective batch is ``per_step`` batches, whoever encodes them. With M masked frames and V values of
convolutional features in all of it, over all processes,

    loss = 1/M sum of - log P  +  10 / V sum of squared features

so its gradients do not depend on how it is divided. Each process weights what it has by these M and V; the
mean that DistributedDataParallel takes of gradients is undone by a factor of the number of processes.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ser.core.errors import UserError
from ser.core.log import Progress as Said
from ser.core.log import get_logger
from ser.features.extract import prefetch
from ser.papt.batches import Batch
from ser.papt.checkpoint import Progress, load_checkpoint, save_checkpoint
from ser.papt.config import OptimizerConfig, PaptConfig
from ser.papt.curve import write_curve
from ser.papt.model import Inputs, MaskedPrediction
from ser.papt.start import parameter_groups

log = get_logger(__name__)

READ_AHEAD = 2
# Key of crops and masks that stay the same in every epoch.
FIXED = "validation"

Step = tuple[Batch, ...]
Collate = Callable[[Batch, int | str], Inputs]


def rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Share of the peak learning rate in step 1 .. ``steps``: up over the warm-up, then down, linearly.

    >>> config = OptimizerConfig(warmup=0.2)
    >>> [round(rate(step, 10, config), 2) for step in (1, 2, 3, 10)]
    [0.5, 1.0, 0.89, 0.11]
    """
    warm = max(1, round(config.warmup * steps))
    return step / warm if step <= warm else (steps - step + 1) / (steps - warm + 1)


class Trainer:
    """A run.

    Args:
        model: on the CPU.
        config: how.
        accelerator: where.
        plans: the steps of each epoch.
        collate: a batch's inputs in an epoch.
        validation: batches of the validation loss; may be empty.
        collate_validation: their inputs.
        out: the experiment's folder.
        fingerprint: of all that decides the result.
    """

    def __init__(
        self,
        model: MaskedPrediction,
        config: PaptConfig,
        accelerator: Accelerator,
        plans: list[list[Step]],
        collate: Collate,
        validation: list[Batch],
        collate_validation: Collate,
        out: Path,
        fingerprint: str,
    ) -> None:
        self.config, self.accelerator, self.plans, self.collate = config, accelerator, plans, collate
        self.validation, self.collate_validation = validation, collate_validation
        self.out, self.fingerprint = out, fingerprint
        self.channels = model.channels
        self.plain = model.to(accelerator.device)
        options = config.optimizer
        optimizer = torch.optim.AdamW(
            parameter_groups(model, config), options.lr, options.betas, options.eps, options.weight_decay
        )
        self.progress = load_checkpoint(out, fingerprint, model, optimizer, accelerator.scaler)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.steps = sum(map(len, plans))

    def run(self) -> Progress:
        """Train to the end.

        Raises:
            UserError: the loss is not finite; the step's utterances are named and nothing is saved.
        """
        progress, first = self.progress, 0
        start = time.monotonic() - progress.seconds
        said = Said(self.steps, f"papt {self.out.name}")
        said.skip(progress.step)
        if progress.step:
            log.info("going on after step %d of %d", progress.step, self.steps)
        elif self.validation:
            self._row(0, 0, start, self.validate())
        for epoch, plan in enumerate(self.plans):
            todo, first = plan[max(0, progress.step - first) :], first + len(plan)
            if not todo:
                continue
            for step, inputs in prefetch(partial(self._prepare, epoch=epoch), todo, READ_AHEAD):
                norm = self._step(step, inputs)
                progress.step += 1
                ended = progress.step == first
                if progress.step % self.config.log_every == 0 or ended:
                    measured = progress.take_means() | {"grad_norm": norm}
                    measured |= self.validate() if ended and self.validation else {}
                    self._row(progress.step, epoch + 1, start, measured)
                    said.advance(0, f"loss {measured['train_loss']:.3f}")
                if progress.step % self.config.save_every == 0 or ended:
                    self._save(start)
                said.advance(1)
        return progress

    def _prepare(self, step: Step, epoch: int) -> tuple[Step, list[Inputs]]:
        """This process's batches of a step; where there are too few, the first one, which counts nothing."""
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        return step, [self.collate(batch, epoch) for batch in step[rank::processes] or step[:1]]

    def _step(self, step: Step, inputs: list[Inputs]) -> float:
        """One step of the optimiser; returns the gradients' norm."""
        accelerator, config = self.accelerator, self.config
        counts = 0.0 if accelerator.process_index >= len(step) else 1.0
        mine = torch.tensor([[x.mask.sum(), x.frames.sum()] for x in inputs], dtype=torch.float64) * counts
        masked, frames = accelerator.reduce(mine.sum(0).to(accelerator.device), "sum").tolist()
        totals = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        wrong: list[str] = []
        for index, batch in enumerate(inputs):
            last = index == len(inputs) - 1
            with contextlib.nullcontext() if last else accelerator.no_sync(self.model):
                sums = self.model(batch.to(accelerator.device))
                loss = sums.loss / max(masked, 1.0)
                loss = loss + config.objective.feature_penalty * sums.energy / (frames * self.channels)
                accelerator.backward(loss * (accelerator.num_processes * counts))
            totals += torch.stack([part.detach().double() for part in sums]) * counts
            if not bool(torch.isfinite(loss)):
                wrong += step[accelerator.process_index :: accelerator.num_processes][index]
        totals = accelerator.reduce(totals, "sum")
        if not math.isfinite(float(totals[:2].sum())):
            self._not_finite(wrong)
        clip = config.optimizer.clip or math.inf
        norm = float(accelerator.clip_grad_norm_(self.model.parameters(), clip))
        share = rate(self.progress.step + 1, self.steps, config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = config.optimizer.lr * group["share"] * share
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.add(*totals.tolist(), masked, frames * self.channels)
        return norm

    def _not_finite(self, wrong: list[str]) -> None:
        """Stop, naming the utterances whose loss was no number."""
        names = gather_object(wrong)
        raise UserError(
            f"the loss of step {self.progress.step + 1} is not finite, in a batch of {len(names)} utterances",
            value=" ".join(names),
            hint="Look at their audio, lower optimizer.lr, or train in another precision;"
            " run again to go on from the last checkpoint",
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and accuracy over the validation batches, with the same crops and masks every time."""
        accelerator = self.accelerator
        sums = torch.zeros(3, dtype=torch.float64, device=accelerator.device)
        mine = self.validation[accelerator.process_index :: accelerator.num_processes]
        forward = accelerator.unwrap_model(self.model)
        for inputs in prefetch(lambda batch: self.collate_validation(batch, FIXED), mine, READ_AHEAD):
            found = forward(inputs.to(accelerator.device))
            sums += torch.stack([found.loss, found.correct, inputs.mask.sum().to(sums.device)]).double()
        loss, correct, masked = accelerator.reduce(sums, "sum").tolist()
        return {"validation_loss": loss / max(masked, 1), "validation_accuracy": correct / max(masked, 1)}

    def _row(self, step: int, epoch: int, start: float, measured: dict[str, float]) -> None:
        """Add a row to the curve, and write it."""
        share = rate(max(step, 1), self.steps, self.config.optimizer)
        row = {"step": step, "epoch": epoch, "seconds": round(time.monotonic() - start, 1),
               "lr": self.config.optimizer.lr * share, **measured}  # fmt: skip
        self.progress.rows.append(row)
        if self.accelerator.is_main_process:
            write_curve(self.out / "curve.csv", self.progress.rows)
        if "validation_loss" in measured:
            log.info("epoch %d of %d: %s", epoch, len(self.plans),
                     ", ".join(f"{name} {measured[name]:.4f}" for name in measured))  # fmt: skip

    def _save(self, start: float) -> None:
        """Write the checkpoint."""
        self.progress.seconds = time.monotonic() - start
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.out, self.fingerprint, self.plain, self.optimizer, self.accelerator.scaler, self.progress
            )
