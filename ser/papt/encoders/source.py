"""An encoder to start pre-training from, whatever it was loaded from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

# Added to a waveform's variance when it is normalised: by transformers, by fairseq and S3PRL.
TRANSFORMERS_EPSILON, FAIRSEQ_EPSILON = 1e-7, 1e-5


@dataclass(frozen=True)
class Heads:
    """The heads of an earlier pre-training.

    Args:
        weight: of final_proj, ``(P, D)``.
        bias: of final_proj, ``(P,)``.
        embeddings: of the units, ``(C', P)``.
        symbols: what each row of ``embeddings`` stands for: a unit's number, or a special symbol.
    """

    weight: Tensor
    bias: Tensor
    embeddings: Tensor
    symbols: list[str]


@dataclass
class Source:
    """An encoder to start from.

    Args:
        name: what the user called it.
        family: ``hubert``, ``wavlm`` or ``wav2vec2``.
        model: transformers' model, in evaluation mode, trainable.
        normalise: whether waveforms are normalised.
        epsilon: added to their variance.
        checkpoint: SHA-256 of the weights, None for random ones.
        mask_embedding: ``(D,)``, where the checkpoint has one.
        heads: of the checkpoint, where it has them.
    """

    name: str
    family: str
    model: nn.Module
    normalise: bool
    epsilon: float
    checkpoint: str | None = None
    mask_embedding: Tensor | None = None
    heads: Heads | None = None
