"""A trained model: its weights, its options, and the names and units of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.downstream.config import ModelConfig
from ser.downstream.model import UtteranceModel
from ser.engine.checkpoint import load_state, read_metadata, save_model


class Outputs(Protocol):
    """Names of a model's outputs: K classes, then A attributes."""

    classes: list[str]
    attributes: Mapping[str, object]


@dataclass
class Scale:
    """An attribute's mean and deviation among training labels.

    The model learns (y - mean) / deviation, so that its outputs start on the labels' scale; CCC does
    not change when both sides are scaled alike.
    """

    mean: float
    deviation: float


def fit_scale(values: Tensor) -> Scale:
    """Mean and deviation of the labels that are there: (n,), NaN where one is missing."""
    known = values[~values.isnan()].double()
    mean = float(known.mean()) if len(known) else 0.0
    deviation = float(known.std(correction=0)) if len(known) else 1.0
    return Scale(mean, deviation if deviation > 0 else 1.0)


def range_scale(least: float, most: float) -> Scale:
    """The scale of (y - least) / (most - least), with the corpus's ends of an attribute."""
    return Scale(least, most - least)


def in_label_units(outputs: Tensor, attributes: dict[str, Scale]) -> Tensor:
    """Class scores as probabilities, attributes in the label's units: (n, K + A) -> (n, K + A).

    Args:
        outputs: of a head; the last A columns are attributes.
        attributes: A names with the scale each was learnt on.
    """
    count, scales = outputs.shape[1] - len(attributes), attributes.values()
    mean = outputs.new_tensor([scale.mean for scale in scales])
    deviation = outputs.new_tensor([scale.deviation for scale in scales])
    return torch.cat([outputs[:, :count].softmax(1), outputs[:, count:] * deviation + mean], dim=1)


@dataclass
class SavedModel:
    """One fold's model and what its outputs mean.

    Args:
        model: the weights.
        config: the options it was built with.
        shape: (S, L, D) of the features it takes.
        classes: names of the first K outputs.
        attributes: names of the others, each with the scale it was learnt on.
        speaker: what it is told of the speaker.
        side: what it is told of gender and words.
    """

    model: UtteranceModel
    config: ModelConfig
    shape: tuple[int, int, int]
    classes: list[str]
    attributes: dict[str, Scale]
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)
    side: SideOptions = field(default_factory=SideOptions)

    def predict(self, vectors: Tensor) -> Tensor:
        """Class probabilities, then attributes in the label's units: (n, S D) of ``embed`` -> (n, K + A)."""
        return in_label_units(self.model.head(vectors), self.attributes)

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        metadata = {
            "model": asdict(self.config),
            "shape": list(self.shape),
            "classes": self.classes,
            "attributes": {name: asdict(scale) for name, scale in self.attributes.items()},
        }
        if self.model.speaker is not None:
            metadata |= {"speaker": asdict(self.speaker), "speakers": self.model.speaker.speakers}
        if self.side:
            metadata["side"] = asdict(self.side)
        save_model(path, self.model, metadata)

    @classmethod
    def load(cls, path: Path) -> SavedModel:
        """Read what ``save`` wrote.

        Raises:
            UserError: when it is missing or broken.
        """
        metadata = read_metadata(path)
        if "model" not in metadata:
            raise UserError(
                "not a model of features: it was fine-tuned from audio",
                file=path, hint="Use 'ser predict EXPERIMENT [FILES]', or a system of 'ser train'",
            )  # fmt: skip
        try:
            config = ModelConfig(**metadata["model"])
            classes = metadata["classes"]
            attributes = {name: Scale(**scale) for name, scale in metadata["attributes"].items()}
            speaker, speakers = SpeakerConfig(**metadata.get("speaker", {})), metadata.get("speakers", [])
            side = SideOptions.from_plain(metadata.get("side"))
            outputs = len(classes) + len(attributes)
            model = UtteranceModel(config, metadata["shape"], outputs, speaker, speakers, side)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError("not a model that 'ser train' writes", file=path, value=error) from None
        load_state(path, model)
        return cls(model.eval(), config, tuple(metadata["shape"]), classes, attributes, speaker, side)
