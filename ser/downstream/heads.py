"""From an utterance vector to class scores and attribute values."""

from __future__ import annotations

from torch import nn

from ser.downstream.config import ModelConfig


def make_head(config: ModelConfig, inputs: int, outputs: int) -> nn.Sequential:
    """The head named in the configuration.

    ``linear`` and ``superb`` are affine, so they may be applied to frames and averaged, or to the
    average of frames: the result is the same (that is why training on pooled arks is exact).

    Args:
        config: names the head, its width and dropout.
        inputs: size of the utterance vector.
        outputs: number of classes plus attributes.
    """
    if config.head == "linear":
        layers = [nn.Dropout(config.dropout), nn.Linear(inputs, outputs)]
    elif config.head == "superb":
        layers = [
            nn.Linear(inputs, config.hidden),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, outputs),
        ]
    else:
        layers = [
            nn.Dropout(config.dropout),
            nn.Linear(inputs, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, outputs),
        ]
    # All scores start at zero: no class preferred, every attribute at its mean.
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)
