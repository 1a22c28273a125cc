"""The one training loop: epochs over batches, device placement by accelerate, the best epoch kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ser.core.errors import UserError

Batch = TypeVar("Batch")


def make_accelerator(precision: str = "no", several_processes: bool = False) -> Accelerator:
    """The device to train on: a GPU when there is one.

    Args:
        precision: ``no`` for float32, ``bf16`` or ``fp16`` for mixed precision.
        several_processes: the caller divides its batches among processes (torchrun, accelerate launch).

    Raises:
        UserError: under several processes where the caller cannot, since CCC of a batch is no mean of its
            parts' CCC; or for fp16 without a GPU.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise UserError("fp16 needs a GPU", hint="Use bf16, or no")
    accelerator = Accelerator(mixed_precision=precision)
    if accelerator.num_processes > 1 and not several_processes:
        raise UserError(
            "training on pooled features runs in one process",
            value=f"{accelerator.num_processes} processes",
            hint="Start it without torchrun; divide folds among jobs with --nj and --job",
        )
    return accelerator


def make_parallel(precision: str = "no") -> Accelerator:
    """The device to train on, one of each process where torchrun or accelerate has started several.

    Args:
        precision: ``no``, ``bf16`` or ``fp16``.

    Raises:
        UserError: for a precision that the device does not have.
    """
    try:
        # Unasked, accelerate knows of one process only where there is no GPU.
        return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)
    except ValueError as error:
        raise UserError("this device does not have the precision", value=precision, hint=str(error)) from None


def train_epochs(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[nn.Module, Batch], Tensor],
    accelerator: Accelerator,
    epochs: int,
    clipping: float = 0.0,
) -> Iterator[float]:
    """Train, handing control back after each epoch with its mean loss.

    The caller may evaluate, compare several trainings in lockstep, or stop.

    Args:
        model: trained in place; prepared by ``accelerator``, as is ``optimizer``.
        batches: called once an epoch; yields that epoch's batches.
        loss: mean loss of one batch.
        epochs: the most epochs.
        clipping: the largest norm of the gradient; 0 for no limit.

    Raises:
        UserError: when the loss is no longer finite.
    """
    for epoch in range(1, epochs + 1):
        model.train()
        total, steps = torch.zeros((), device=accelerator.device), 0
        for batch in batches():
            value = loss(model, batch)
            optimizer.zero_grad()
            accelerator.backward(value)
            if clipping:
                accelerator.clip_grad_norm_(model.parameters(), clipping)
            optimizer.step()
            total += value.detach()
            steps += 1
        mean = float(total) / max(steps, 1)
        if not math.isfinite(mean):
            raise UserError(f"the loss of epoch {epoch} is not finite", value=mean, hint="Lower optimizer.lr")
        yield mean


@dataclass
class BestEpoch:
    """Early stopping: remembers the epoch with the highest metric.

    Args:
        patience: how many epochs without a new best are borne.
    """

    patience: int
    epoch: int = 0
    value: float = -math.inf
    curve: list[dict[str, float]] = field(default_factory=list)

    def update(self, epoch: int, train_loss: float, validation_metric: float) -> bool:
        """Record an epoch; True when it is the best so far. An undefined metric never is."""
        self.curve.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "validation_metric": None if math.isnan(validation_metric) else validation_metric,
            }
        )
        if validation_metric > self.value:
            self.epoch, self.value = epoch, validation_metric
            return True
        return False

    def exhausted(self, epoch: int) -> bool:
        """Whether patience has run out."""
        return epoch - self.epoch >= self.patience
