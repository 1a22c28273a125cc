"""A conversation as it happens: an utterance in, a label out, and the state stays with the caller.

>>> listener = Listener.load("exp/whisper_memory")               # doctest: +SKIP
>>> conversation = listener.begin()                              # doctest: +SKIP
>>> for file, speaker in turns:                                  # doctest: +SKIP
...     answer, conversation = listener(file, conversation, speaker)
...     print(answer.label, answer.probabilities)

A conversation can be kept (``save``, ``load``), and one listener may follow many at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.data.windows import windows_of
from ser.downstream.recogniser import Recognition, as_recognition, samples_in_groups
from ser.downstream.saved import in_label_units
from ser.engine.checkpoint import read_metadata, read_state, save_state
from ser.memory.dialogues import Dialogue
from ser.memory.experiment import ConversationExperiment
from ser.memory.model import check_finite
from ser.memory.predict import Predictor
from ser.memory.saved import SavedConversation
from ser.memory.state import State

KIND = "conversation state"


@dataclass(frozen=True)
class Conversation:
    """What is kept of a conversation: constant in its length.

    Args:
        state: of one dialogue.
        speakers: who has spoken, a slot each where the state is by speaker.
        turn: number of the last utterance; 0 before the first.
    """

    state: State
    speakers: tuple[str, ...] = ()
    turn: int = 0
    name: str = field(default="conversation", compare=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as safetensors, whole or not at all."""
        metadata = {"kind": KIND, "speakers": list(self.speakers), "turn": self.turn, "name": self.name}
        save_state(path, dict(self.state.tensors), metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Conversation:
        """Read what ``save`` wrote.

        Raises:
            UserError: when it is something else.
        """
        metadata = read_metadata(path)
        if metadata.get("kind") != KIND:
            raise UserError("not the state of a conversation", file=path)
        return cls(State(read_state(path)), tuple(metadata["speakers"]), metadata["turn"], metadata["name"])


class Listener:
    """A trained model that follows conversations.

    Args:
        saved: the model.
        device: where it runs.
    """

    def __init__(self, saved: SavedConversation, device: torch.device) -> None:
        self.saved, self.model, self.device = saved, saved.model.eval(), device

    @classmethod
    def load(
        cls, experiment: str | os.PathLike[str], seed: int | None = None, fold: str | None = None,
        device: str = "auto",
    ) -> Listener:  # fmt: skip
        """Load one trained fold of an experiment; there must be one alone, or seed and fold name it.

        Raises:
            UserError: when there is none, or there are several.
        """
        predictor = Predictor(ConversationExperiment(Path(experiment)), device)
        wanted = [
            folder
            for folder in predictor.experiment.fold_dirs()
            if seed in (None, int(folder.parent.name.removeprefix("seed")))
            and fold in (None, folder.name.removeprefix("fold"))
        ]
        if len(wanted) != 1:
            raise UserError(
                f"{len(wanted)} trained models fit, and a conversation is followed by one", file=experiment,
                hint="Name it by seed and fold",
            )  # fmt: skip
        saved = SavedConversation.load(wanted[0] / "model.safetensors", predictor.stage.model)
        return cls(saved, predictor.stage.device)

    def begin(self, name: str = "conversation") -> Conversation:
        """A conversation in which nothing was said."""
        return Conversation(self.model.begin(1).detach(), name=name)

    def __call__(
        self,
        audio: str | os.PathLike[str] | np.ndarray,
        conversation: Conversation,
        speaker: str | None = None,
        turn: int | None = None,
        rate: int | None = None,
    ) -> tuple[Recognition, Conversation]:
        """Hear the next utterance.

        Args:
            audio: a file, or samples ``(T,)`` or ``(T, channels)`` with their ``rate``.
            conversation: what was before; it is not changed.
            speaker: who speaks; needed where the state is by speaker.
            turn: its number, to be told of utterances out of order; the next by default.
            rate: of samples, Hz.

        Returns:
            what is recognised, and the conversation after it.

        Raises:
            UserError: for broken audio, no speaker where one is needed, a turn that is not after the last,
                the state of another model, or a memory that is no longer finite.
        """
        found, remember = self.answer(audio, conversation, speaker, turn, rate)
        return found, remember()

    @torch.no_grad()
    def answer(
        self,
        audio: str | os.PathLike[str] | np.ndarray,
        conversation: Conversation,
        speaker: str | None = None,
        turn: int | None = None,
        rate: int | None = None,
    ) -> tuple[Recognition, Callable[[], Conversation]]:
        """The same, but for the memory, which is written when the second result is called: after the answer.

        Arguments and errors as those of a call; of a memory that is not finite the second result tells.
        """
        turn = conversation.turn + 1 if turn is None else turn
        if turn <= conversation.turn:
            raise UserError(
                "an utterance out of order, or heard before",
                value=f"turn {turn} after turn {conversation.turn}",
                hint="Give utterances in the order in which they were said",
            )  # fmt: skip
        if self.model.history is not None:
            conversation.state.check(self.model.history.start())
        slot, speakers, state = self._slot(conversation, speaker)
        wave = self._samples(audio, rate)
        heard = self.model.host.hear([wave]).to(self.device)
        here = torch.tensor([slot], device=self.device)
        outputs, _, write = self.model.answer(heard, state.to(self.device), here)
        values = in_label_units(outputs.float(), self.saved.attributes)[0].tolist()
        seconds = len(wave) / self.model.host.info.sample_rate
        found = as_recognition(0.0, seconds, values, self.saved.classes, self.saved.attributes)

        @torch.no_grad()
        def remember() -> Conversation:
            after, name = write(), f"turn {turn}"
            check_finite(after, [Dialogue(conversation.name, (name,), (speaker or "",))], [name])
            return Conversation(after, speakers, turn, conversation.name)

        return found, remember

    def follow(
        self, turns: Sequence[tuple[str | os.PathLike[str], str | None]], name: str = "conversation"
    ) -> list[Recognition]:
        """A whole conversation: (file, speaker) of every turn -> what is recognised."""
        conversation, found = self.begin(name), []
        for audio, speaker in turns:
            answer, conversation = self(audio, conversation, speaker)
            found.append(answer)
        return found

    def _slot(self, before: Conversation, speaker: str | None) -> tuple[int, tuple[str, ...], State]:
        """Slot of the speaker, all speakers, and the state with a slot for each of them."""
        if self.model.history is None or self.model.scope == "dialogue":
            return 0, before.speakers, before.state
        if not speaker:
            raise UserError("the memory is by speaker, and nobody is named as speaker", value=speaker,
                            hint="Say who speaks, or train with history.scope: dialogue")  # fmt: skip
        if speaker in before.speakers:
            return before.speakers.index(speaker), before.speakers, before.state
        speakers = (*before.speakers, speaker)
        if len(speakers) == 1:
            return 0, speakers, before.state
        fresh = self.model.begin(1).detach().to(self.device).tensors
        old = before.state.to(self.device).tensors
        grown = {key: torch.cat([value, fresh[key]], dim=1) for key, value in old.items()}
        return len(speakers) - 1, speakers, State(grown)

    def _samples(self, audio: str | os.PathLike[str] | np.ndarray, rate: int | None) -> np.ndarray:
        """Mono samples ``(T,)`` at the host's rate."""
        wanted, whole = self.model.host.info.sample_rate, math.inf
        if isinstance(audio, np.ndarray):
            [[(_, wave)]] = samples_in_groups(audio, rate, wanted, whole, whole)
            return wave
        [window] = windows_of(Path(audio), whole, whole)
        return window.read(wanted)
