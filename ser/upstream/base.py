"""What an upstream is: a waveform goes in, the hidden states of every layer come out."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ser.core.errors import UserError


@dataclass(frozen=True)
class UpstreamInfo:
    """What a reader of a results table wants to know about an upstream.

    Args:
        name: the name it was loaded by, e.g. ``hf:models/whisper-base-encoder``.
        tag: its short name, fit for a folder, e.g. ``whisper-base-encoder``.
        family: ``hubert``, ``wavlm``, ``wav2vec2``, ``wav2vec2-bert``, ``whisper``, ``s3prl``, ``opensmile``.
        sample_rate: of the waveform it wants, in Hz.
        frame_rate: of its frames, in Hz; 0 when there is one vector an utterance.
        num_layers: hidden states, counting the input of the first layer as one.
        dim: width of a hidden state.
        parameters: number of parameters of the encoder, up to its last layer.
        checkpoint: SHA-256 of the weights, or None when there are none.
        context: what the encoder sees at once: ``length`` (the utterance) or ``30 s`` (Whisper, padded).
        batching: ``padded`` (a batch is one tensor) or ``one by one`` (``forward`` runs utterances singly).
    """

    name: str
    tag: str
    family: str
    sample_rate: int
    frame_rate: float
    num_layers: int
    dim: int
    parameters: int
    checkpoint: str | None
    context: str = "length"
    batching: str = "padded"


@dataclass(frozen=True)
class HiddenStates:
    """The layers of a batch.

    Args:
        layers: L tensors ``(B, F, D)``; the first is the input of the first layer, number k the output of
            layer k, the last one after the encoder's closing layer norm if it has one. Frames at or beyond
            ``lengths`` are zero.
        lengths: ``(B,)`` number of valid frames, int64.
    """

    layers: list[Tensor]
    lengths: Tensor


class Upstream(nn.Module):
    """An encoder that gives an utterance the same hidden states alone and in any batch.

    A family fills in ``info``, ``min_samples``, ``settings`` and :meth:`encode`. It stays in evaluation mode
    when ``train()`` is called on a model that holds it: no dropout, no layer drop, no SpecAugment.
    """

    info: UpstreamInfo
    min_samples: int = 1
    # What decides the hidden states beside the weights, as plain values (a preprocessor's settings).
    settings: Mapping[str, Any] = MappingProxyType({})
    # Whether it was pre-trained on audio of speakers who are tested.
    transductive: bool = False
    # Whether its input features go through ser.upstream.masking.
    maskable: bool = False

    def forward(
        self,
        wave: Tensor,
        lengths: Tensor,
        speaker: Tensor | None = None,
        last_layer: int | None = None,
    ) -> HiddenStates:
        """Encode a batch.

        Args:
            wave: ``(B, T)`` mono waveforms in [-1, 1] at ``info.sample_rate``; ignored beyond ``lengths``.
            lengths: ``(B,)`` samples.
            speaker: ``(B, S)`` speaker vectors; upstreams that are not personalised take no notice of them.
            last_layer: stop at this hidden state, 0 to ``num_layers - 1``; all by default.

        Raises:
            UserError: an utterance is shorter than ``min_samples``, or there is no such layer.
        """
        last = self.info.num_layers - 1 if last_layer is None else last_layer
        if not 0 <= last < self.info.num_layers:
            known = f"{self.info.tag} has layers 0 to {self.info.num_layers - 1}"
            raise UserError(f"no such layer ({known})", value=last_layer)
        if wave.dim() != 2 or lengths.shape != wave.shape[:1] or int(lengths.max()) > wave.shape[1]:
            raise ValueError(f"wave {tuple(wave.shape)} and lengths {lengths.tolist()} do not fit")
        shortest = int(lengths.min())
        if shortest < self.min_samples:
            raise UserError(
                f"utterance of {shortest} samples is too short for {self.info.tag},"
                f" which needs {self.min_samples}"
            )
        lengths = lengths.to(wave.device, torch.int64)
        wave = wave[:, : int(lengths.max())]
        with full_precision(wave.device):
            layers, frames = self.encode_spoken(zero_beyond(wave, lengths), lengths, speaker, last)
            return HiddenStates([zero_beyond(layer, frames) for layer in layers], frames)

    @abstractmethod
    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """The family's encoder: ``wave (B, T)``, zero beyond ``lengths (B,)``, to layers 0 to ``last_layer``.

        Returns:
            ``last_layer + 1`` tensors ``(B, F, D)`` and the frames ``(B,)`` that are valid.
        """

    def encode_spoken(
        self, wave: Tensor, lengths: Tensor, speaker: Tensor | None, last_layer: int
    ) -> tuple[list[Tensor], Tensor]:
        """:meth:`encode`, for encoders that are personalised with ``speaker (B, S)``."""
        return self.encode(wave, lengths, last_layer)

    def take_as_given(self) -> None:
        """Leave out the family's own normalisation of waveforms: they come normalised in another way.

        Raises:
            UserError: there is none that could be left out.
        """
        raise UserError(
            f"the input of {self.info.tag} follows a rule of its own, which cannot be replaced",
            value=self.info.family, hint="Keep its own normalisation",
        )  # fmt: skip

    def vectors_of(self, speakers: Sequence[str]) -> Tensor | None:
        """What to hand to ``forward`` as ``speaker``: ``(B, S)``, or None where nobody is personal.

        Raises:
            UserError: the encoder is personalised and does not know a speaker.
        """
        return None

    def assign_speakers(self, path: Path) -> None:
        """Read of which training speakers others are made, as ``ser speakers`` writes it.

        Raises:
            UserError: the encoder is not personalised, or the file is not one of its.
        """
        raise UserError(f"{self.info.tag} is not personalised", hint="Leave --speakers out")

    @property
    def device(self) -> torch.device:
        """Where waveforms are to be; the CPU when the upstream has nothing that could be elsewhere."""
        return next((x.device for x in chain(self.parameters(), self.buffers())), torch.device("cpu"))

    def padded_seconds(self, seconds: float) -> float:
        """Seconds of audio that the encoder computes for an utterance of so many, for planning batches."""
        return seconds

    def train(self, mode: bool = True) -> Upstream:
        """Stay in evaluation mode."""
        return super().train(False)


def valid_positions(lengths: Tensor, size: int) -> Tensor:
    """``(B, size)``, True before each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def zero_beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """``x (B, F, ...)`` with zeros at and beyond ``lengths (B,)``; ``x`` itself when nothing lies there."""
    if bool((lengths >= x.shape[1]).all()):
        return x
    outside = ~valid_positions(lengths, x.shape[1])
    return x.masked_fill(outside.view(*outside.shape, *[1] * (x.dim() - 2)), 0)


def attention_bias(lengths: Tensor, x: Tensor) -> Tensor | None:
    """What to add to the attention scores of ``x (B, F, D)``: minus infinity at keys beyond ``lengths (B,)``.

    Returns:
        ``(B, 1, 1, F)``, in the type of ``x`` (another type gives wrong sums without a word), or None when
        there is nothing to mask.
    """
    size = x.shape[1]
    if bool((lengths >= size).all()):
        return None
    return x.new_zeros(len(lengths), 1, 1, size).masked_fill_(
        ~valid_positions(lengths, size)[:, None, None], float("-inf")
    )


def count_parameters(*modules: nn.Module) -> int:
    """Number of parameters, shared ones counted once."""
    return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Keep cuDNN's convolutions in float32: TF32, its default, is off by 1e-3."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled, benchmark=False, deterministic=cudnn.deterministic, allow_tf32=False
    ):
        yield
