"""An S3PRL upstream, or Whisper, as a host: its features are the audio tokens, a head reads their mean.

    utterance    X (B, 1, S D)   standardised pooled statistics, layers merged, side by side
    frames       X (B, N, D)     standardised frames of one layer, ``stride`` of them averaged to a token
    vector       mean over the tokens of X'

The insertion point is before the pooling (``frames``) or after it (``utterance``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ser.core.errors import UserError
from ser.downstream.layers import LayerWeights, SingleLayer
from ser.downstream.pooling import masked_mean
from ser.downstream.standardise import Standardiser
from ser.features.extract import encode
from ser.features.pool import pool
from ser.memory.config import EncoderHostConfig
from ser.memory.hosts.base import Edit, Heard, Host, HostInfo
from ser.upstream.base import Upstream

POOLED, FRAMES = "pooled", "frames"


class EncoderHost(Host):
    """A frozen encoder by its features.

    Args:
        config: what the tokens are.
        shape: (S, L, D) of pooled statistics; (1, 1, D) of frames.
        meta: content of meta.yaml: which upstream.
        open_upstream: loads it, for audio that was not extracted; asked at most once.
    """

    def __init__(
        self,
        config: EncoderHostConfig,
        shape: Sequence[int],
        meta: Mapping[str, Any],
        open_upstream: Callable[[], Upstream] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.shape = config, tuple(shape)
        statistics, layers, dim = shape
        self.standardiser = Standardiser(shape)
        if config.tokens == FRAMES:
            self.layers = SingleLayer(1, 0)
        else:
            self.layers = (
                LayerWeights(layers) if config.layer == "weighted" else SingleLayer(layers, config.layer)
            )
        self._open, self._upstream = open_upstream, None
        width = statistics * dim
        self.info = HostInfo(
            name=str(meta["upstream"]), tag=str(meta["tag"]), family=str(meta["family"]),
            checkpoint=str(meta["checkpoint"]), sample_rate=int(meta["sample_rate"]), dim=width, width=width,
            parameters=int(meta.get("parameters") or 0),
            insertion="frames, before pooling" if config.tokens == FRAMES else "utterance vector",
        )  # fmt: skip

    def fit(self, batches: Iterable[Heard]) -> None:
        """Standardise by what is learnt from."""

        def statistics() -> Iterable[Tensor]:
            for heard in batches:
                if self.config.tokens == FRAMES:
                    for row, length in zip(heard.tensors[FRAMES], heard.lengths.tolist(), strict=True):
                        yield row[:length, None, None]
                else:
                    yield heard.tensors[POOLED]

        self.standardiser.fit(statistics())

    def forward(self, heard: Heard, edit: Edit | None = None) -> Tensor:
        """Mean of the edited tokens, ``(B, D)``."""
        tokens = self.tokens(heard)
        return masked_mean(tokens if edit is None else edit(tokens, heard.lengths), heard.lengths)

    def tokens(self, heard: Heard) -> Tensor:
        """X ``(B, N, D)``."""
        if self.config.tokens == FRAMES:
            return self.standardiser(heard.tensors[FRAMES][:, :, None, None]).flatten(2)
        return self.layers(self.standardiser(heard.tensors[POOLED])).flatten(1)[:, None]

    def hear(self, waves: Sequence[np.ndarray]) -> Heard:
        """Features of audio, as extraction makes them.

        Raises:
            UserError: when the upstream cannot be loaded, or audio is too short for it.
        """
        upstream = self._loaded()
        for wave in waves:
            if len(wave) < upstream.min_samples:
                raise UserError(f"audio is too short for {self.info.tag}",
                                value=f"{len(wave)} of {upstream.min_samples} samples")  # fmt: skip
        with torch.inference_mode():
            states = [encode(upstream, [wave]) for wave in waves]
        if self.config.tokens == FRAMES:
            frames = [each.layers[int(self.config.layer)][0, : int(each.lengths[0])].cpu() for each in states]
            return of_frames(frames, self.config.stride)
        pooled = [np.stack(next(pool(each))[: self.shape[0]]) for each in states]
        return of_pooled(torch.from_numpy(np.stack(pooled)))

    def trained_state(self) -> dict[str, Tensor]:
        """Layer weights, and the statistics of training."""
        state = super().trained_state()
        return state | {f"standardiser.{name}": value for name, value in self.standardiser.named_buffers()}

    def _loaded(self) -> Upstream:
        """The upstream, loaded when it is first needed."""
        if self._upstream is None:
            if self._open is None:
                raise UserError("these features came without their upstream", value=self.info.name)
            self._upstream = self._open()
        return self._upstream


def of_pooled(pooled: Tensor) -> Heard:
    """Pooled statistics ``(B, S, L, D)`` as one token an utterance."""
    return Heard({POOLED: pooled}, torch.ones(len(pooled), dtype=torch.long))


def of_frames(frames: Sequence[Tensor], stride: int) -> Heard:
    """Frames ``(F_i, D)`` as tokens: means of ``stride`` frames each, the last of what is left."""
    tokens = []
    for each in frames:
        tokens.append(torch.stack([part.mean(0) for part in each.split(stride)]) if stride > 1 else each)
    lengths = torch.tensor([len(each) for each in tokens])
    return Heard({FRAMES: pad_sequence(tokens, batch_first=True)}, lengths)
