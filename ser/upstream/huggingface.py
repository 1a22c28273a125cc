"""Upstreams by Hugging Face folder or hub name: ``config.json`` says which family it is.

Known families run in padded batches. Any other audio encoder that ``AutoModel`` knows runs too, one
utterance at a time, as transformers has it.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ser.core.errors import UserError
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.convolution import hop_of
from ser.upstream.model_folder import (
    hub_errors,
    load_model,
    locate,
    quiet_transformers,
    read_preprocessor,
    weight_files,
)
from ser.upstream.one_by_one import load_one_by_one
from ser.upstream.w2v_bert import W2vBertUpstream
from ser.upstream.wav2vec2 import Wav2Vec2Upstream
from ser.upstream.whisper import WhisperUpstream

CONTEXTS = ("length", "30 s")
# Fields of config.json that say where it lies or what wrote it, not what the model is.
NOT_THE_MODEL = ("_name_or_path", "transformers_version")


def load_huggingface(where: str, name: str, tag: str, context: str = "length") -> Upstream:
    """Load an encoder.

    Args:
        where: a folder with config.json and weights, or a hub name.
        name: what the user called it.
        tag: its short name.
        context: for Whisper, ``length`` or ``30 s``.

    Raises:
        UserError: no such folder or hub name, no audio encoder, incomplete weights, or no statement of
            whether the waveform is to be normalised.
    """
    import transformers

    where = locate(where)
    with quiet_transformers(), hub_errors(where):
        config = transformers.AutoConfig.from_pretrained(where)
    preprocessor = read_preprocessor(where)
    upstream = _build(where, name, tag, context, config, preprocessor)
    about_model = {name: value for name, value in config.to_dict().items() if name not in NOT_THE_MODEL}
    upstream.settings = {"config": about_model, "preprocessor": preprocessor}
    return upstream


def _build(
    where: str, name: str, tag: str, context: str, config: Any, preprocessor: dict[str, Any]
) -> Upstream:
    """The upstream of the family that ``config`` names."""
    import transformers

    family = config.model_type
    if context not in CONTEXTS:
        raise UserError("no such context", value=context, hint=f"Known are: {', '.join(CONTEXTS)}")
    if context != "length" and family != "whisper":
        raise UserError(f"context '{context}' is Whisper's; {tag} is {family}", hint="Leave it out")
    rate = int(preprocessor.get("sampling_rate", 16000))

    def info(encoder: nn.Module, hop: int, layers: int, dim: int, batching: str = "padded") -> UpstreamInfo:
        return UpstreamInfo(
            name=name, tag=tag, family=family, sample_rate=rate, frame_rate=rate / hop, num_layers=layers + 1,
            dim=dim, parameters=count_parameters(encoder), checkpoint=hash_files(weight_files(where)),
            context=context, batching=batching,
        )  # fmt: skip

    if family == "whisper":
        encoder = load_whisper_encoder(where, config)
        fields = {"feature_size": config.num_mel_bins, **preprocessor}
        extractor = transformers.WhisperFeatureExtractor(**fields)
        hop = extractor.hop_length * encoder.conv1.stride[0] * encoder.conv2.stride[0]
        return WhisperUpstream(encoder, info(encoder, hop, config.encoder_layers, config.d_model), extractor)
    if family in ("hubert", "wavlm", "wav2vec2"):
        model = load_model(transformers.AutoModel, where)
        hop = hop_of(model.feature_extractor.conv_layers)
        about = info(model, hop, config.num_hidden_layers, config.hidden_size)
        return Wav2Vec2Upstream(model, about, _do_normalise(preprocessor, where))
    if family == "wav2vec2-bert":
        # Eager attention takes one mask in every version of transformers.
        model = load_model(transformers.AutoModel, where, attn_implementation="eager")
        extractor = transformers.SeamlessM4TFeatureExtractor(**preprocessor)
        hop = W2vBertUpstream.SHIFT * extractor.stride
        about = info(model, hop, config.num_hidden_layers, config.hidden_size)
        return W2vBertUpstream(model, about, extractor)
    return load_one_by_one(where, family, rate, info)


def _do_normalise(preprocessor: dict[str, Any], where: str) -> bool:
    """Whether the encoder was trained on normalised waveforms: nothing in the weights tells."""
    if "do_normalize" in preprocessor:
        return bool(preprocessor["do_normalize"])
    raise UserError(
        "no preprocessor_config.json with do_normalize beside the weights, so it is not known whether"
        " the waveform is to be normalised",
        file=where,
        hint='Write one, e.g. {"do_normalize": true, "sampling_rate": 16000}: true for most large models',
    )


def load_whisper_encoder(where: str, config: Any) -> nn.Module:
    """The encoder out of a folder that holds it alone or the whole model."""
    from transformers import WhisperModel
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    if (config.architectures or [""])[0] == "WhisperEncoder":
        return load_model(WhisperEncoder, where)
    return load_model(WhisperModel, where).encoder
