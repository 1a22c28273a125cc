"""A trained model as it lies on disk: weights, options, and the names and units of its outputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ser.downstream.config import ModelConfig
from ser.downstream.model import UtteranceModel
from ser.engine.checkpoint import load_state, read_metadata, save_model


@dataclass
class SavedModel:
    """One fold's model and what its outputs mean.

    Args:
        model: in evaluation mode.
        config: the options it was built with.
        shape: (S, L, D) of the features it takes.
        classes: names of the first K outputs.
        attributes: names of the others, each with its range (low, high) in the label's units.
    """

    model: UtteranceModel
    config: ModelConfig
    shape: tuple[int, int, int]
    classes: list[str]
    attributes: dict[str, tuple[float, float]]

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        metadata = {
            "model": asdict(self.config),
            "shape": list(self.shape),
            "classes": self.classes,
            "attributes": {name: list(span) for name, span in self.attributes.items()},
        }
        save_model(path, self.model, metadata)

    @classmethod
    def load(cls, path: Path) -> SavedModel:
        """Read what ``save`` wrote.

        Raises:
            UserError: when it is missing or broken.
        """
        metadata = read_metadata(path)
        config = ModelConfig(**metadata["model"])
        classes = metadata["classes"]
        attributes = {name: (low, high) for name, (low, high) in metadata["attributes"].items()}
        model = UtteranceModel(config, metadata["shape"], len(classes) + len(attributes))
        load_state(path, model)
        return cls(model.eval(), config, tuple(metadata["shape"]), classes, attributes)

    def to_units(self, outputs: Tensor) -> Tensor:
        """Attributes from 0..1 to the label's units: (n, K + A) -> the same shape; classes stay."""
        spans = list(self.attributes.values())
        low = torch.tensor([0.0] * len(self.classes) + [span[0] for span in spans])
        width = torch.tensor([1.0] * len(self.classes) + [span[1] - span[0] for span in spans])
        return outputs * width + low
