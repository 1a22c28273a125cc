"""From an upstream's name to an encoder that can be trained."""

from __future__ import annotations

from ser.core.errors import UserError
from ser.papt.encoders.huggingface import load_folder
from ser.papt.encoders.s3prl_hubert import load_hubert
from ser.papt.encoders.s3prl_wavlm import load_wavlm
from ser.papt.encoders.scratch import build_scratch
from ser.papt.encoders.source import Source
from ser.upstream.registry import parse_name


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
        return build_scratch(rest)
    parsed = parse_name(name)
    if parsed.library == "hf" and parsed.where is not None:
        return load_folder(parsed.where, name)
    if parsed.library == "s3prl" and parsed.where is not None:
        if parsed.entry in ("hubert_local", "hubert_custom"):
            return load_hubert(parsed.where, name)
        if parsed.entry in ("wavlm_local", "wavlm_custom"):
            return load_wavlm(parsed.where, name)
    raise UserError(
        "no encoder that can be pre-trained here",
        value=name,
        hint="Write hf:<folder>, s3prl:hubert_local:<file>, s3prl:wavlm_local:<file>, scratch:tiny or"
        " scratch:small",
    )
