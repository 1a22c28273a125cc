"""Speaker embeddings e_i of a personalised encoder, where they enter it, and their mixtures.

    e_i   = W s_i + b                         s_i a row of an embedding table, e_i (D,)
    last    f_i^p = T(x) + e_i                the method of the paper
    first   f_i^p = T(x + e_i)
    prefix  f_i^p = T([e_i; x]) without its first frame
    none    f_i^p = T(x)                      no speaker

x (F, D) is the input of the Transformer T, masked where pre-training masks it; the position embedding is a
part of T. Adding e_i means adding it to every frame.

Source: Tran, Yin and Soleymani, Interspeech 2023, arXiv 2309.02418, section on PAPT and its table of fusion
positions. Open there, and chosen here: the width of s_i (an option), the initial values (torch's own).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.data.table import line_of, read_table, write_table
from ser.upstream.base import zero_beyond
from ser.upstream.wav2vec2 import transform

Fusion = Literal["last", "first", "prefix", "none"]
# Speaker -> training speaker -> weight; a speaker without entries has e = 0.
Mixtures = Mapping[str, Mapping[str, float]]
NOBODY = "-"


class SpeakerNetwork(nn.Module):
    """Embedding table and fully connected layer: ``e_i = W s_i + b``.

    Args:
        speakers: number of training speakers.
        width: of a row of the table.
        dim: of the encoder's frames, D.
    """

    def __init__(self, speakers: int, width: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(speakers, width)
        self.project = nn.Linear(width, dim)

    def forward(self, speaker: Tensor) -> Tensor:
        """Indices ``(B,)`` to vectors e_i ``(B, D)``."""
        return self.project(self.embedding(speaker))

    def mix(self, weights: Tensor) -> Tensor:
        """Weighted sums of all e_i: weights ``(B, speakers)`` to ``(B, D)``."""
        return weights.to(self.project.weight.dtype) @ self.project(self.embedding.weight)


def fuse(
    model: nn.Module, x: Tensor, frames: Tensor, speaker: Tensor | None, fusion: Fusion, last_layer: int
) -> list[Tensor]:
    """The Transformer of a wav2vec2-shaped ``model`` with the speaker in it.

    Args:
        model: transformers' ``HubertModel``, ``WavLMModel`` or ``Wav2Vec2Model``.
        x: ``(B, F, D)``, zero beyond ``frames (B,)``.
        speaker: vectors e_i ``(B, D)``; None for the encoder without a speaker.
        fusion: where they enter.
        last_layer: stop at this state.

    Returns:
        ``last_layer + 1`` states ``(B, F, D)``. With ``last`` only the state after the last layer has e_i.
    """
    if speaker is None or fusion == "none":
        return transform(model, x, frames, last_layer)
    e = speaker[:, None].to(x.dtype)
    if fusion == "first":
        return transform(model, zero_beyond(x + e, frames), frames, last_layer)
    if fusion == "prefix":
        states = transform(model, torch.cat([e, x], dim=1), frames + 1, last_layer)
        return [state[:, 1:] for state in states]
    states = transform(model, x, frames, last_layer)
    if last_layer == len(model.encoder.layers):
        states[-1] = states[-1] + e
    return states


def write_mixtures(path: str | os.PathLike[str], mixtures: Mixtures) -> None:
    """Write spk2papt: ``<speaker> <training speaker>:<weight> ...``, or ``<speaker> -`` for e = 0."""
    write_table(path, {speaker: format_mixture(parts) for speaker, parts in mixtures.items()})


def format_mixture(parts: Mapping[str, float]) -> str:
    """A mixture as it stands in spk2papt.

    >>> format_mixture({"a": 0.5, "b": 0.5}), format_mixture({})
    ('a:0.5 b:0.5', '-')
    """
    return " ".join(f"{name}:{weight:.9g}" for name, weight in parts.items()) or NOBODY


def read_mixtures(path: str | os.PathLike[str], known: Sequence[str]) -> dict[str, dict[str, float]]:
    """Read spk2papt.

    Args:
        path: the file.
        known: the training speakers.

    Raises:
        UserError: for a line of another form, or a training speaker that the encoder does not have.
    """
    table, trained = read_table(path), set(known)
    mixtures: dict[str, dict[str, float]] = {}
    for speaker, text in table.items():
        parts = mixtures.setdefault(speaker, {})
        for part in text.split() if text != NOBODY else ():
            name, colon, weight = part.rpartition(":")
            try:
                parts[name] = float(weight)
            except ValueError:
                colon = ""
            if not colon:
                raise UserError(f"the mixture of {speaker!r} is not '<training speaker>:<weight> ...'",
                                file=path, line=line_of(table, speaker), value=part)  # fmt: skip
            if name not in trained:
                raise UserError(f"the encoder has no speaker {name!r}, of whom {speaker!r} is made",
                                file=path, line=line_of(table, speaker),
                                hint="Run 'ser speakers' with this encoder")  # fmt: skip
    return mixtures
