"""HuBERT, WavLM and wav2vec 2.0 out of a Hugging Face folder: an encoder without heads."""

from __future__ import annotations

from ser.core.errors import UserError
from ser.papt.encoders.source import TRANSFORMERS_EPSILON, Source
from ser.upstream.huggingface import load_huggingface
from ser.upstream.personalised import FAMILIES, build_model
from ser.upstream.wav2vec2 import Wav2Vec2Upstream


def load_folder(where: str, name: str) -> Source:
    """Load an encoder; ``masked_spec_embed``, where it is, becomes the mask embedding.

    Raises:
        UserError: as ``load_huggingface``, and for another family.
    """
    upstream = load_huggingface(where, name, "source")
    if not isinstance(upstream, Wav2Vec2Upstream):
        raise UserError(
            f"an encoder of the family '{upstream.info.family}' cannot be pre-trained here",
            file=where,
            hint=f"Known are: {', '.join(FAMILIES)}",
        )
    loaded = upstream.model.state_dict()
    model = build_model(upstream.info.family, upstream.settings["config"])
    model.load_state_dict({name: loaded[name] for name in model.state_dict()})
    return Source(
        name,
        upstream.info.family,
        model,
        upstream.normalise,
        TRANSFORMERS_EPSILON,
        upstream.info.checkpoint,
        loaded.get("masked_spec_embed"),
    )
