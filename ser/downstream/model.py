"""The downstream model: standardise, merge layers, pool, head. On pooled statistics or on frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_branch import SideBranch, widen
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.speaker import SpeakerBranch, token_sizes
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.downstream.conditioning.voices import NOBODY, Voices
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

    A speaker's vector p_s, where there is one, joins the merged statistics before the head; gender and words
    condition them, or are set beside the vector.

    Args:
        config: the model's options.
        shape: (S, L, D) of the pooled statistics.
        outputs: number of classes plus attributes.
        speaker: what the model is told of the speaker.
        speakers: the training speakers, for learned embeddings.
        side: what it is told of gender and words.
    """

    def __init__(
        self,
        config: ModelConfig,
        shape: Sequence[int],
        outputs: int,
        speaker: SpeakerConfig | None = None,
        speakers: Sequence[str] = (),
        side: SideOptions | None = None,
    ) -> None:
        super().__init__()
        self.statistics, num_layers, dim = shape
        self.standardiser = NormalScores(shape) if config.standardise == "quantile" else Standardiser(shape)
        self.layers = (
            LayerWeights(num_layers) if config.layer == "weighted" else SingleLayer(num_layers, config.layer)
        )
        told = speaker or SpeakerConfig()
        # The head first: what a seed gives it does not depend on the speaker's part.
        self.head = make_head(config, token_sizes(told, self.statistics, dim), outputs)
        self.speaker = None
        if told.representation != "none":
            self.speaker = SpeakerBranch(told, speakers, self.statistics, dim)
        self.side = None
        if side:
            self.side = SideBranch(side, shape)
            if self.side.widths:
                widen(self.head, self.side.widths)

    def embed(self, pooled: Tensor, speakers: Tensor | None = None, side: Side | None = None) -> Tensor:
        """The utterance vector that the head sees, that of ``merge``."""
        return self.merge(self.standardiser(pooled), speakers, side)

    def merge(self, standardised: Tensor, speakers: Tensor | None = None, side: Side | None = None) -> Tensor:
        """The same from standardised statistics, which training computes once.

        Args:
            standardised: (B, S, L, D).
            speakers: (B, S D) of ``speaker_vectors``, where the model is told of speakers.
            side: gender and text of the utterances; None where nothing is known.

        Returns:
            (B, S D), or wider by what speaker, gender and text add.
        """
        merged, beside = self.layers(standardised), None
        if self.side is not None:
            merged, beside = self.side(merged, standardised, side)
        vector = merged.flatten(1) if self.speaker is None else self.speaker.join(merged, speakers)
        return vector if beside is None else torch.cat([vector, beside], dim=1)

    def side_loss(self, standardised: Tensor, side: Side | None) -> Tensor | float:
        """The side tasks' weighted loss, of standardised statistics (B, S, L, D); 0 for models without."""
        return 0.0 if self.side is None or side is None else self.side.loss(self.layers(standardised), side)

    def speaker_vectors(self, voices: Voices | None, rows: Tensor) -> Tensor | None:
        """p_s of the speakers of some utterances, 0 where nobody is known; None for models without.

        Args:
            voices: of the utterances' speakers.
            rows: (n,) of the utterances.

        Returns:
            (n, S D).
        """
        if self.speaker is None:
            return None
        statistics = voices.statistics
        present, place = voices.row_of[rows.cpu()].unique(return_inverse=True)
        known = present[present != NOBODY]
        names = [voices.speakers[row] for row in known.tolist()]
        vectors = self.layers(statistics[known.to(statistics.device)]).flatten(1)
        found = self.speaker.represent(names, vectors) if names else vectors
        nobody = found.new_zeros(len(present) - len(known), found.shape[1])
        return torch.cat([nobody, found])[place.to(found.device)]

    def remember(self, voices: Voices | None) -> None:
        """Keep what unseen speakers are compared with, as the weights are now."""
        if self.speaker is not None:
            self.speaker.remember(voices.speakers, self.layers(voices.statistics).flatten(1))

    def forward(self, pooled: Tensor, speakers: Tensor | None = None, side: Side | None = None) -> Tensor:
        """Class scores, then attribute values: (B, S, L, D) -> (B, K + A)."""
        return self.head(self.embed(pooled, speakers, side))

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
        """Optimiser groups: matrices; biases and layer weights, which do not decay."""
        merging = list(self.layers.parameters())
        others = [p for part in (self.head, self.speaker, self.side) if part for p in part.parameters()]
        matrices = [p for p in others if p.dim() > 1]
        biases = [p for p in others if p.dim() == 1]
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
