"""A host, what reaches it of the dialogue, and a head; run through dialogues in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.memory.config import ConversationHeadConfig
from ser.memory.dialogues import Dialogue
from ser.memory.history import ALL_ON, History, Seen, Switches
from ser.memory.hosts.base import AnsweringHost, Edit, Heard, Host
from ser.memory.listening import Listening
from ser.memory.state import State


class _Edit:
    """The one edit of an utterance's tokens; the state after it is written when it is asked for."""

    def __init__(self, history: History | None, state: State, speaker: Tensor, switches: Switches) -> None:
        self._history, self._before, self._speaker, self._switches = history, state, speaker, switches
        self._seen: Seen | None = None

    @property
    def used(self) -> Edit | None:
        """What the host is given; None where there is no history."""
        return None if self._history is None else self

    def __call__(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        edited, self._seen = self._history.look(tokens, lengths, self._before, self._speaker, self._switches)
        return edited

    def after(self) -> State:
        """The state for the next utterance."""
        if self._seen is None:
            return self._before
        return self._history.keep(self._seen, self._before, self._speaker, self._switches)


class ConversationModel(nn.Module):
    """Predicts an utterance from its audio and the state of its dialogue.

    Args:
        host: frozen, but for what it trains of itself.
        history: edits its tokens; None for the host alone.
        head: config of the head; None where the host answers in words.
        outputs: K + A.
        scope: ``dialogue`` or ``speaker``: whose state it is.
    """

    def __init__(
        self,
        host: Host,
        history: History | None,
        head: ConversationHeadConfig | None,
        outputs: int,
        scope: str,
    ) -> None:
        super().__init__()
        self.host, self.history, self.scope = host, history, scope
        self.head = None if head is None else make_head(head, host.info.width, outputs)

    def begin(self, dialogues: int, slots: int = 1) -> State:
        """The state of dialogues of which nothing was heard."""
        return State({}) if self.history is None else self.history.begin(dialogues, slots)

    def forward(
        self, heard: Heard, state: State, speaker: Tensor, switches: Switches = ALL_ON
    ) -> tuple[Tensor, Tensor, State]:
        """One utterance of each of B dialogues.

        Args:
            heard: of the utterances.
            state: of the dialogues, before them.
            speaker: slot of who speaks, ``(B,)``.
            switches: what is left on.

        Returns:
            outputs ``(B, K + A)``, class scores first; vectors ``(B, H)``, which are the scores where
            the host answers in words; the state after the utterances.
        """
        outputs, vectors, after = self.answer(heard, state, speaker, switches)
        return outputs, vectors, after()

    def answer(
        self, heard: Heard, state: State, speaker: Tensor, switches: Switches = ALL_ON
    ) -> tuple[Tensor, Tensor, Callable[[], State]]:
        """The same, but for the state, which is written when it is called for: the answer need not wait."""
        edit = _Edit(self.history, state, speaker, switches)
        if self.head is None:
            outputs = vectors = self._answering().word_scores(heard, edit.used)
        else:
            vectors = self.host(heard, edit.used)
            outputs = self.head(vectors)
        return outputs, vectors, edit.after

    def generate(
        self, heard: Heard, state: State, speaker: Tensor, switches: Switches = ALL_ON
    ) -> tuple[list[str], State]:
        """What a language model says of its own accord; arguments and state as those of ``forward``.

        Raises:
            UserError: for a host that says nothing.
        """
        edit = _Edit(self.history, state, speaker, switches)
        return self._answering().generate(heard, edit.used), edit.after()

    def _answering(self) -> AnsweringHost:
        """The host, which must be a language model."""
        if not isinstance(self.host, AnsweringHost):
            raise UserError("this host has no words", value=self.host.info.name, hint="Leave out --generate")
        return self.host

    def trained_state(self) -> dict[str, Tensor]:
        """All that training sets, by name: of the host only what belongs with the adapter."""
        state = {f"host.{name}": value for name, value in self.host.trained_state().items()}
        for name in ("history", "head"):
            part = getattr(self, name)
            if part is not None:
                state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        return state

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Put ``trained_state`` back.

        Raises:
            RuntimeError: when names or shapes do not agree.
        """
        parts: dict[str, dict[str, Tensor]] = {"host": {}, "history": {}, "head": {}}
        for name, value in state.items():
            part, _, key = name.partition(".")
            if part not in parts:
                raise RuntimeError(f"no such part of the model: {name}")
            parts[part][key] = value
        self.host.load_trained_state(parts["host"])
        for name in ("history", "head"):
            own = getattr(self, name)
            if (own is None) != (not parts[name]):
                raise RuntimeError(f"the model has {'no' if own is None else 'a'} {name}, the checkpoint not")
            if own is not None:
                own.load_state_dict(parts[name])

    def trained_parameters(self) -> int:
        """Parameters that training sets."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


def make_head(config: ConversationHeadConfig, inputs: int, outputs: int) -> nn.Sequential:
    """Linear, or one hidden layer with ReLU; all scores start at zero."""
    layers: list[nn.Module] = [nn.Dropout(config.dropout)]
    if config.hidden:
        layers += [nn.Linear(inputs, config.hidden), nn.ReLU(), nn.Dropout(config.dropout)]
    layers.append(nn.Linear(config.hidden or inputs, outputs))
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Step:
    """The n-th utterances of a batch of dialogues.

    Args:
        utterances: b of them: those dialogues that are so long.
        outputs: ``(b, K + A)``.
        vectors: ``(b, H)``.
        last: whether gradients stop here: the state is detached before the next step.
    """

    utterances: list[str]
    outputs: Tensor
    vectors: Tensor
    last: bool


def converse(
    model: ConversationModel,
    dialogues: Sequence[Dialogue],
    listening: Listening,
    switches: Switches = ALL_ON,
    truncation: int = 0,
) -> Iterator[Step]:
    """Run dialogues side by side, utterance by utterance; each begins with a fresh state and ends with none.

    Args:
        model: hears them.
        dialogues: B of them, the longest first; those that end drop out.
        listening: gives the host's input.
        switches: what is left on.
        truncation: detach the state after so many utterances; 0 for never.

    Raises:
        UserError: when a memory is no longer finite, with dialogue and utterance.
    """
    device = next(model.parameters()).device
    slots = [dialogue.slots(model.scope) for dialogue in dialogues]
    state = model.begin(len(dialogues), max(max(each) for each in slots) + 1)
    longest = len(dialogues[0])
    for n in range(longest):
        active = sum(len(dialogue) > n for dialogue in dialogues)
        utterances = [dialogue.utterances[n] for dialogue in dialogues[:active]]
        state = state.first(active)
        speaker = torch.tensor([each[n] for each in slots[:active]], device=device)
        heard = listening.take(utterances).to(device)
        outputs, vectors, state = model(heard, state, speaker, switches)
        check_finite(state, dialogues[:active], utterances)
        last = n + 1 == longest or (bool(truncation) and (n + 1) % truncation == 0)
        yield Step(utterances, outputs, vectors, last)
        if last:
            state = state.detach()


def check_finite(state: State, dialogues: Sequence[Dialogue], utterances: Sequence[str]) -> None:
    """Refuse to go on with a memory that holds NaN or infinity.

    Raises:
        UserError: naming the first dialogue and the utterance that was written.
    """
    if not state.tensors:
        return
    finite = state.finite()
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise UserError(
            f"the memory of dialogue {dialogues[row].name} is not finite after its inner update",
            value=utterances[row],
            hint="Lower memory.step or optimizer.lr; look at this utterance's audio and features",
        )
