"""Ablations of a trained model at test time: the same checkpoint, with a part off or a history changed.

no_reads         nothing is read
no_writes        nothing is written: every utterance sees the learned start
reset            everything is forgotten before each utterance (the same as no_writes, by another way)
no_momentum      eta = 0
no_forgetting    alpha = 0
shuffled         before each utterance the earlier ones are written in an order drawn anew
other_dialogue   what was written is another dialogue's, as many utterances as there were of this one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.seed import derive_seed
from ser.downstream.saved import in_label_units
from ser.memory.dialogues import Dialogue
from ser.memory.fit import predict_dialogues
from ser.memory.history import Switches
from ser.memory.listening import Listening
from ser.memory.model import check_finite
from ser.memory.saved import SavedConversation
from ser.memory.state import State

SWITCHES = {
    "no_reads": Switches(reads=False),
    "no_writes": Switches(writes=False),
    "reset": Switches(resets=True),
    "no_momentum": Switches(momentum=False),
    "no_forgetting": Switches(forgetting=False),
}
HISTORIES = ("shuffled", "other_dialogue")
NAMES = (*SWITCHES, *HISTORIES)

# (utterance, slot of its speaker) of what was said before.
Said = Sequence[tuple[str, int]]


def predict_ablated(
    saved: SavedConversation, dialogues: Sequence[Dialogue], listening: Listening, name: str, seed: int = 0
) -> dict[str, tuple[Tensor, Tensor]]:
    """``predict_dialogues`` under an ablation.

    Args:
        saved: the model.
        dialogues: D of them; of whole sets, since ``other_dialogue`` takes the next one by name.
        listening: the host's input.
        name: one of ``NAMES``.
        seed: of the orders of ``shuffled``.

    Raises:
        UserError: for an unknown name, and as ``converse``.
    """
    if name in SWITCHES:
        return predict_dialogues(saved, dialogues, listening, SWITCHES[name])
    if name not in HISTORIES:
        raise UserError("no such ablation", value=name, hint=f"There are {', '.join(NAMES)}")
    found = {}
    for number, dialogue in enumerate(dialogues):
        if name == "shuffled":
            histories = shuffled(dialogue, saved.model.scope, seed)
        else:
            other = dialogues[(number + 1) % len(dialogues)]
            histories = borrowed(dialogue, other, saved.model.scope)
        found |= predict_after(saved, dialogue, histories, listening)
    return found


def shuffled(dialogue: Dialogue, scope: str, seed: int) -> Iterator[Said]:
    """For each utterance of a dialogue, those before it in an order of their own."""
    said = list(zip(dialogue.utterances, dialogue.slots(scope), strict=True))
    for n, utterance in enumerate(dialogue.utterances):
        order = np.random.default_rng(derive_seed(seed, "shuffled", utterance)).permutation(n)
        yield [said[place] for place in order]


def borrowed(dialogue: Dialogue, other: Dialogue, scope: str) -> Iterator[Said]:
    """For each utterance the first ones of another dialogue, over and over where it is shorter.

    With a state for each speaker, the other's speakers stand for this one's by the order of their first
    turns.
    """
    slots = len(dialogue.cast) if scope == "speaker" else 1
    theirs = zip(other.utterances, other.slots(scope), strict=True)
    said = [(utterance, slot % slots) for utterance, slot in theirs]
    for n in range(len(dialogue)):
        yield [said[place % len(said)] for place in range(n)]


@torch.no_grad()
def predict_after(
    saved: SavedConversation, dialogue: Dialogue, histories: Iterator[Said], listening: Listening
) -> dict[str, tuple[Tensor, Tensor]]:
    """Predictions of a dialogue's utterances, each after a history of its own, side by side.

    All N histories are written in step, the longest first, as so many dialogues; an utterance reads the
    state when its history has ended.
    """
    model, before = saved.model.eval(), list(histories)
    device = next(model.parameters()).device
    slots = dialogue.slots(model.scope)
    state = model.begin(len(dialogue), max([*slots, *(slot for said in before for _, slot in said)]) + 1)
    for turn in range(len(dialogue) - 1):
        # Histories have 0, 1, ... N - 1 utterances: those of n > turn write one more.
        rows = torch.arange(turn + 1, len(dialogue), device=device)
        said = [before[n][turn] for n in rows.tolist()]
        speaker = torch.tensor([slot for _, slot in said], device=device)
        heard = listening.take([utterance for utterance, _ in said]).to(device)
        _, _, written = model(heard, state.rows(rows), speaker)
        check_finite(written, [dialogue] * len(rows), [utterance for utterance, _ in said])
        state = with_rows(state, rows, written)
    heard = listening.take(list(dialogue.utterances)).to(device)
    outputs, vectors, _ = model(heard, state, torch.tensor(slots, device=device))
    values = in_label_units(outputs.float(), saved.attributes).cpu()
    return dict(zip(dialogue.utterances, zip(vectors.float().cpu(), values, strict=True), strict=True))


def with_rows(state: State, rows: Tensor, values: State) -> State:
    """The state with other dialogues' rows replaced."""
    return State(
        {name: old.clone().index_copy(0, rows, values.tensors[name]) for name, old in state.tensors.items()}
    )
