"""The tokens around the audio tokens, and those of the answers.

prompt   before | audio tokens | after      the model's template, rendered once and split at the audio
answer   tokens of the word | end of turn
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm_config import AudioLMConfig


@dataclass(frozen=True)
class Prompt:
    """Token numbers of a prompt and its answers.

    Args:
        before: in front of the audio tokens.
        after: behind them.
        answers: of each class's word, without the end of turn.
        end: the end of turn.
    """

    before: list[int]
    after: list[int]
    answers: list[list[int]]
    end: int


@dataclass(frozen=True)
class Writer:
    """What turns words into tokens.

    Args:
        where: the model, for messages.
        tokenizer: of the model.
        template: what has ``apply_chat_template``: its processor, or the tokenizer.
        audio_token: the number that stands for an audio token.
        before, after: special tokens around the audio in a prompt without a template.
    """

    where: str
    tokenizer: Any
    template: Any
    audio_token: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    def tokens(self, text: str) -> list[int]:
        """Token numbers of text; special tokens only where it spells them."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def special(self, token: str) -> int:
        """Number of a special token."""
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def chat(self, question: str, answer: str | None = None) -> list[int]:
        """The chat that asks ``question`` of an audio: up to the answer, or with it.

        Raises:
            UserError: for a model without a chat template.
        """
        if not getattr(self.template, "chat_template", None):
            raise UserError(
                "no chat template with this model", file=self.where,
                hint="Set language_model.template to plain",
            )  # fmt: skip
        parts = [{"type": "audio", "audio": ""}, {"type": "text", "text": question}]
        turns: list[dict[str, Any]] = [{"role": "user", "content": parts}]
        if answer is not None:
            turns.append({"role": "assistant", "content": answer})
        text = self.template.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer is None)
        return self.tokens(text)

    def plain(self, question: str) -> list[int]:
        """The audio between its special tokens, then the question."""
        first = list(self.tokenizer("").input_ids)[:1]  # an end of text may stand here instead
        first = [token for token in first if token == self.tokenizer.bos_token_id]
        before, after = ([self.special(token) for token in part] for part in (self.before, self.after))
        return [*first, *before, self.audio_token, *after, *self.tokens(question)]

    def end_of_turn(self, question: str) -> int | None:
        """The special token that the template writes behind an answer; else the end of text."""
        asked, answered = self.chat(question), self.chat(question, answer="yes")
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.get_added_vocab().values()}
        written = answered[len(asked) :] if answered[: len(asked)] == asked else []
        return next((token for token in written if token in special), self.tokenizer.eos_token_id)


class MistralWriter(Writer):
    """Voxtral's own files have no template: ``mistral-common`` writes the chat, around audio it is given."""

    def special(self, token: str) -> int:
        """See :meth:`Writer.special`: text never spells a special token here, and they come first."""
        numbers = range(self.tokenizer.vocab_size)
        return next(number for number in numbers if self.tokenizer.convert_ids_to_tokens(number) == token)

    def chat(self, question: str, answer: str | None = None) -> list[int]:
        """See :meth:`Writer.chat`; up to the answer in any case."""
        wave = io.BytesIO()
        soundfile.write(wave, np.zeros(16000, dtype=np.float32), 16000, format="WAV")
        audio = {"type": "audio", "base64": base64.b64encode(wave.getvalue()).decode()}
        turn = {"role": "user", "content": [audio, {"type": "text", "text": question}]}
        return list(self.tokenizer.apply_chat_template([turn], tokenize=True, return_dict=True)["input_ids"])

    def end_of_turn(self, question: str) -> int | None:
        """See :meth:`Writer.end_of_turn`: Mistral's answers end with the end of text."""
        return self.tokenizer.eos_token_id


def writer_for(tokenizer: Any) -> type[Writer]:
    """The writer for a tokenizer: one of transformers, or that of ``mistral-common``."""
    return MistralWriter if type(tokenizer).__name__.startswith("MistralCommon") else Writer


def make_prompt(config: AudioLMConfig, classes: Sequence[str], writer: Writer) -> Prompt:
    """Tokens of the prompt and of the answers.

    Raises:
        UserError: a model without a chat template, a template without audio, a word without tokens.
    """
    question, chat = config.question(classes), config.template == "chat"
    ids = writer.chat(question) if chat else writer.plain(question)
    audio = [i for i, token in enumerate(ids) if token == writer.audio_token]
    if not audio or audio[-1] - audio[0] + 1 != len(audio):
        raise UserError(
            "the prompt must hold the audio once", file=writer.where, value=f"{len(audio)} audio tokens",
            hint="Look at the model's chat template, or set language_model.template to plain",
        )  # fmt: skip
    # After a chat's last line the word stands alone; text that goes on has a space before it.
    answers = [writer.tokens(word if chat else f" {word}") for word in config.words_of(classes)]
    for name, answer in zip(classes, answers, strict=True):
        if not answer:
            raise UserError("the word of a class has no tokens", file=writer.where, value=name)
    end = writer.end_of_turn(question) if chat else writer.tokenizer.eos_token_id
    if end is None:
        raise UserError("the tokenizer has no end of text (eos_token)", file=writer.where)
    return Prompt(before=ids[: audio[0]], after=ids[audio[-1] + 1 :], answers=answers, end=end)
