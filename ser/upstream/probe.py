"""How far batched hidden states are from those of each utterance alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.seed import preserved_random_state
from ser.data.audio import AudioReader
from ser.upstream.base import HiddenStates, Upstream, UpstreamInfo

if TYPE_CHECKING:
    from ser.data.datadir import DataDir

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Probe:
    """What a probe found.

    Args:
        difference: the largest over utterances and layers of ``|batched - single| / |single|``, with
            Euclidean norms over the utterance's frames.
        layer: the layer where it is.
        frames: frames of each utterance.
        seconds: of each utterance.
    """

    difference: float
    layer: int
    frames: list[int]
    seconds: list[float]

    @property
    def passed(self) -> bool:
        """Whether batches are exact."""
        return self.difference <= TOLERANCE


def probe(upstream: Upstream, waves: Sequence[np.ndarray]) -> Probe:
    """Compare a padded batch of waveforms ``(T_i,)`` with each of them alone.

    The padding is filled with noise, which must not matter. A difference in the number of frames, or a
    value that is not finite, counts as infinite.
    """
    lengths = torch.tensor([len(wave) for wave in waves])
    with preserved_random_state(), torch.inference_mode():
        batch = torch.randn(len(waves), int(lengths.max()) + 1000, generator=torch.Generator().manual_seed(0))
        for row, wave in zip(batch, waves, strict=True):
            row[: len(wave)] = torch.from_numpy(wave)
        batched = upstream(batch.to(upstream.device), lengths.to(upstream.device))
        worst, layer = 0.0, 0
        for row, wave in enumerate(waves):
            alone = torch.from_numpy(wave)[None].to(upstream.device)
            single = upstream(alone, lengths[row : row + 1].to(upstream.device))
            for index, difference in enumerate(_differences(batched, single, row)):
                if difference > worst:
                    worst, layer = difference, index
    seconds = (lengths / upstream.info.sample_rate).tolist()
    return Probe(worst, layer, batched.lengths.tolist(), seconds)


def _differences(batched: HiddenStates, single: HiddenStates, row: int) -> list[float]:
    """Relative difference of each layer of utterance ``row``."""
    frames = int(single.lengths[0])
    if int(batched.lengths[row]) != frames:
        return [float("inf")]
    return [
        relative_difference(many[row, :frames], one[0, :frames])
        for many, one in zip(batched.layers, single.layers, strict=True)
    ]


def relative_difference(x: Tensor, reference: Tensor) -> float:
    """``|x - reference| / |reference|``, Euclidean norms over all values; infinite when not a number."""
    x, reference = x.to(torch.float64), reference.to(torch.float64)
    difference = (x - reference).norm() / reference.norm().clamp(min=torch.finfo(torch.float64).tiny)
    return float(difference) if torch.isfinite(difference) else float("inf")


def report(info: UpstreamInfo, found: Probe, source: str) -> str:
    """What ``ser extract --probe`` prints."""
    frames = ", ".join(f"{n} in {s:.2f} s" for n, s in zip(found.frames, found.seconds, strict=True))
    verdict = "exact" if found.passed else "NOT exact"
    rows = {
        "upstream": f"{info.name} ({info.family})",
        "checkpoint": info.checkpoint or "none",
        "parameters": f"{info.parameters:,}",
        "layers": info.num_layers,
        "dim": info.dim,
        "frame rate": f"{info.frame_rate:g} Hz" if info.frame_rate else "one vector an utterance",
        "context": info.context,
        "batching": info.batching,
        "frames": f"{frames} ({source})",
        "difference": f"{found.difference:.1e} batched against single, largest in layer {found.layer}:"
        f" {verdict} (limit {TOLERANCE:g})",
    }
    return "\n".join(f"{name:<12}{value}" for name, value in rows.items())


def sample_utterances(data: DataDir, upstream: Upstream, count: int = 6) -> list[np.ndarray]:
    """Waveforms ``(T,)`` out of a data directory, from the shortest that fits to the longest."""
    reader = AudioReader(data, upstream.info.sample_rate)
    least = upstream.min_samples / upstream.info.sample_rate
    seconds = {utterance: reader.seconds(utterance) for utterance in data.utterances}
    fit = sorted((s, utterance) for utterance, s in seconds.items() if s > least)
    if not fit:
        raise UserError(f"no utterance is long enough for {upstream.info.tag}", file=data.path)
    places = np.linspace(0, len(fit) - 1, min(count, len(fit))).round().astype(int)
    return [reader.read(fit[place][1]) for place in places]


def synthetic_speech(sample_rate: int, seconds: Sequence[float] = (0.7, 2.9, 1.3, 4.1)) -> list[np.ndarray]:
    """Harmonic tones with a moving pitch and noise, one waveform ``(T,)`` for each duration."""
    generator = np.random.default_rng(0)
    waves = []
    for index, duration in enumerate(seconds):
        time = np.arange(round(duration * sample_rate)) / sample_rate
        pitch = (110 + 40 * index) * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        voiced = sum(np.sin(k * phase) / k for k in range(1, 8)) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time))
        waves.append((0.1 * voiced + 0.01 * generator.standard_normal(len(time))).astype(np.float32))
    return waves
