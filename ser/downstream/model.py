"""The downstream model: standardise, merge layers, pool, head. On pooled statistics or on frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.downstream.config import ModelConfig
from ser.downstream.heads import make_head
from ser.downstream.layers import LayerWeights, SingleLayer
from ser.downstream.pooling import masked_mean, pooled_statistics
from ser.downstream.standardise import NormalScores, Standardiser


class UtteranceModel(nn.Module):
    """Predicts classes and attributes of an utterance from an upstream's layers.

        pooled (B, S, L, D) -> standardise -> layers merged (B, S, D) -> vector (B, S D) -> head

    S is 1 (mean) or 2 (mean and deviation). With S = 1 the vector is exactly the time-mean of the
    merged frames; with S = 2 and one layer, exactly its mean and deviation; with S = 2 and learned
    weights it is the approximation ``std_per_layer``.

    Args:
        config: the model's options.
        shape: (S, L, D) of the pooled statistics.
        outputs: number of classes plus attributes.
    """

    def __init__(self, config: ModelConfig, shape: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.statistics, num_layers, dim = shape
        self.standardiser = NormalScores(shape) if config.standardise == "quantile" else Standardiser(shape)
        self.layers = (
            LayerWeights(num_layers) if config.layer == "weighted" else SingleLayer(num_layers, config.layer)
        )
        self.head = make_head(config, self.statistics * dim, outputs)

    def embed(self, pooled: Tensor) -> Tensor:
        """The utterance vector that the head sees: (B, S, L, D) -> (B, S D)."""
        return self.merge(self.standardiser(pooled))

    def merge(self, standardised: Tensor) -> Tensor:
        """The same from standardised statistics, which training computes once: (B, S, L, D) -> (B, S D)."""
        return self.layers(standardised).flatten(1)

    def forward(self, pooled: Tensor) -> Tensor:
        """Class scores, then attribute values: (B, S, L, D) -> (B, K + A)."""
        return self.head(self.embed(pooled))

    def forward_frames(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """The same prediction from frames: L tensors (B, F, D) and lengths (B,) -> (B, K + A).

        Where everything up to the mean is affine (S = 1, standardised by moments), layers are merged
        frame by frame before pooling, as SUPERB does; otherwise the statistics are taken first.
        """
        frames = torch.stack(list(layers), dim=2)
        if self.statistics == 2 or isinstance(self.standardiser, NormalScores):
            return self(pooled_statistics(frames, lengths)[:, : self.statistics])
        merged = self.layers((frames - self.standardiser.mean[0]) / self.standardiser.deviation[0])
        return self.head(masked_mean(merged, lengths))

    def parameter_groups(self, lr: float, weight_decay: float, layer_weights_factor: float) -> list[dict]:
        """Optimiser groups: head matrices; head biases and layer weights, which do not decay."""
        merging = list(self.layers.parameters())
        matrices = [p for p in self.head.parameters() if p.dim() > 1]
        biases = [p for p in self.head.parameters() if p.dim() == 1]
        groups = [
            {"params": matrices, "lr": lr, "weight_decay": weight_decay},
            {"params": biases, "lr": lr, "weight_decay": 0.0},
        ]
        if merging:
            groups.append({"params": merging, "lr": lr * layer_weights_factor, "weight_decay": 0.0})
        return groups

    def trained_parameters(self) -> int:
        """How many numbers training sets."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
