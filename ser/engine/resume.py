"""The state of a long training between two epochs: a run that was killed goes on as if it had not been.

There are no states of generators in it: order, crops and dropout follow from (seed, epoch, step).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ser.core.files import whole_file
from ser.core.log import get_logger
from ser.engine.loop import BestEpoch

logger = get_logger(__name__)

FILE = "resume.pt"
NEEDED = (
    "model",
    "optimizer",
    "scaler",
    "epoch",
    "step",
    "seconds",
    "best",
    "best_epoch",
    "best_value",
    "curve",
)


class Trainable(Protocol):
    """A model of which training sets a part."""

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors that training sets, by name."""

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Put them back."""


@dataclass
class TrainingState:
    """How far a run is.

    Args:
        best: the best epoch so far, and the curve.
        best_state: its trained parameters, on the CPU.
        epoch: epochs done.
        step: steps done.
        seconds: that they took, over all calls.
    """

    best: BestEpoch
    best_state: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0

    def keep(self, model: Trainable) -> None:
        """Remember the model as the best so far."""
        self.best_state = {
            name: value.detach().cpu().clone() for name, value in model.trained_state().items()
        }

    def save(self, folder: Path, fingerprint: str, model: Trainable, optimizer: Any, scaler: Any) -> None:
        """Write everything that the next epoch needs, in place of the one before, whole or not at all."""
        state = {
            "fingerprint": fingerprint, "epoch": self.epoch, "step": self.step, "seconds": self.seconds,
            "model": model.trained_state(), "optimizer": optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            # The best epoch's model is mostly the last one's, and need not be written twice.
            "best": None if self.best.epoch == self.epoch else self.best_state,
            "best_epoch": self.best.epoch, "best_value": self.best.value, "curve": self.best.curve,
        }  # fmt: skip
        with whole_file(folder / FILE, "wb") as stream:
            torch.save(state, stream)

    def load(self, folder: Path, fingerprint: str, model: Trainable, optimizer: Any, scaler: Any) -> bool:
        """Fill everything from a run that was begun with the same fingerprint; False when there is none."""
        path = folder / FILE
        if not path.is_file():
            return False
        before = {name: value.clone() for name, value in model.trained_state().items()}
        fresh = copy.deepcopy(optimizer.state_dict())
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["fingerprint"] != fingerprint:
                logger.info("%s is of other data or options: starting over", path)
                return False
            missing = [name for name in NEEDED if name not in state]
            if missing:
                raise ValueError(f"no {missing[0]} in it")
            model.load_trained_state(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            if scaler is not None and state["scaler"] is not None:
                scaler.load_state_dict(state["scaler"])
        except Exception as error:  # torch raises whatever the bytes make it
            logger.warning("%s cannot be used (%s): starting over", path, str(error).split("\n")[0])
            model.load_trained_state(before)
            optimizer.load_state_dict(fresh)
            return False
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.best.epoch, self.best.value, self.best.curve = (
            state["best_epoch"], state["best_value"], state["curve"],
        )  # fmt: skip
        if state["best"] is None:
            self.keep(model)
        else:
            self.best_state = state["best"]
        logger.info("going on after epoch %d", self.epoch)
        return True
