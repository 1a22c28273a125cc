"""From an upstream's name to an encoder that can be trained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ser.core.errors import UserError
from ser.upstream.registry import parse_name

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


def load_source(name: str) -> Source:
    """Load an encoder to pre-train.

    Args:
        name: ``hf:<folder or hub name>``, ``s3prl:hubert_local:<file>``, ``s3prl:wavlm_local:<file>``, or
            ``scratch:tiny`` and ``scratch:small`` for random weights (seed torch before).

    Raises:
        UserError: no such name, or an encoder of another kind.
    """
    library, _, rest = name.partition(":")
    if library == "scratch":
        from ser.papt.encoders.scratch import build_scratch

        return build_scratch(rest)
    parsed = parse_name(name)
    if parsed.library == "hf" and parsed.where is not None:
        from ser.papt.encoders.huggingface import load_folder

        return load_folder(parsed.where, name)
    if parsed.library == "s3prl" and parsed.where is not None:
        if parsed.entry in ("hubert_local", "hubert_custom"):
            from ser.papt.encoders.s3prl_hubert import load_hubert

            return load_hubert(parsed.where, name)
        if parsed.entry in ("wavlm_local", "wavlm_custom"):
            from ser.papt.encoders.s3prl_wavlm import load_wavlm

            return load_wavlm(parsed.where, name)
    raise UserError(
        "no encoder that can be pre-trained here",
        value=name,
        hint="Write hf:<folder>, s3prl:hubert_local:<file>, s3prl:wavlm_local:<file>, scratch:tiny or"
        " scratch:small",
    )
