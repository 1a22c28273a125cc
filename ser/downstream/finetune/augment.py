"""Augmentation of audio and of an encoder's input features while training.

All of it is drawn from (seed, epoch, utterance) alone: a run that was killed, and one of more processes,
trains on the same audio.

    speed       as if played s times as fast: T / s samples, pitch too       Ko et al., Interspeech 2015
    noise       x + n, white, with 10 log10(sum x^2 / sum n^2) = SNR
    gain        10^(g / 20) x
    masks       spans of frames, and of channels, of the features           SpecAugment, Park et al. 2019

Frames are masked by the mask embedding of pre-training where the encoder has one, by 0 where it has none,
and channels by 0, as in fine-tuning of wav2vec 2.0 (Baevski et al. 2020). Features are the input of the
first layer; Whisper's are its log-mel frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import soxr
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.core.seed import derive_seed
from ser.upstream.base import Upstream

logger = get_logger(__name__)

SLOWEST, FASTEST = 0.5, 2.0


@dataclass
class AugmentConfig:
    """Nothing by default.

    Args:
        speed: factors, each as likely as another; with 1.0 among them some utterances stay as they are.
        noise: lowest and highest signal-to-noise ratio in dB; empty for no noise.
        gain: at most so many dB louder or softer.
        time_masks: spans of frames masked in an utterance.
        time_width: the widest of them, as a share of the utterance's frames.
        channel_masks: spans of channels masked in an utterance.
        channel_width: the widest of them, as a share of the channels.
    """

    speed: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    gain: float = 0.0
    time_masks: int = 0
    time_width: float = 0.1
    channel_masks: int = 0
    channel_width: float = 0.1

    @property
    def masks(self) -> bool:
        """Whether features are masked."""
        return bool(self.time_masks or self.channel_masks)

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            UserError: naming the option and its value.
        """
        if not all(SLOWEST <= factor <= FASTEST for factor in self.speed):
            raise UserError(f"augment.speed must be factors of {SLOWEST:g} to {FASTEST:g}", value=self.speed)
        ends = [-math.inf, *self.noise, math.inf]
        if self.noise and not (len(ends) == 4 and ends[0] < ends[1] <= ends[2] < ends[3]):
            raise UserError(
                "augment.noise must be the lowest and the highest SNR in dB", value=self.noise,
                hint="For example [10, 40]",
            )  # fmt: skip
        if not 0 <= self.gain < math.inf:
            raise UserError("augment.gain must be dB of at least 0", value=self.gain)
        for name in ("time", "channel"):
            count, width = getattr(self, f"{name}_masks"), getattr(self, f"{name}_width")
            if count < 0:
                raise UserError(f"augment.{name}_masks must be at least 0", value=count)
            if not 0 < width <= 1:
                raise UserError(f"augment.{name}_width must be a share above 0, up to 1", value=width)

    def describe(self) -> list[str]:
        """For tables."""
        found = []
        if self.speed:
            found.append(f"speed {'/'.join(f'{factor:g}' for factor in self.speed)}")
        if self.noise:
            found.append(f"noise {self.noise[0]:g} to {self.noise[1]:g} dB")
        if self.gain:
            found.append(f"gain {self.gain:g} dB")
        return found + (["SpecAugment"] if self.masks else [])


@dataclass(frozen=True)
class Augmentation:
    """The draws of one epoch.

    Args:
        config: what is drawn.
        seed: of the run.
        epoch: from 1.
    """

    config: AugmentConfig
    seed: int
    epoch: int

    def speed(self, utterance: str, seconds: float, least: float) -> float:
        """The factor of an utterance.

        Args:
            utterance: its id.
            seconds: its duration.
            least: seconds that the encoder needs; what would be left with less keeps its speed.
        """
        if not self.config.speed:
            return 1.0
        factor = float(self._random("speed", utterance).choice(self.config.speed))
        return factor if seconds / factor >= least else 1.0

    def change_speed(self, wave: np.ndarray, rate: int, factor: float) -> np.ndarray:
        """``wave (T,)`` as if played ``factor`` times as fast: about ``T / factor`` samples."""
        if factor == 1.0:
            return wave
        return np.ascontiguousarray(soxr.resample(wave, rate * factor, rate, quality="HQ"), dtype=np.float32)

    def sound(self, wave: np.ndarray, utterance: str) -> np.ndarray:
        """``wave (T,)`` with noise, and louder or softer."""
        config, random = self.config, self._random("sound", utterance)
        if config.noise:
            ratio = random.uniform(*config.noise)
            noise = random.standard_normal(len(wave))
            power = float(np.square(wave, dtype=np.float64).sum() / np.square(noise).sum())
            wave = (wave + math.sqrt(power / 10 ** (ratio / 10)) * noise).astype(np.float32)
        if config.gain:
            wave = wave * np.float32(10 ** (random.uniform(-config.gain, config.gain) / 20))
        return wave

    def masks(self, utterances: tuple[str, ...]) -> FeatureMasks | None:
        """Of the rows of a batch; None where nothing is masked."""
        if not self.config.masks:
            return None
        seeds = tuple(derive_seed(self.seed, "masks", self.epoch, name) for name in utterances)
        return FeatureMasks(self.config, seeds)

    def _random(self, what: str, utterance: str) -> np.random.Generator:
        """Of an utterance in this epoch."""
        return np.random.default_rng(derive_seed(self.seed, what, self.epoch, utterance))


@dataclass(frozen=True)
class FeatureMasks:
    """SpecAugment on the features of a batch; see ``ser.upstream.masking``.

    Args:
        config: number and widths.
        seeds: of each utterance of the batch.
    """

    config: AugmentConfig
    seeds: tuple[int, ...]

    def __call__(
        self, x: Tensor, frames: Tensor, fill: Tensor | None = None, owners: Tensor | None = None
    ) -> Tensor:
        """``x (B, F, C)`` masked within its ``frames (B,)``; the arguments are those of ``mask_features``."""
        rows = list(range(len(x))) if owners is None else owners.tolist()
        channels, config = x.shape[2], self.config
        hidden = torch.zeros(x.shape[:2], dtype=torch.bool)
        silent = torch.zeros(len(x), channels, dtype=torch.bool)
        for place, (row, length) in enumerate(zip(rows, frames.tolist(), strict=True)):
            # A long utterance may be several rows, each with masks of its own.
            random = np.random.default_rng([self.seeds[row], rows[:place].count(row)])
            draw_spans(hidden[place], length, config.time_masks, config.time_width, random)
            draw_spans(silent[place], channels, config.channel_masks, config.channel_width, random)
        value = x.new_zeros(channels) if fill is None else fill.detach().to(x.dtype)
        x = torch.where(hidden[:, :, None].to(x.device), value, x)
        # Beyond an utterance's frames there are zeros, and zeros stay.
        return x.masked_fill(silent[:, None].to(x.device), 0)


def check_augmentation(config: AugmentConfig, upstream: Upstream) -> None:
    """See that an encoder can be trained so.

    Raises:
        UserError: masks, for an encoder that does not let its features be masked.
    """
    if config.masks and not upstream.maskable:
        raise UserError(
            f"{upstream.info.tag} does not let its features be masked", value=upstream.info.family,
            hint="Set augment.time_masks and augment.channel_masks to 0, or load it as hf:<folder>",
        )  # fmt: skip
    if config.gain and getattr(upstream, "normalise", False):
        logger.warning("%s normalises every waveform: augment.gain changes nothing", upstream.info.tag)


def draw_spans(masked: Tensor, size: int, count: int, share: float, random: np.random.Generator) -> None:
    """Set ``count`` spans of 0 to ``share * size`` places of ``masked (F,)``, within its first ``size``."""
    for _ in range(count):
        width = int(random.integers(int(share * size) + 1))
        start = int(random.integers(size - width + 1))
        masked[start : start + width] = True
