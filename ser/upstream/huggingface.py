"""Upstreams by Hugging Face folder or hub name: ``config.json`` says which family it is.

Known families run in padded batches. Any other audio encoder that ``AutoModel`` knows runs too, one
utterance at a time, as transformers has it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.core.errors import UserError
from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.w2v_bert import W2vBertUpstream
from ser.upstream.wav2vec2 import Wav2Vec2Upstream, frame_rate
from ser.upstream.whisper import WhisperUpstream

CONTEXTS = ("length", "30 s")
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Weights of the training objective, which no hidden state depends on.
NOT_IN_ENCODER = ("masked_spec_embed", "adapter.", "intermediate_ffn.", "decoder.")


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
    upstream.settings = {"config": config.to_dict(), "preprocessor": preprocessor}
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

    def info(
        encoder: nn.Module, frames_a_second: float, layers: int, dim: int, batching: str = "padded"
    ) -> UpstreamInfo:
        return UpstreamInfo(
            name=name, tag=tag, family=family, sample_rate=rate, frame_rate=frames_a_second, num_layers=layers + 1,
            dim=dim, parameters=count_parameters(encoder), checkpoint=hash_files(weight_files(where)),
            context=context, batching=batching,
        )  # fmt: skip

    if family == "whisper":
        encoder = load_whisper_encoder(where, config)
        extractor = transformers.WhisperFeatureExtractor(
            **{"feature_size": config.num_mel_bins, **preprocessor}
        )
        stride = extractor.hop_length * encoder.conv1.stride[0] * encoder.conv2.stride[0]
        about = info(encoder, rate / stride, config.encoder_layers, config.d_model)
        return WhisperUpstream(encoder, about, extractor)
    if family in ("hubert", "wavlm", "wav2vec2"):
        model = load_model(transformers.AutoModel, where)
        about = info(model, frame_rate(model, rate), config.num_hidden_layers, config.hidden_size)
        return Wav2Vec2Upstream(model, about, _do_normalise(preprocessor, where))
    if family == "wav2vec2-bert":
        # Eager attention takes one mask in every version of transformers.
        model = load_model(transformers.AutoModel, where, attn_implementation="eager")
        extractor = transformers.SeamlessM4TFeatureExtractor(**preprocessor)
        about = info(model, rate / 160 / extractor.stride, config.num_hidden_layers, config.hidden_size)
        return W2vBertUpstream(model, about, extractor)
    return OneByOneUpstream.load(where, config, info)


class OneByOneUpstream(Upstream):
    """Any other audio encoder of transformers: right because it never sees two utterances at once.

    Args:
        model: gives ``hidden_states`` from the features of ``extractor``.
        info: what it is.
        extractor: its feature extractor.
    """

    min_samples = 800

    def __init__(self, model: nn.Module, info: UpstreamInfo, extractor: Any) -> None:
        super().__init__()
        self.model, self.info, self.extractor = model, info, extractor

    @classmethod
    def load(cls, where: str, config: Any, info: Any) -> OneByOneUpstream:
        """Load with ``AutoModel``; frame rate and number of layers are read off one second of noise."""
        import transformers

        model = load_model(transformers.AutoModel, where)
        if getattr(model, "main_input_name", "") not in ("input_values", "input_features"):
            raise UserError("not an audio encoder", file=where, value=config.model_type)
        with quiet_transformers(), hub_errors(where):
            extractor = transformers.AutoFeatureExtractor.from_pretrained(where)
        upstream = cls(model, info(model, 0.0, 0, 0, "one by one"), extractor)
        rate = upstream.info.sample_rate
        noise = torch.randn(2 * rate, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            short, long = upstream._states(noise[:rate]), upstream._states(noise)
        # One second more gives one second's frames more, whatever is lost at the edges.
        upstream.info = info(
            model,
            float(long[0].shape[1] - short[0].shape[1]),
            len(short) - 1,
            short[0].shape[2],
            "one by one",
        )
        return upstream

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        rows = [
            self._states(row[:length])[: last_layer + 1]
            for row, length in zip(wave, lengths.tolist(), strict=True)
        ]
        layers = [
            pad_sequence([state[0] for state in states], batch_first=True)
            for states in zip(*rows, strict=True)
        ]
        return layers, torch.tensor([row[0].shape[1] for row in rows], device=wave.device)

    def _states(self, wave: Tensor) -> list[Tensor]:
        """Hidden states ``(1, F, D)`` of one utterance ``(T,)``."""
        inputs = self.extractor(wave.cpu().numpy(), sampling_rate=self.info.sample_rate, return_tensors="pt")
        features = inputs[self.model.main_input_name].to(wave.device)
        return list(self.model(features, output_hidden_states=True).hidden_states)


def locate(where: str) -> str:
    """A folder that exists, or a hub name; what looks like a path and is none never reaches the network.

    Raises:
        UserError: no such folder, or a folder without config.json.
    """
    folder = Path(where).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                "no config.json in this folder", file=folder, hint="Give a Hugging Face model folder"
            )
        return str(folder)
    if where.startswith((".", "/", "~")) or where.endswith("/") or where.count("/") > 1 or os.sep not in "/":
        raise UserError("no such folder", file=where, hint="Give a Hugging Face model folder or a hub name")
    return where


def read_preprocessor(where: str) -> dict[str, Any]:
    """The fields of preprocessor_config.json; empty when there is none."""
    from transformers.utils.hub import cached_file

    with quiet_transformers():
        try:
            found = cached_file(
                where, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
            )
        except OSError:
            found = None
    if found is None:
        return {}
    try:
        fields = json.loads(Path(found).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("not JSON", file=found, value=str(error)) from None
    return {
        k: v
        for k, v in fields.items()
        if k not in ("feature_extractor_type", "processor_class", "mel_filters")
    }


def _do_normalise(preprocessor: dict[str, Any], where: str) -> bool:
    """Whether the encoder was trained on normalised waveforms: nothing in the weights tells."""
    if "do_normalize" in preprocessor:
        return bool(preprocessor["do_normalize"])
    raise UserError(
        "no preprocessor_config.json with do_normalize beside the weights, so it is not known whether the waveform"
        " is to be normalised",
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


def load_model(cls: Any, where: str, **options: Any) -> nn.Module:
    """Weights in float32, frozen.

    Raises:
        UserError: weights of the encoder are missing, which transformers would fill with random numbers.
    """
    with quiet_transformers(), hub_errors(where):
        model, report = cls.from_pretrained(where, output_loading_info=True, **options)
    missing = [key for key in report["missing_keys"] if not any(part in key for part in NOT_IN_ENCODER)]
    mismatched = [str(key) for key in report.get("mismatched_keys", [])]
    if missing or mismatched:
        raise UserError(
            f"the weights do not fill the encoder: {len(missing)} missing, {len(mismatched)} of another shape",
            file=where,
            value=sorted(missing + mismatched)[0],
        )
    return model.to(torch.float32).eval().requires_grad_(False)


def weight_files(where: str) -> list[Path]:
    """The files that the weights came from."""
    from transformers.utils.hub import cached_file

    for candidate in WEIGHTS:
        with quiet_transformers():
            try:
                found = cached_file(
                    where, candidate, local_files_only=True, _raise_exceptions_for_missing_entries=False
                )
            except OSError:
                found = None
        if found is None:
            continue
        if not candidate.endswith(".index.json"):
            return [Path(found)]
        shards = json.loads(Path(found).read_text(encoding="utf-8"))["weight_map"].values()
        return sorted(Path(found).parent / shard for shard in set(shards))
    return []


@contextlib.contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """Turn what transformers says about a missing model into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        if Path(where).is_dir():
            raise UserError("cannot be loaded", file=where, value=reason) from None
        raise UserError(
            f"'{where}' is no folder here and cannot be had from the hub",
            value=reason,
            hint="Give the folder",
        ) from None


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence loading reports and progress bars: what matters of them is checked."""
    from transformers.utils import logging as transformers_logging

    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
