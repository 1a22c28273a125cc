"""A long training, epoch after epoch: kept after each, stopped by patience, taken up where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ser.core.errors import UserError
from ser.core.log import Progress, clock, get_logger
from ser.engine.resume import Trainable, TrainingState

logger = get_logger(__name__)


def run_epochs(
    state: TrainingState,
    folder: Path,
    fingerprint: str,
    model: Trainable,
    optimizer: Any,
    accelerator: Accelerator,
    epochs: int,
    what: str,
    epoch: Callable[[int], tuple[float, float]],
    exhausted: Callable[[], bool],
) -> None:
    """Train to the end, from where an earlier call was killed; the state has the best epoch's parameters.

    Args:
        state: of the run, from its beginning.
        folder: of the fold, where the state is kept after every epoch.
        fingerprint: of data, options and encoder: a state of others is not taken up.
        model: what is trained.
        optimizer: of its parameters.
        accelerator: whose first process writes, and whose scaler is kept.
        epochs: the most.
        what: what is trained, for the progress line.
        epoch: trains the epoch of this number, from 1; (loss, validation metric).
        exhausted: whether patience has run out.

    Raises:
        UserError: when no epoch has a validation metric.
    """
    state.load(folder, fingerprint, model, optimizer, accelerator.scaler)
    progress = Progress(epochs, f"{what} {folder.parent.parent.name} {folder.name}")
    progress.skip(state.epoch)
    while state.epoch < epochs and not exhausted():
        start = time.monotonic()
        loss, value = epoch(state.epoch + 1)
        took = time.monotonic() - start
        state.epoch += 1
        state.seconds += took
        if state.best.update(state.epoch, loss, value):
            state.keep(model)
        logger.info("  epoch %d: loss %.4f, validation %.4f, %s", state.epoch, loss, value, clock(took))
        if accelerator.is_main_process:
            state.save(folder, fingerprint, model, optimizer, accelerator.scaler)
            progress.advance()
    if not state.best.epoch:
        raise UserError(
            "no epoch has a validation metric: predictions are constant, or there are no labels",
            file=folder, hint="Look at the loss in train.log; another learning rate may help",
        )  # fmt: skip
