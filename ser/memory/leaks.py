"""Leak checks: what must not reach a prediction, tried on a trained model and real data.

    future      the utterances after it are replaced by others
    before      another dialogue is heard right before
    order       the dialogues are predicted in another order, in other company

Nothing may change. In the first two cases to the bit; in other company, only by the rounding of products of
other sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ser.downstream.saved import in_label_units
from ser.memory.dialogues import Dialogue
from ser.memory.fit import predict_dialogues
from ser.memory.listening import Listening
from ser.memory.model import converse
from ser.memory.saved import SavedConversation

# Of predictions in other company: products of other sizes are rounded differently.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Check:
    """One leak check.

    Args:
        name: what was changed.
        predictions: how many were compared.
        largest: the largest change of any of them.
        allowed: the largest change that is no leak.
    """

    name: str
    predictions: int
    largest: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether nothing leaked."""
        return self.largest <= self.allowed

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"{self.name}: {verdict}, largest change {self.largest:.2g} in {self.predictions} predictions"


def check_leaks(saved: SavedConversation, dialogues: Sequence[Dialogue], listening: Listening) -> list[Check]:
    """All leak checks.

    Args:
        saved: the model.
        dialogues: to try them on.
        listening: the host's input.
    """
    one_by_one = {}
    for dialogue in dialogues:
        one_by_one |= _values(saved, [dialogue], listening)

    future, compared = 0.0, 0
    for dialogue, other in zip(dialogues, [*dialogues[1:], dialogues[0]], strict=True):
        half = (len(dialogue) + 1) // 2
        foreign = [other.utterances[n % len(other)] for n in range(len(dialogue) - half)]
        changed = Dialogue(dialogue.name, (*dialogue.utterances[:half], *foreign), dialogue.speakers)
        found = _first(saved, changed, half, listening)
        future = max(future, _largest(one_by_one, dict(zip(dialogue.utterances[:half], found, strict=True))))
        compared += half

    before, count = 0.0, 0
    for dialogue, other in zip(dialogues, [*dialogues[1:], dialogues[0]], strict=True):
        _values(saved, [other], listening)
        again = _values(saved, [dialogue], listening)
        before, count = max(before, _largest(one_by_one, again)), count + len(again)

    together = _values(saved, list(reversed(dialogues)), listening)
    return [
        Check("later utterances changed", compared, future, 0.0),
        Check("another dialogue before", count, before, 0.0),
        Check(
            "dialogues in another order and company", len(together), _largest(one_by_one, together), TOLERANCE
        ),
    ]


def _values(
    saved: SavedConversation, dialogues: Sequence[Dialogue], listening: Listening
) -> dict[str, torch.Tensor]:
    """Utterance -> prediction."""
    found = predict_dialogues(saved, dialogues, listening)
    return {utterance: value for utterance, (_, value) in found.items()}


def _first(
    saved: SavedConversation, dialogue: Dialogue, count: int, listening: Listening
) -> list[torch.Tensor]:
    """Predictions of the first ``count`` utterances; an utterance may come again later in it."""
    steps = converse(saved.model.eval(), [dialogue], listening)
    with torch.no_grad():
        found = [in_label_units(step.outputs.float(), saved.attributes).cpu()[0] for step in steps]
    return found[:count]


def _largest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of predictions of the same utterances; NaN counts as infinite."""
    return max(
        (float((one[name] - value).abs().max().nan_to_num(torch.inf)) for name, value in other.items()),
        default=0.0,
    )
