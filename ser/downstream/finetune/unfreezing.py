"""Two-phase training: the head alone first, then the encoder, at once or layer by layer from the top.

At a depth d of L (see ``ser.downstream.finetune.trainable``) training begins after

    after                       units, all at once (every = 0)
    after + every (L - d)       units, the last layer first: gradual unfreezing (Howard and Ruder 2018)

A random head sends random gradients into an encoder that knows something; Pan et al. (Interspeech 2024) keep
the encoder of their AttM frozen up to epoch 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ser.core.errors import UserError


@dataclass
class UnfreezeConfig:
    """When the encoder begins to learn; from the first step by default.

    Args:
        after: so many units the head, with layer weights and pooling, is trained alone.
        every: then the last layer, and one more every so many units; 0 takes the whole encoder at once.
        unit: ``epochs`` or ``steps``.
    """

    after: int = 0
    every: int = 0
    unit: Literal["epochs", "steps"] = "epochs"

    def check(self, epochs: int) -> None:
        """Refuse values that mean nothing.

        Args:
            epochs: of the whole training.

        Raises:
            UserError: naming the option and its value.
        """
        for name in ("after", "every"):
            if getattr(self, name) < 0:
                raise UserError(f"unfreeze.{name} must be at least 0", value=getattr(self, name))
        if self.unit == "epochs" and self.after >= epochs:
            raise UserError(
                "unfreeze.after must be less than optimizer.epochs, or the encoder never learns",
                value=f"{self.after} of {epochs}", hint="Use encoder.trainable: none to train the head alone",
            )  # fmt: skip

    def begins(self, depth: int, last_layer: int) -> int:
        """Units after which what lies at ``depth`` learns.

        >>> [UnfreezeConfig(after=2, every=3).begins(depth, 12) for depth in (12, 11, 0)]
        [2, 5, 38]
        """
        return self.after + self.every * (last_layer - depth)

    def steps(self, units: int, epoch_steps: int) -> int:
        """Units in steps."""
        return units * epoch_steps if self.unit == "epochs" else units

    def describe(self) -> str:
        """For tables."""
        one_by_one = f", then a layer every {self.every}" if self.every else ""
        unit = self.unit.removesuffix("s") if self.after == 1 else self.unit
        return f"head alone for {self.after} {unit}{one_by_one}"
