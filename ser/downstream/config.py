"""Everything that a training on features can be told, as dataclasses: conf/*.yaml maps onto these."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import GenderConfig, TextConfig
from ser.downstream.conditioning.speaker_config import SpeakerConfig


@dataclass
class TaskConfig:
    """What is learnt.

    Args:
        emotion: learn the class of utt2emo.
        attributes: names of the attributes to learn together (utt2<name>); labels may be missing.
        class_weights: ``balanced`` weighs class c by N / (K N_c); ``none`` weighs all alike.
        label_smoothing: share of the probability spread over all classes, 0 to 1.
        focal_gamma: gamma of the focal loss, which turns to the utterances that are missed; 0 is
            cross-entropy. 2 is the paper's (Lin et al. 2017).
        emotion_weight: weight of the classes' loss; 0 leaves the learning of classes to the votes.
        soft_weight: weight of the KL divergence from the shares of raters' votes (utt2emodist); 0 does
            without votes. Utterances on which raters do not agree have votes and no class.
        attribute_weight: weight of the mean of 1 - CCC beside the cross-entropy, where both are learnt.
    """

    emotion: bool = True
    attributes: list[str] = field(default_factory=list)
    class_weights: Literal["balanced", "none"] = "balanced"
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    emotion_weight: float = 1.0
    soft_weight: float = 0.0
    attribute_weight: float = 1.0

    @property
    def soft(self) -> bool:
        """Whether votes are learnt from."""
        return self.emotion and self.soft_weight > 0

    def check(self) -> None:
        """Refuse objectives that mean nothing.

        Raises:
            UserError: naming the option, its value and the remedy.
        """
        if not self.emotion and not self.attributes:
            raise UserError("nothing to learn", hint="Set task.emotion or task.attributes")
        if not 0 <= self.label_smoothing < 1:
            what = "task.label_smoothing must be at least 0 and less than 1"
            raise UserError(what, value=self.label_smoothing)
        for name in ("focal_gamma", "emotion_weight", "soft_weight", "attribute_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"task.{name} must be at least 0", value=getattr(self, name))
        if self.focal_gamma and self.label_smoothing:
            raise UserError(
                "task.focal_gamma and task.label_smoothing pull against each other",
                value=f"{self.focal_gamma:g} and {self.label_smoothing:g}",
                hint="Choose one of the two",
            )
        if self.soft_weight and not self.emotion:
            raise UserError(
                "votes are learnt as classes", value=f"task.soft_weight: {self.soft_weight:g}",
                hint="Set task.emotion: true",
            )  # fmt: skip
        if self.emotion and not self.emotion_weight and not self.soft_weight:
            raise UserError(
                "classes are to be learnt, and no loss does it", value="task.emotion_weight: 0",
                hint="Set task.emotion: false, or task.soft_weight above 0",
            )  # fmt: skip

    def describe(self) -> list[str]:
        """Notable options, for tables."""
        options = []
        if self.emotion and self.class_weights == "balanced":
            options.append("balanced class weights")
        if self.label_smoothing:
            options.append(f"label smoothing {self.label_smoothing:g}")
        if self.emotion and self.focal_gamma and self.emotion_weight:
            options.append(f"focal loss, gamma {self.focal_gamma:g}")
        if self.soft:
            weight = f" x {self.soft_weight:g}" if self.soft_weight != 1 else ""
            options.append(f"soft labels (KL){weight}" if self.emotion_weight else "soft labels alone (KL)")
        return options


@dataclass
class ModelConfig:
    """From pooled hidden states to predictions.

    Args:
        layer: ``weighted`` learns a softmax-weighted sum of all layers (SUPERB); a number takes that
            layer alone (0 is the encoder's input, negative numbers count from the end).
        pooling: ``mean``; ``mean+std`` (one layer only: the deviation of a sum of layers does not
            follow from the layers' deviations); ``std_per_layer``, which merges mean and each layer's
            own deviation with the same weights, a named approximation.
        standardise: by the training set's mean and deviation (``global``) or its quantiles mapped to
            normal scores (``quantile``: for functionals), by each speaker's own mean and deviation
            (``speaker``: uses all of a speaker's audio, test speakers' too), or not (``none``).
        head: ``linear``; ``superb`` (Linear(D, hidden), Linear(hidden, out), no activation between);
            ``mlp`` (Linear, ReLU, dropout, Linear); ``interpreter`` (PAPT's: Linear, ReLU, dropout and
            BatchNorm twice, of 128 and 32, then Linear); ``transformer`` (each statistic, and the speaker,
            a token).
        hidden: width of ``superb``, ``mlp`` and ``transformer``.
        depth: layers of ``transformer``.
        dropout: before ``linear`` and ``mlp``, and inside the others.
    """

    layer: int | Literal["weighted"] = "weighted"
    pooling: Literal["mean", "mean+std", "std_per_layer"] = "mean"
    standardise: Literal["global", "quantile", "speaker", "none"] = "global"
    head: Literal["linear", "superb", "mlp", "interpreter", "transformer"] = "linear"
    hidden: int = 256
    depth: int = 2
    dropout: float = 0.0


@dataclass
class OptimizerConfig:
    """AdamW and its schedule.

    Args:
        lr: learning rate.
        weight_decay: decoupled weight decay of the head; layer weights have none.
        layer_weights_lr_factor: the layer weights' learning rate is ``lr`` times this.
        batch_size: utterances a step.
        epochs: the most epochs to train.
        patience: stop after so many epochs without a better validation metric.
        epoch_steps: steps that count as an epoch, each with a validation; 0 is one pass over the data.
        gradient_clipping: the gradient's norm is cut down to this; 0 leaves it as it is.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    layer_weights_lr_factor: float = 1.0
    batch_size: int = 32
    epochs: int = 50
    patience: int = 10
    epoch_steps: int = 0
    gradient_clipping: float = 0.0


@dataclass
class ValidationConfig:
    """How the epoch, and what ``search`` varies, are chosen: never on what is tested.

    Args:
        method: ``held_out`` keeps ``share`` of the training speakers' utterances for validation and
            the best epoch's model; ``inner_folds`` divides the training speakers into ``folds`` parts,
            validates on each in turn, pools their predictions, and trains again on all speakers with
            the epoch and options that won. ``utterances`` is ``held_out`` by single utterances, as
            S3PRL has it: their speakers are trained on too, and the tables' protocol says so. Where
            the recipe has a validation set, that set is used.
        share: share of the training utterances for ``held_out`` (by whole speakers) and ``utterances``.
        folds: number of parts for ``inner_folds``.
        metric: ``auto`` is UAR for classes, mean CCC for attributes, their mean for both; ``loss``, the
            objective over the whole validation part as one batch, is for ``ser finetune``.
    """

    method: Literal["held_out", "inner_folds", "utterances"] = "held_out"
    share: float = 0.2
    folds: int = 3
    metric: Literal["auto", "uar", "wa", "ccc", "loss"] = "auto"


@dataclass
class TrainConfig:
    """One training recipe on features.

    Args:
        name: the system's name in tables; made of the options when empty.
        task: what is learnt.
        model: the model.
        speaker: what it is told of the speaker; nothing by default.
        gender: what it is told of the speaker's gender; nothing by default.
        text: what it is told of the words; nothing by default.
        optimizer: the optimiser.
        validation: how choices are made.
        search: dotted option -> values to try, e.g. ``optimizer.lr: [0.001, 0.01]``; all combinations.
    """

    name: str = ""
    task: TaskConfig = field(default_factory=TaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)
    gender: GenderConfig = field(default_factory=GenderConfig)
    text: TextConfig = field(default_factory=TextConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    search: dict[str, list[Any]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse combinations that mean nothing.

        Raises:
            UserError: naming the option, its value and the remedy.
        """
        self.task.check()
        if self.validation.metric == "loss":
            what = "ser train chooses the epoch by a metric"
            raise UserError(what, value="validation.metric: loss", hint="Use auto, uar, wa or ccc")
        if self.model.pooling == "mean+std" and self.model.layer == "weighted":
            raise UserError(
                "model.pooling mean+std is exact for one layer only",
                value=f"model.layer: {self.model.layer}",
                hint="Name a layer, or use std_per_layer",
            )
        for name, low, high in (
            ("model.dropout", 0.0, 1.0),
            ("validation.share", 0.0, 1.0),
        ):
            value = read_option(self, name)
            if not low <= value < high:
                raise UserError(f"{name} must be at least {low:g} and less than {high:g}", value=value)
        for name, least in (
            ("optimizer.batch_size", 2),
            ("optimizer.epochs", 1),
            ("optimizer.patience", 1),
            ("optimizer.epoch_steps", 0),
            ("optimizer.gradient_clipping", 0),
            ("validation.folds", 2),
            ("model.hidden", 1),
            ("model.depth", 1),
        ):
            if read_option(self, name) < least:
                raise UserError(f"{name} must be at least {least}", value=read_option(self, name))
        if not self.optimizer.lr > 0:
            raise UserError("optimizer.lr must be positive", value=self.optimizer.lr)
        self.speaker.check(self.model.head, self.model.standardise)
        self.gender.check(self.model.standardise)
        self.text.check()

    def candidates(self) -> Iterator[tuple[dict[str, Any], TrainConfig]]:
        """All combinations of ``search``: (options that vary, configuration with them set).

        Raises:
            UserError: for an option that does not exist, or a combination that means nothing.
        """
        for name, values in self.search.items():
            if not isinstance(values, list) or not values:
                raise UserError(f"search.{name} wants a list of values", value=values)
            read_option(self, name)
        for combination in itertools.product(*self.search.values()):
            chosen = dict(zip(self.search, combination, strict=True))
            config = self
            for name, value in chosen.items():
                config = _replaced(config, name.split("."), value)
            config.check()
            yield chosen, config

    def describe(self, num_layers: int, frame_rate: float) -> tuple[str, list[str]]:
        """(name for tables, notable options): what is done with an upstream's features.

        Args:
            num_layers: L of the upstream; of a single layer nothing is weighed.
            frame_rate: of the upstream, 0 where an utterance is one vector.
        """
        layers, pooling = f"layer {self.model.layer}", self.model.pooling
        if "model.layer" in self.search:
            layers = "layer searched"
        elif self.model.layer == "weighted":
            layers = "layer weights"
        if num_layers == 1:
            layers, pooling = "", pooling.replace("std_per_layer", "mean+std")
        if frame_rate == 0:
            pooling = "functionals"
        name = self.name or ", ".join(filter(None, [layers, pooling, self.model.head]))
        options = self.speaker.describe() + self.gender.describe() + self.text.describe()
        if self.model.standardise == "speaker":
            options.append("per-speaker standardisation (transductive)")
        if self.model.standardise == "quantile":
            options.append("normal scores")
        return name, options + self.task.describe()


def read_option(config: Any, name: str) -> Any:
    """The value of a dotted option such as ``optimizer.lr``.

    Raises:
        UserError: when there is none of that name, with the nearest one.
    """
    value = config
    for part in name.split("."):
        if not dataclasses.is_dataclass(value) or not hasattr(value, part):
            known = [f"{g}.{o.name}" for g in GROUPS for o in dataclasses.fields(getattr(config, g))]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            hint = f"The nearest known name is {near[0]!r}" if near else None
            raise UserError("no such option to search", value=name, hint=hint)
        value = getattr(value, part)
    return value


GROUPS = ("task", "model", "speaker", "gender", "text", "optimizer", "validation")


def _replaced(config: Any, path: list[str], value: Any) -> Any:
    """A copy of ``config`` with one dotted option changed."""
    head, *rest = path
    return dataclasses.replace(
        config, **{head: _replaced(getattr(config, head), rest, value) if rest else value}
    )
