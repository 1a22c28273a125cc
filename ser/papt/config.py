"""Everything that personalised pre-training can be told: conf/papt.yaml maps onto these.

Defaults are the paper's (Tran et al. 2023) and, where it refers to them, HuBERT-large's in fairseq. What the
paper leaves open is marked so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ser.core.errors import UserError
from ser.papt.masking import MaskingConfig
from ser.upstream.speaker import Fusion


@dataclass
class SpeakerConfig:
    """Speaker embedding network.

    Args:
        fusion: where e_i enters; ``none`` is task-adaptive pre-training (TAPT) without speakers.
        width: of the embedding before the fully connected layer (open in the paper).
    """

    fusion: Fusion = "last"
    width: int = 256


@dataclass
class ObjectiveConfig:
    """Masked prediction.

    Args:
        temperature: of the cosines.
        projection: width of final_proj; null for the checkpoint's, else 768 for encoders of width 1024,
            256 for 768 (HuBERT-large's and -base's), and the encoder's own width for others.
        heads: ``new`` starts final_proj and the units' embeddings afresh; ``checkpoint`` goes on with those
            of a HuBERT checkpoint, whose k-means must then have made the units (open in the paper).
        feature_penalty: weight of the mean squared convolutional features.
        feature_grad_mult: gradients into the convolutions are multiplied by it; 1 for HuBERT-large, .1 for
            HuBERT-base, 0 keeps the convolutions as they are.
    """

    temperature: float = 0.1
    projection: int | None = None
    heads: Literal["new", "checkpoint"] = "new"
    feature_penalty: float = 10.0
    feature_grad_mult: float = 1.0


@dataclass
class BatchConfig:
    """What goes through the encoder at once, and what makes an optimiser's step.

    Args:
        seconds: of audio in a batch, padding included (open in the paper; HuBERT-large: 56 a GPU).
        per_step: batches in a step, over all processes together (gradients are accumulated).
        crop: ``pad`` keeps utterances whole up to ``max_samples``; ``shortest`` cuts all of a batch to its
            shortest at a random place, as fairseq does.
        max_samples: longer utterances are cut to it at a random place.
        min_samples: shorter utterances are left out (fairseq: 32000).
    """

    seconds: float = 56.0
    per_step: int = 1
    crop: Literal["pad", "shortest"] = "pad"
    max_samples: int = 250000
    min_samples: int = 0


@dataclass
class OptimizerConfig:
    """fairseq's Adam, whose weight decay is decoupled (torch calls it AdamW).

    Args:
        epochs: passes over the data.
        lr: peak learning rate.
        lr_new: that of parts that start from random values (speaker network, new heads); null for ``lr``.
        warmup: share of the steps in which the rate rises from 0; then it falls to 0, both linearly.
        betas: of Adam.
        eps: of Adam.
        weight_decay: of Adam.
        clip: bound on the gradient's norm; 0 for none.
    """

    epochs: int = 10
    lr: float = 1e-5
    lr_new: float | None = None
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 1.0


@dataclass
class ValidationConfig:
    """What the validation loss is taken on.

    Args:
        share: of the training utterances to hold out, when there is no validation data.
        unseen: e_i of a validation speaker who is not trained: the mean of all, zero, or refuse him.
    """

    share: float = 0.0
    unseen: Literal["mean", "zero", "refuse"] = "mean"


@dataclass
class PaptConfig:
    """Personalised pre-training.

    Args:
        protocol: ``transductive`` when audio of test speakers is among the data, as in the paper;
            ``inductive`` when none is. It is the user's statement, and stands in every result.
        precision: ``no`` for float32, ``bf16`` or ``fp16`` for mixed precision.
        save_every: steps between checkpoints; one is kept after each epoch in any case.
        log_every: steps between rows of curve.csv.
    """

    protocol: Literal["transductive", "inductive"] = "transductive"
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    precision: Literal["no", "bf16", "fp16"] = "no"
    save_every: int = 500
    log_every: int = 20

    def check(self) -> None:
        """Refuse values that cannot be meant.

        Raises:
            UserError: naming the option.
        """
        bounds = {
            "speaker.width": (self.speaker.width, 1, None),
            "masking.prob": (self.masking.prob, 0, 1),
            "masking.length": (self.masking.length, 1, None),
            "masking.min_masks": (self.masking.min_masks, 1, None),
            "objective.projection": (self.objective.projection or 1, 1, None),
            "objective.feature_penalty": (self.objective.feature_penalty, 0, None),
            "objective.feature_grad_mult": (self.objective.feature_grad_mult, 0, None),
            "batches.per_step": (self.batches.per_step, 1, None),
            "batches.min_samples": (self.batches.min_samples, 0, None),
            "batches.max_samples": (self.batches.max_samples, max(16000, self.batches.min_samples), None),
            "optimizer.epochs": (self.optimizer.epochs, 1, None),
            "optimizer.warmup": (self.optimizer.warmup, 0, 1),
            "optimizer.clip": (self.optimizer.clip, 0, None),
            "validation.share": (self.validation.share, 0, 0.5),
            "save_every": (self.save_every, 1, None),
            "log_every": (self.log_every, 1, None),
        }
        for name, (value, least, most) in bounds.items():
            if not (value >= least and (most is None or value <= most)):
                limits = f"at least {least}" if most is None else f"between {least} and {most}"
                raise UserError(f"{name} must be {limits}", value=value)
        positive = {
            "objective.temperature": self.objective.temperature,
            "batches.seconds": self.batches.seconds,
            "optimizer.lr": self.optimizer.lr,
        }
        for name, value in positive.items():
            if not value > 0:
                raise UserError(f"{name} must be above 0", value=value)
