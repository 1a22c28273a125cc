"""The state of memories: fast weights and whatever else a history keeps, passed in and handed back.

A state belongs to B dialogues, each with S slots: one, or one for each of its speakers. It is never hidden
in a module, so the caller decides when it begins, where it is detached, and when it is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ser.core.errors import UserError


@dataclass(frozen=True)
class State:
    """Tensors by name, each ``(B, S, ...)``; what a slot holds has no B and S: ``(B, ...)`` after ``slot``.

    Args:
        tensors: by name.
    """

    tensors: Mapping[str, Tensor]

    @classmethod
    def begin(cls, start: Mapping[str, Tensor], dialogues: int, slots: int) -> State:
        """Every slot of every dialogue at the learned start ``(...)``; gradients flow back into it."""
        return cls({name: value.expand(dialogues, slots, *value.shape) for name, value in start.items()})

    def slot(self, index: Tensor) -> dict[str, Tensor]:
        """What slot ``index (B,)`` of each dialogue holds: ``(B, ...)`` by name."""
        rows = torch.arange(len(index), device=index.device)
        return {name: value[rows, index] for name, value in self.tensors.items()}

    def with_slot(self, index: Tensor, values: Mapping[str, Tensor]) -> State:
        """The state with ``values (B, ...)`` in slot ``index (B,)`` of each dialogue; this one stays."""
        found = {}
        for name, old in self.tensors.items():
            new = values[name]
            if old.shape[1] == 1:
                found[name] = new[:, None]
                continue
            here = torch.arange(old.shape[1], device=index.device) == index[:, None]  # (B, S)
            here = here.reshape(*here.shape, *(1,) * (old.dim() - 2))
            found[name] = torch.where(here, new[:, None], old)
        return State(found)

    def first(self, dialogues: int) -> State:
        """The state of the first ``dialogues`` alone: the others have ended."""
        return State({name: value[:dialogues] for name, value in self.tensors.items()})

    def rows(self, index: Tensor) -> State:
        """The dialogues ``index (b,)``, in that order."""
        return State({name: value[index] for name, value in self.tensors.items()})

    def detach(self) -> State:
        """The same values, through which no gradient flows back."""
        return State({name: value.detach() for name, value in self.tensors.items()})

    def to(self, device: torch.device | str) -> State:
        """The same on another device."""
        return State({name: value.to(device) for name, value in self.tensors.items()})

    def finite(self) -> Tensor:
        """Whether everything in a dialogue's state is finite, ``(B,)``."""
        return torch.stack([value.flatten(1).isfinite().all(1) for value in self.tensors.values()]).all(0)

    @property
    def numbers(self) -> int:
        """Numbers that one slot holds, whatever was written: the state does not grow."""
        return sum(value[0, 0].numel() for value in self.tensors.values())

    def check(self, start: Mapping[str, Tensor]) -> None:
        """Refuse a state of another model.

        Args:
            start: the learned start of the model that is to go on from it.

        Raises:
            UserError: naming the first tensor that differs.
        """
        hint = "Begin a new dialogue with this model, or go on with the model that made the state"
        if different := sorted(self.tensors.keys() ^ start.keys()):
            raise UserError("a state of another kind of history", value=different[0], hint=hint)
        for name, value in start.items():
            found = self.tensors[name]
            if found.shape[2:] != value.shape:
                what = (
                    f"a state of another shape: {name} is {tuple(found.shape[2:])}, not {tuple(value.shape)}"
                )
                raise UserError(what, hint=hint)
