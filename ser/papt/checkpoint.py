"""The state of a run on disk, so that a run that was killed goes on as if it had not been.

One file holds all: weights, moments of Adam, the scaler of fp16, the number of steps, the rows of the curve.
There is no random state to keep: dropout is off, and crops, masks and batches follow from the seed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser.core.errors import UserError
from ser.core.files import whole_file

FILE = "checkpoint.pt"


@dataclass
class Progress:
    """How far a run is.

    Args:
        step: steps done.
        seconds: that they took, over all calls.
        rows: of curve.csv.
        sums: since the last row: loss, energy, correct, masked frames, values of features.
    """

    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)

    def add(self, *sums: float) -> None:
        """Count a step."""
        self.sums = [old + new for old, new in zip(self.sums, sums, strict=True)]

    def take_means(self) -> dict[str, float]:
        """Means over the steps since the last call."""
        loss, energy, correct, masked, values = self.sums
        self.sums = [0.0] * 5
        return {
            "train_loss": loss / max(masked, 1),
            "masked_accuracy": correct / max(masked, 1),
            "feature_penalty": energy / max(values, 1),
        }


def save_checkpoint(
    folder: Path, fingerprint: str, model: nn.Module, optimizer: Any, scaler: Any, progress: Progress
) -> None:
    """Write the state whole or not at all, in place of the one before."""
    state = {
        "fingerprint": fingerprint, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else {}, **asdict(progress),
    }  # fmt: skip
    with whole_file(folder / FILE, "wb") as stream:
        torch.save(state, stream)


def load_checkpoint(
    folder: Path, fingerprint: str, model: nn.Module, optimizer: Any, scaler: Any
) -> Progress:
    """Fill model, optimizer and scaler from a checkpoint, if there is one.

    Raises:
        UserError: it was made with other settings, data or units, or is none.
    """
    path = folder / FILE
    if not path.is_file():
        return Progress()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes make it
        reason = str(error).strip().split("\n")[0]
        raise UserError("not a checkpoint of a pre-training", file=path, value=reason,
                        hint="Delete it to start over") from None  # fmt: skip
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        raise UserError(
            "the run that is here was begun with other settings, data or units", file=path,
            hint="Choose another --out, or delete this file to start over",
        )  # fmt: skip
    try:
        progress = Progress(**{name: state[name] for name in ("step", "seconds", "rows", "sums")})
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if scaler is not None and state["scaler"]:
            scaler.load_state_dict(state["scaler"])
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError("checkpoint of another architecture", file=path, value=reason) from None
    return progress
