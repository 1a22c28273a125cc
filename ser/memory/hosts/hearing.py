"""How families of audio language models hear: wave -> windows of log-mel frames -> audio tokens.

    Qwen2-Audio       one window of 30 s; a token for every four frames of speech; no more than that window
    Voxtral           30 s windows, silence at the end heard as well: the same number of tokens for each
    Audio Flamingo 3  30 s windows; a token for every four frames of speech; ten minutes at most

So their processors in transformers do; a test holds that the tokens are theirs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Hearing(ABC):
    """The audio side of a family.

    Args:
        tower: the audio encoder.
        projector: from its width to the language model's.
        extractor: the ``WhisperFeatureExtractor`` of the model.
        processor: of the model; None for a family that needs none.

    Attributes:
        before, after: special tokens around the audio tokens, for prompts without a template.
        longest: samples of the longest audio, None without a limit.
        needs_processor: whether the chat template or a limit is in the processor, not the tokenizer.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    needs_processor = True

    def __init__(self, tower: nn.Module, projector: nn.Module, extractor: Any, processor: Any) -> None:
        self.tower, self.projector, self.extractor = tower, projector, extractor
        self.window = int(extractor.n_samples)
        self.longest = self._longest(processor)

    def _longest(self, processor: Any) -> int | None:
        return None

    def windows(self, wave: np.ndarray) -> tuple[Tensor, Tensor]:
        """Log-mel windows ``(W, mels, M)`` of a wave ``(T,)`` and the frames of speech in each ``(W,)``."""
        cut = [wave[start : start + self.window] for start in range(0, len(wave), self.window)]
        out = self.extractor(
            cut, sampling_rate=self.extractor.sampling_rate, padding="max_length",
            return_attention_mask=True, return_tensors="pt",
        )  # fmt: skip
        return out["input_features"], out["attention_mask"].sum(-1)

    def count(self, frames: Tensor) -> Tensor:
        """Audio tokens of windows with so many frames: a convolution of stride 2, then a mean of 2."""
        return (((frames - 1) // 2 + 1 - 2) // 2 + 1).clamp(min=0)

    @abstractmethod
    def embed(self, features: Tensor, frames: Tensor) -> Tensor:
        """Output of the projector ``(W, n, D)`` for windows ``(W, mels, M)`` with ``frames (W,)``."""


class Qwen2AudioHearing(Hearing):
    """Qwen2-Audio (Chu et al. 2024, arXiv 2407.10759)."""

    before, after = ("<|audio_bos|>",), ("<|audio_eos|>",)

    def _longest(self, processor: Any) -> int | None:
        return self.window

    def embed(self, features: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Hearing.embed`; the tower attends to the frames of speech."""
        steps = (features.shape[-1] - 2) // 2 + 1
        beyond = torch.arange(steps, device=frames.device) >= ((frames - 1) // 2 + 1)[:, None]
        mask = torch.zeros(beyond.shape, dtype=self.tower.conv1.weight.dtype, device=frames.device)
        mask = mask.masked_fill(beyond, -math.inf)[:, None, None].expand(-1, 1, steps, -1)
        return self.projector(self.tower(features, attention_mask=mask).last_hidden_state)


class VoxtralHearing(Hearing):
    """Voxtral (Liu et al. 2025, arXiv 2507.13264)."""

    before = ("[BEGIN_AUDIO]",)
    needs_processor = False

    def windows(self, wave: np.ndarray) -> tuple[Tensor, Tensor]:
        """See :meth:`Hearing.windows`: the loudest frame of all windows sets their range."""
        out = self.extractor(
            wave, sampling_rate=self.extractor.sampling_rate, padding=True, truncation=False,
            pad_to_multiple_of=self.window, return_tensors="pt",
        )  # fmt: skip
        frames = self.window // self.extractor.hop_length
        mel = out["input_features"][0].unflatten(-1, (-1, frames)).transpose(0, 1)
        return mel.contiguous(), torch.full((len(mel),), frames)

    @property
    def stacked(self) -> int:
        """States of the tower that are a token, side by side."""
        return self.tower.config.intermediate_size // self.tower.config.hidden_size

    def count(self, frames: Tensor) -> Tensor:
        """See :meth:`Hearing.count`."""
        return frames // (2 * self.stacked)

    def embed(self, features: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Hearing.embed`."""
        states = self.tower(features).last_hidden_state
        return self.projector(states.reshape(len(states), -1, self.tower.config.intermediate_size))


class AudioFlamingo3Hearing(Hearing):
    """Audio Flamingo 3 (Goel et al. 2025, arXiv 2507.08128)."""

    def _longest(self, processor: Any) -> int | None:
        return int(processor.max_audio_len * self.extractor.sampling_rate) // self.window * self.window

    def embed(self, features: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Hearing.embed`; the tower attends to the frames of speech."""
        mask = (torch.arange(features.shape[-1], device=frames.device) < frames[:, None]).long()
        return self.projector(self.tower(features, input_features_mask=mask).last_hidden_state)


# By model_type of config.json.
FAMILIES: dict[str, type[Hearing]] = {
    "qwen2_audio": Qwen2AudioHearing,
    "voxtral": VoxtralHearing,
    "audioflamingo3": AudioFlamingo3Hearing,
}
