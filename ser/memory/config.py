"""Everything that a training on conversations can be told, as dataclasses: conf/*.yaml maps onto these.

The paper of memory as a layer (arXiv 2606.08573) gives no sizes, steps or recipe that are known here: every
default below is a reconstruction from Titans (arXiv 2501.00663), docs/memory.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ser.core.errors import UserError
from ser.downstream.config import TaskConfig
from ser.memory.hosts.audio_lm_config import AudioLMConfig

NAMES = {
    "memory": "MAL",
    "mean": "running mean",
    "gru": "GRU",
    "concatenated": "concatenated history",
    "none": "no history",
}


@dataclass
class EncoderHostConfig:
    """An upstream's features as a host: what its audio tokens are.

    Args:
        tokens: ``utterance``: one token, the pooled vector; ``frames``: the frames, which are averaged
            after the edit.
        layer: ``weighted`` learns a softmax-weighted sum of layers; a number takes that layer alone.
            Frames are those of ``ser extract --frames-layers``, and want a number.
        pooling: of ``utterance`` tokens: ``mean``, or mean and deviation (``mean+std`` of one layer,
            ``std_per_layer`` with weights), side by side.
        stride: so many ``frames`` are averaged to a token.
    """

    tokens: Literal["utterance", "frames"] = "utterance"
    layer: int | Literal["weighted"] = "weighted"
    pooling: Literal["mean", "mean+std", "std_per_layer"] = "std_per_layer"
    stride: int = 1

    def check(self) -> None:
        """Refuse what means nothing.

        Raises:
            UserError: naming the option.
        """
        if self.tokens == "utterance" and self.pooling == "mean+std" and self.layer == "weighted":
            raise UserError(
                "encoder.pooling mean+std is exact for one layer only", value="encoder.layer: weighted",
                hint="Name a layer, or use std_per_layer",
            )  # fmt: skip
        if self.tokens == "frames" and self.layer == "weighted":
            raise UserError("frames are kept of chosen layers", value="encoder.layer: weighted",
                            hint="Name the layer of ser extract --frames-layers")  # fmt: skip
        _at_least("encoder.stride", self.stride, 1)

    @property
    def statistics(self) -> int:
        """S: 1 for the mean alone, 2 with the deviation."""
        return 1 if self.pooling == "mean" else 2


@dataclass
class HistoryConfig:
    """What of the dialogue reaches an utterance.

    Args:
        kind: ``memory`` is the neural memory; at equal parameters, to compare with: ``mean`` (running mean of
            the utterances' vectors), ``gru`` (over utterances), ``concatenated`` (the last ``span``
            utterances' vectors); ``none`` is the host alone.
        scope: one state a dialogue, or one for each of its speakers (the speaker's own baseline).
        parameters: of the other kinds, at most so many: ``memory`` is what the neural memory of the
            group ``memory`` has on this host, so that they are compared at equal size; 0 takes ``width``.
        width: of the other kinds, where ``parameters`` is 0; the memory's is ``memory.width``.
        span: utterances that ``concatenated`` remembers.
    """

    kind: Literal["memory", "mean", "gru", "concatenated", "none"] = "memory"
    scope: Literal["dialogue", "speaker"] = "speaker"
    parameters: int | Literal["memory"] = "memory"
    width: int = 64
    span: int = 8

    def check(self) -> None:
        """Refuse sizes that are none.

        Raises:
            UserError: naming the option.
        """
        for name, least in (("width", 1), ("span", 1)):
            _at_least(f"history.{name}", getattr(self, name), least)
        if self.parameters != "memory":
            _at_least("history.parameters", self.parameters, 0)


@dataclass
class MemoryConfig:
    """The neural memory of Titans.

    Args:
        width: of keys, values and the memory's layers.
        depth: layers of the memory's network, 1 to 3; 1 is a matrix.
        persistent: learned tokens set before the utterance's.
        kernel: of the causal depthwise convolution of keys, values and queries; 1 is none.
        chunk: tokens whose gradients are taken at the same memory; 1 updates it token by token.
        gates: whether step, momentum and forgetting follow from each token or from the chunk's mean.
        step: theta at the start of training; a chunk's step is divided among its tokens.
        momentum: eta at the start; 0 is without, for good.
        forgetting: alpha at the start; 0 is without, for good.
    """

    width: int = 256
    depth: int = 2
    persistent: int = 8
    kernel: int = 4
    chunk: int = 64
    gates: Literal["token", "chunk"] = "token"
    step: float = 0.1
    momentum: float = 0.9
    forgetting: float = 0.01

    def check(self) -> None:
        """Refuse sizes and rates that are none.

        Raises:
            UserError: naming the option.
        """
        for name, least in (("width", 1), ("depth", 1), ("persistent", 0), ("kernel", 1), ("chunk", 1)):
            _at_least(f"memory.{name}", getattr(self, name), least)
        if self.depth > 3:
            raise UserError("memory.depth is 1 to 3", value=self.depth)
        if not 0 < self.step < 1:
            raise UserError("memory.step is between 0 and 1, both excluded", value=self.step)
        for name in ("momentum", "forgetting"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"memory.{name} is at least 0 and less than 1", value=getattr(self, name))


@dataclass
class ConversationHeadConfig:
    """From the host's vector to class scores and attribute values.

    Args:
        hidden: width of a hidden layer with ReLU; 0 is a linear head.
        dropout: before each layer.
    """

    hidden: int = 0
    dropout: float = 0.0


@dataclass
class ConversationOptimizerConfig:
    """AdamW over batches of dialogues.

    Args:
        lr: learning rate of memory and head.
        host_lr: of what is trained of the host (layer weights, LoRA); 0 takes ``lr``.
        weight_decay: decoupled weight decay.
        dialogues: dialogues a step.
        truncation: back-propagate through so many utterances, then detach; 0 goes through the dialogue.
        epochs: the most epochs.
        patience: stop after so many epochs without a better validation metric.
        gradient_clipping: the gradient's norm is cut down to this; 0 leaves it as it is.
        precision: of the host, ``no`` for float32, ``bf16`` or ``fp16`` mixed; memories stay in float32.
    """

    lr: float = 1e-3
    host_lr: float = 0.0
    weight_decay: float = 0.01
    dialogues: int = 8
    truncation: int = 8
    epochs: int = 40
    patience: int = 10
    gradient_clipping: float = 1.0
    precision: Literal["no", "bf16", "fp16"] = "no"

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: naming the option.
        """
        if not self.lr > 0:
            raise UserError("optimizer.lr must be positive", value=self.lr)
        for name, least in (
            *(("dialogues", 1), ("truncation", 0), ("epochs", 1), ("patience", 1)),
            *(("gradient_clipping", 0), ("host_lr", 0), ("weight_decay", 0)),
        ):
            _at_least(f"optimizer.{name}", getattr(self, name), least)


@dataclass
class ConversationValidationConfig:
    """How the epoch is chosen where the corpus has no validation set.

    Args:
        share: of the training utterances; whole dialogues, and where speakers are not all connected through
            shared dialogues, whole groups of speakers.
        metric: ``auto`` is UAR for classes, mean CCC for attributes, their mean for both.
    """

    share: float = 0.2
    metric: Literal["auto", "uar", "wa", "ccc"] = "auto"


@dataclass
class MalConfig:
    """One training recipe on conversations.

    Args:
        name: the system's name in tables; made of the options when empty.
        task: what is learnt.
        encoder: of features (``--feats``): what the audio tokens are.
        language_model: of an audio language model (``--host``).
        history: what of the dialogue reaches an utterance.
        memory: the neural memory, where ``history.kind`` is ``memory``.
        head: from vectors to predictions.
        optimizer: the optimiser.
        validation: how the epoch is chosen.
    """

    name: str = ""
    task: TaskConfig = field(default_factory=TaskConfig)
    encoder: EncoderHostConfig = field(default_factory=EncoderHostConfig)
    language_model: AudioLMConfig = field(default_factory=AudioLMConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    head: ConversationHeadConfig = field(default_factory=ConversationHeadConfig)
    optimizer: ConversationOptimizerConfig = field(default_factory=ConversationOptimizerConfig)
    validation: ConversationValidationConfig = field(default_factory=ConversationValidationConfig)

    def check(self) -> None:
        """Refuse combinations that mean nothing.

        Raises:
            UserError: naming the option, its value and the remedy.
        """
        for part in (self.task, self.encoder, self.language_model, self.history, self.memory, self.optimizer):
            part.check()
        if self.task.soft:
            what = "votes are not learnt from here"
            raise UserError(what, value=f"task.soft_weight: {self.task.soft_weight:g}", hint="Set it to 0")
        _at_least("head.hidden", self.head.hidden, 0)
        for name, value in (("head.dropout", self.head.dropout), ("validation.share", self.validation.share)):
            if not 0 <= value < 1:
                raise UserError(f"{name} must be at least 0 and less than 1", value=value)

    def describe(self) -> tuple[str, list[str]]:
        """(name for tables, notable options)."""
        history, memory = self.history, self.memory
        options = [] if history.kind == "none" else [f"state by {history.scope}"]
        if history.kind == "memory":
            options.append(f"memory depth {memory.depth}, width {memory.width}")
            options += [] if memory.momentum else ["no momentum"]
            options += [] if memory.forgetting else ["no forgetting"]
        if history.kind == "concatenated":
            options.append(f"{history.span} utterances")
        return self.name or NAMES[history.kind], options + self.task.describe()


def _at_least(name: str, value: float, least: float) -> None:
    """Refuse a number that is too small."""
    if not value >= least:
        raise UserError(f"{name} must be at least {least}", value=value)
