"""How an audio language model hosts a memory: prompt, place of the memory, kind of answer, LoRA."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ser.core.errors import UserError

PLACEHOLDER = "{classes}"


@dataclass
class LoraOptions:
    """LoRA in the language model (Hu et al. 2022): W x + (alpha / r) B A x, with B = 0 at first.

    Args:
        rank: r; 0 is no LoRA.
        alpha: what it adds is weighed by alpha / r.
        targets: linear modules of every decoder layer that get it, by transformers' names.
        dropout: of its input, in training.
    """

    rank: int = 0
    alpha: float = 16.0
    targets: list[str] = field(default_factory=lambda: ["q_proj", "v_proj"])
    dropout: float = 0.0


@dataclass
class AudioLMConfig:
    """An audio language model as host.

    The paper on MAL (arXiv 2606.08573) leaves all of this open in what we know of it: every default here
    is our choice.

    Args:
        prompt: what the model is asked, after the audio; ``{classes}`` stands for the words of the classes.
        template: ``chat``, the model's own template, for models that follow instructions; ``plain``, the
            audio and then the prompt and nothing else, for models that only continue text.
        insertion: ``projector``, between the multi-modal projector and the language model's input;
            ``layer``, before decoder layer ``layer`` at the rows of the audio tokens.
        layer: from 0; read with insertion ``layer`` only.
        answer: ``head``, a classifier on the last hidden state; ``word``, the class's word.
        words: class -> word, where it is not the class's name.
        lora: of the language model; everything else in the host is frozen.
        precision: of the host's weights; memory and LoRA are float32 always.
        longer: audio longer than the model takes (Qwen2-Audio: 30 s) is refused, or ``cut``, with a warning:
            its beginning is heard.
        max_new_tokens: of generation.
        checkpointing: compute the decoder's activations twice rather than keep them in training; goes with
            insertion ``projector``.
    """

    prompt: str = "What is the emotion of the speaker? Answer with one word of: {classes}."
    template: Literal["chat", "plain"] = "chat"
    insertion: Literal["projector", "layer"] = "projector"
    layer: int = 0
    answer: Literal["head", "word"] = "head"
    words: dict[str, str] = field(default_factory=dict)
    lora: LoraOptions = field(default_factory=LoraOptions)
    precision: Literal["float32", "bf16"] = "float32"
    longer: Literal["refuse", "cut"] = "refuse"
    max_new_tokens: int = 8
    checkpointing: bool = False

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            UserError: naming the option and its value.
        """
        if not self.prompt.strip():
            raise UserError("language_model.prompt is empty", hint=f"{PLACEHOLDER} stands for the classes")
        for found in re.findall(r"\{[^{}]*\}", self.prompt):
            if found != PLACEHOLDER:
                raise UserError(
                    "unknown placeholder in language_model.prompt",
                    value=found,
                    hint=f"Known is {PLACEHOLDER}",
                )
        if self.layer < 0:
            raise UserError("language_model.layer must be at least 0", value=self.layer)
        if self.max_new_tokens < 1:
            raise UserError("language_model.max_new_tokens must be at least 1", value=self.max_new_tokens)
        if self.checkpointing and self.insertion == "layer":
            # The layers behind a checkpoint run twice, and a memory must be read and written once.
            raise UserError(
                "language_model.checkpointing goes with insertion projector", value=self.insertion,
                hint="Set language_model.checkpointing to false",
            )  # fmt: skip
        lora = self.lora
        if lora.rank < 0:
            raise UserError("language_model.lora.rank must be at least 0", value=lora.rank)
        if not 0 < lora.alpha < math.inf:
            raise UserError("language_model.lora.alpha must be above 0", value=lora.alpha)
        if not lora.targets or len(set(lora.targets)) < len(lora.targets):
            raise UserError("language_model.lora.targets must be names, each once", value=lora.targets)
        if not 0 <= lora.dropout < 1:
            raise UserError("language_model.lora.dropout must be at least 0, less than 1", value=lora.dropout)

    def words_of(self, classes: Sequence[str]) -> list[str]:
        """What the model says for each class, in order.

        Raises:
            UserError: a word for no class, an empty word, or one word for two classes.
        """
        for name in self.words:
            if name not in classes:
                raise UserError(
                    "language_model.words names a class that is not there", value=name,
                    hint=f"The classes are: {', '.join(classes)}",
                )  # fmt: skip
        words = [self.words.get(name, name).strip() for name in classes]
        for name, word in zip(classes, words, strict=True):
            if not word:
                raise UserError("the word of a class is empty", value=name, hint="See language_model.words")
            if words.count(word) > 1:
                raise UserError("two classes have the same word", value=word, hint="See language_model.words")
        return words

    def question(self, classes: Sequence[str]) -> str:
        """The prompt with the words of the classes in it."""
        return self.prompt.replace(PLACEHOLDER, ", ".join(self.words_of(classes)))

    def describe_insertion(self) -> str:
        """For tables."""
        if self.insertion == "projector":
            return "output of the multi-modal projector"
        return f"audio tokens before decoder layer {self.layer}"
