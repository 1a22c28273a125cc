"""Encoder, mask, heads: what pre-training trains."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ser.papt.config import ObjectiveConfig
from ser.papt.loss import ScaleGradient, feature_energy, masked_prediction
from ser.upstream.base import zero_beyond
from ser.upstream.personalised import PersonalisedEncoder


class Inputs(NamedTuple):
    """A batch.

    Args:
        wave: ``(B, T)`` waveforms, normalised where the encoder wants it, zero beyond ``samples``.
        samples: ``(B,)``.
        frames: ``(B,)`` frames with a unit; the encoder's frames beyond are cut off, as in HuBERT.
        targets: ``(B, F)`` units.
        mask: ``(B, F)``, True where a frame is masked and predicted.
        speaker: ``(B,)`` indices into the embedding; -1 for the mean speaker, -2 for no speaker (e = 0).
    """

    wave: Tensor
    samples: Tensor
    frames: Tensor
    targets: Tensor
    mask: Tensor
    speaker: Tensor

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        return Inputs(*(tensor.to(device, non_blocking=True) for tensor in self))


class Sums(NamedTuple):
    """Sums over a batch, so that any division into batches gives the same loss.

    Args:
        loss: sum over masked frames of - log P.
        energy: sum of squares of the convolutional features of all frames.
        correct: masked frames whose unit is predicted.
    """

    loss: Tensor
    energy: Tensor
    correct: Tensor


MEAN_SPEAKER, NO_SPEAKER = -1, -2


class MaskedPrediction(nn.Module):
    """Masked prediction of units by a personalised encoder.

        x = mask(project(convolve(wave)))     masked frames are replaced by one learnt vector
        f^p = fuse(transform, x, e_i)
        P(c | f^p_t) from cos(final_proj(f^p_t), e_c) / tau, masked frames only

    Args:
        encoder: E and S.
        units: number of clusters, C.
        projection: width of final_proj.
        config: temperature and gradients.
    """

    def __init__(
        self, encoder: PersonalisedEncoder, units: int, projection: int, config: ObjectiveConfig
    ) -> None:
        super().__init__()
        width = encoder.model.config.hidden_size
        self.encoder, self.config = encoder, config
        self.mask_embedding = nn.Parameter(torch.empty(width).uniform_())
        self.final_proj = nn.Linear(width, projection)
        self.label_embeddings = nn.Parameter(torch.empty(units, projection).uniform_())

    @property
    def channels(self) -> int:
        """Width of the convolutional features, by which their energy is divided."""
        return int(self.encoder.model.config.conv_dim[-1])

    def forward(self, inputs: Inputs) -> Sums:
        """Loss of a batch, as sums."""
        features, frames = self.convolve(inputs)
        x = self.encoder.project(features, frames)
        x = torch.where(inputs.mask[..., None], self.mask_embedding.to(x.dtype), x)
        states = self.encoder.transform(x, frames, self.speaker_vectors(inputs.speaker))
        projected = self.final_proj(states[-1][inputs.mask])
        loss, correct = masked_prediction(
            projected, self.label_embeddings, inputs.targets[inputs.mask], self.config.temperature
        )
        return Sums(loss, feature_energy(features), correct)

    def convolve(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Convolutional features ``(B, F, C)``, zero beyond the frames that have a unit, and those frames."""
        scale = self.config.feature_grad_mult
        with torch.set_grad_enabled(torch.is_grad_enabled() and scale > 0):
            features, frames = self.encoder.convolve(inputs.wave, inputs.samples)
        if bool((inputs.frames > frames).any()):
            raise ValueError(f"{inputs.frames.tolist()} units for {frames.tolist()} frames")
        if scale not in (0.0, 1.0):
            features = ScaleGradient.apply(features, scale)
        return zero_beyond(features[:, : inputs.mask.shape[1]], inputs.frames), inputs.frames

    def speaker_vectors(self, speaker: Tensor) -> Tensor | None:
        """e_i ``(B, D)`` of indices ``(B,)``; None when the encoder has no speakers."""
        network = self.encoder.speaker
        if network is None:
            return None
        vectors = network(speaker.clamp_min(0))
        if bool((speaker == MEAN_SPEAKER).any()):
            mean = network.project(network.embedding.weight.mean(0))
            vectors = torch.where((speaker == MEAN_SPEAKER)[:, None], mean, vectors)
        return vectors.masked_fill((speaker == NO_SPEAKER)[:, None], 0)
