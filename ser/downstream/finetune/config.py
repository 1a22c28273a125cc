"""Everything that fine-tuning can be told, as dataclasses: conf/*.yaml maps onto these.

Tran et al. (Interspeech 2023) state the interpreter, the loss and the frozen convolutions; learning rates,
batch, epochs and dropout are open there, and the defaults here are this project's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import GenderConfig, TextConfig
from ser.downstream.config import TaskConfig, ValidationConfig, read_option
from ser.downstream.finetune.adapters import AdapterConfig
from ser.downstream.finetune.augment import AugmentConfig
from ser.downstream.finetune.unfreezing import UnfreezeConfig


@dataclass
class EncoderConfig:
    """What of the encoder is trained.

    Args:
        trainable: ``all``; ``no_cnn`` (all but the convolutional front end); ``top:<n>`` (the last n
            layers); ``none`` (the head alone, and adapters).
        speakers: train the speaker network of a personalised encoder too (open in the paper; test speakers'
            vectors would stay as they are while training speakers' move).
        layer: hidden state that is pooled over time: -1 is the last, ``weighted`` a learned
            softmax-weighted sum of all, ``attm`` attentive merging (see ``ser.downstream.finetune.attm``).
        merge_up_to: ``weighted`` and ``attm`` merge the states up to this layer, and the encoder stops there;
            0 for all. Pan et al. merge the first 12 layers of WavLM-large.
        dropout: in the encoder's feed-forward parts and projections while training; ``own`` for what its
            config.json has in each place. Layers are never dropped and frames never masked.
        checkpointing: throw a layer's activations away and compute them again, for utterances too long
            for the GPU even one at a time.
        normalise: waveforms by the encoder's ``own`` rule, or by the ``global`` mean and deviation of all
            training audio instead, which are kept in the model (Odyssey 2024 baseline).
        adapter: LoRA or bottleneck adapters in every layer; the encoder's own weights are then frozen
            (``trainable: none``), or all but the last layers' (``top:<n>``).
    """

    trainable: str = "no_cnn"
    speakers: bool = False
    layer: int | Literal["weighted", "attm"] = -1
    merge_up_to: int = 0
    dropout: float | Literal["own"] = 0.0
    checkpointing: bool = False
    normalise: Literal["own", "global"] = "own"
    adapter: AdapterConfig = field(default_factory=AdapterConfig)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> EncoderConfig:
        """What ``dataclasses.asdict`` made of one, of this release or of an older one."""
        return cls(**plain | {"adapter": AdapterConfig(**plain.get("adapter", {}))})


@dataclass
class PoolingConfig:
    """From frames to the utterance vector; see ``ser.downstream.finetune.frame_pooling``.

    Args:
        method: ``mean``; ``mean+std``; ``attention``, the weighted mean; ``attentive``, attentive statistics,
            the weighted mean and deviation.
        width: rows of attention's W; 0 for as many as a frame has numbers, as in the Odyssey 2024 baseline.
        lstm: width of an LSTM that frames go through first, 192 in Pan et al. (Interspeech 2024); 0 for none.
    """

    method: Literal["mean", "mean+std", "attention", "attentive"] = "mean"
    width: int = 0
    lstm: int = 0


@dataclass
class InterpreterConfig:
    """From the utterance vector to predictions: FC, ReLU, dropout, BatchNorm a width, then FC.

    Args:
        hidden: widths; the paper's.
        dropout: open in the paper.
        input_dropout: of the utterance vector.
        norm: ``batch``, the paper's; ``layer``, a LayerNorm between FC and ReLU, as in the Odyssey 2024
            baseline; ``none``.
        start: the last FC's weights at first: ``zero``, no class and no value before another, or
            ``random`` as torch has them.
        scale: what attributes are learnt in: ``deviation``, (y - mean) / deviation of the training labels;
            ``range``, (y - min) / (max - min) of the corpus's scale. CCC is the same in both; they differ in
            where an untrained head begins.
        statistics: so many training utterances are encoded again before each validation, for BatchNorm's
            statistics to be those of the weights as they are (see ``heads.settle_batchnorm``); 0 leaves
            them the running averages of training.
        input_norm: ``batch`` standardises the utterance vector by a BatchNorm, as ``ser train`` does by the
            training set: dimensions of an encoder's frames differ in size by orders of magnitude.
    """

    hidden: list[int] = field(default_factory=lambda: [128, 32])
    dropout: float = 0.2
    input_dropout: float = 0.0
    norm: Literal["batch", "layer", "none"] = "batch"
    start: Literal["zero", "random"] = "zero"
    scale: Literal["deviation", "range"] = "deviation"
    statistics: int = 512
    input_norm: Literal["none", "batch"] = "none"


@dataclass
class BatchConfig:
    """What makes a step.

    Args:
        size: utterances a step, over all processes together. BatchNorm and CCC see all of them.
        micro_seconds: bound on the seconds of audio that the encoder is given at once, padding included;
            memory depends on it, gradients do not.
        max_seconds: longer utterances are cut to it at a random place while training; 0 leaves them whole.
            Validation and prediction hear whole utterances.
        order: which of a step's utterances the encoder is given at once: ``bucket``, those of like length, so
            that there is little padding; ``shuffle``, as they come. Gradients do not depend on it either.
        kept_seconds: activations of so many seconds of audio, padding included, are kept for the backward
            pass, and those of the others computed anew in it; 0 keeps the last micro-batch's. Gradients do
            not depend on it; what is kept costs no second forward pass.
    """

    size: int = 32
    micro_seconds: float = 30.0
    max_seconds: float = 12.0
    order: Literal["bucket", "shuffle"] = "bucket"
    kept_seconds: float = 0.0


@dataclass
class OptimizerConfig:
    """AdamW and its schedule.

    Args:
        lr: peak learning rate of the encoder's last layer.
        layer_decay: layer l of L has the learning rate lr * layer_decay^(L - l).
        head_lr: peak learning rate of the interpreter and of layer weights.
        weight_decay: decoupled; biases, norms and layer weights have none.
        schedule: after the warm-up the rates fall to 0 (``linear``) or stay (``constant``).
        warmup: share of the steps in which the rates rise from 0.
        clip: bound on the norm of all gradients together; 0 for none.
        epochs: the most passes over the data; the schedule's length.
        patience: stop after so many epochs without a better validation metric.
    """

    lr: float = 1e-5
    layer_decay: float = 1.0
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["linear", "constant"] = "linear"
    warmup: float = 0.1
    clip: float = 1.0
    epochs: int = 10
    patience: int = 5


@dataclass
class FinetuneConfig:
    """One recipe of fine-tuning.

    Args:
        name: the system's name in tables; made of the options when empty.
        task: what is learnt.
        encoder: what of the encoder is trained.
        pooling: from frames to the utterance vector.
        interpreter: the head.
        gender: how the speaker's gender enters, or is learnt beside.
        text: how the words enter.
        batches: what makes a step.
        augment: how training audio is changed.
        optimizer: the optimiser.
        unfreeze: when the encoder begins to learn.
        validation: how the best epoch is chosen; ``held_out`` or ``utterances``.
        precision: ``no`` for float32; ``bf16`` and ``fp16`` run the encoder in mixed precision on a GPU.
    """

    name: str = ""
    task: TaskConfig = field(default_factory=TaskConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pooling: PoolingConfig = field(default_factory=PoolingConfig)
    interpreter: InterpreterConfig = field(default_factory=InterpreterConfig)
    gender: GenderConfig = field(default_factory=GenderConfig)
    text: TextConfig = field(default_factory=TextConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    unfreeze: UnfreezeConfig = field(default_factory=UnfreezeConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    precision: Literal["no", "bf16", "fp16"] = "no"

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            UserError: naming the option, its value and the remedy.
        """
        self.task.check()
        self.gender.check()
        self.text.check()
        self.encoder.adapter.check()
        self.augment.check()
        self.unfreeze.check(self.optimizer.epochs)
        if not re.fullmatch(r"all|no_cnn|none|top:[1-9]\d*", self.encoder.trainable):
            raise UserError(
                "encoder.trainable must be all, no_cnn, top:<n> or none", value=self.encoder.trainable
            )
        adapted = self.encoder.adapter.kind != "none"
        if adapted and self.encoder.trainable in ("all", "no_cnn"):
            raise UserError(
                "adapters stand in for the encoder's own weights",
                value=f"encoder.trainable: {self.encoder.trainable}",
                hint="Set encoder.trainable: none, or top:<n> for its last layers beside the adapters",
            )  # fmt: skip
        if (self.unfreeze.after or self.unfreeze.every) and self.encoder.trainable == "none" and not adapted:
            raise UserError(
                "unfreeze says when the encoder begins to learn, and it never does",
                value="encoder.trainable: none",
                hint="Train some of it, or leave unfreeze out",
            )  # fmt: skip
        if self.validation.method == "inner_folds":
            raise UserError(
                "fine-tuning chooses the epoch on one validation part",
                value="validation.method: inner_folds",
                hint="Use held_out: every inner fold would fine-tune an encoder of its own",
            )
        if not all(width >= 1 for width in self.interpreter.hidden):
            raise UserError("interpreter.hidden must be widths of at least 1", value=self.interpreter.hidden)
        shares = [("encoder.dropout", 0.0, 1.0)] if self.encoder.dropout != "own" else []
        for name, low, high in (
            *shares,
            ("interpreter.dropout", 0.0, 1.0),
            ("interpreter.input_dropout", 0.0, 1.0),
            ("optimizer.warmup", 0.0, 1.0),
        ):
            value = read_option(self, name)
            if not low <= value < high:
                raise UserError(f"{name} must be at least {low:g} and less than {high:g}", value=value)
        for name, least in (
            ("optimizer.epochs", 1),
            ("optimizer.patience", 1),
            ("optimizer.clip", 0),
            ("optimizer.weight_decay", 0),
            ("batches.max_seconds", 0),
            ("batches.kept_seconds", 0),
            ("interpreter.statistics", 0),
            ("encoder.merge_up_to", 0),
            ("pooling.width", 0),
            ("pooling.lstm", 0),
        ):
            if not read_option(self, name) >= least:
                raise UserError(f"{name} must be at least {least}", value=read_option(self, name))
        for name in (
            *("optimizer.lr", "optimizer.head_lr", "optimizer.layer_decay"),
            *("batches.micro_seconds", "validation.share"),
        ):
            if not read_option(self, name) > 0:
                raise UserError(f"{name} must be above 0", value=read_option(self, name))
        if self.encoder.merge_up_to and self.encoder.layer not in ("weighted", "attm"):
            raise UserError(
                "encoder.merge_up_to says how many layers are merged, and encoder.layer is one",
                value=self.encoder.layer, hint="Set encoder.layer to weighted or attm",
            )  # fmt: skip
        if self.pooling.width and self.pooling.method not in ("attention", "attentive"):
            raise UserError(
                "pooling.width is attention's, and pooling.method has none",
                value=self.pooling.method, hint="Set pooling.method to attention or attentive",
            )  # fmt: skip
        if self.batches.size < 2:
            raise UserError(
                "batches.size must be at least 2: BatchNorm and CCC have nothing to say of one utterance",
                value=self.batches.size,
            )

    def describe(self) -> tuple[str, list[str]]:
        """(name for tables, notable options)."""
        adapted = self.encoder.adapter.kind != "none"
        frozen = self.encoder.adapter.describe() if adapted else "frozen"
        what = {"all": "all of it", "no_cnn": "without CNN", "none": frozen}
        top = self.encoder.trainable.removeprefix("top:")
        encoder = what.get(self.encoder.trainable, "top layer" if top == "1" else f"top {top} layers")
        name = self.name or f"fine-tuned ({encoder})"
        options = [self.encoder.adapter.describe()] if adapted and self.encoder.trainable != "none" else []
        if self.encoder.normalise == "global":
            options.append("waveforms by the training set's mean and deviation")
        if self.unfreeze.after or self.unfreeze.every:
            options.append(self.unfreeze.describe())
        options += self.augment.describe()
        if self.encoder.layer != -1:
            merging = {"weighted": "layer weights", "attm": "AttM"}
            upto = f" up to layer {self.encoder.merge_up_to}" if self.encoder.merge_up_to else ""
            options.append(merging.get(self.encoder.layer, f"layer {self.encoder.layer}") + upto)
        if self.pooling.lstm:
            options.append(f"LSTM {self.pooling.lstm}")
        if self.pooling.method != "mean":
            names = {"attention": "attention pooling", "attentive": "attentive statistics"}
            options.append(names.get(self.pooling.method, self.pooling.method))
        if self.encoder.speakers:
            options.append("speaker network trained")
        options += self.gender.describe() + self.text.describe() + self.task.describe()
        if self.precision != "no":
            options.append(self.precision)
        return name, options
