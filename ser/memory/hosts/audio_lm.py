"""Audio language models by Hugging Face folder or hub name; no code out of the folder is run."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from ser.memory.hosts.base import HostInfo
from ser.memory.hosts.hearing import FAMILIES
from ser.memory.hosts.language_model import AudioLanguageModel
from ser.memory.hosts.prompt import make_prompt, writer_for
from ser.upstream.base import count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.model_folder import hub_errors, load_weights, locate, quiet_transformers, weight_files
from ser.upstream.registry import resolve_device, tag_of

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}


def load_audio_lm(
    name: str, config: AudioLMConfig, classes: Sequence[str], device: str = "auto"
) -> AudioLanguageModel:
    """Load an audio language model as host; LoRA takes its first weights of torch's random numbers.

    Args:
        name: a folder with config.json, weights, tokenizer and feature extractor, or a hub name.
        config: how it hosts.
        classes: in order.
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (a GPU when there is one).

    Raises:
        UserError: no such model, one without audio tokens, incomplete weights, or a configuration that does
            not fit it.
    """
    import transformers

    config.check()
    words = config.words_of(classes)
    target = resolve_device(device)
    where = locate(name)
    with quiet_transformers(), hub_errors(where):
        about = transformers.AutoConfig.from_pretrained(where)
    family = FAMILIES.get(about.model_type)
    audio_token = getattr(about, "audio_token_id", None)
    architecture = getattr(transformers, (about.architectures or [""])[0], None)
    if family is None or audio_token is None or architecture is None:
        raise UserError(
            "no audio language model whose audio tokens are known", file=where, value=about.model_type,
            hint=f"Known families are: {', '.join(FAMILIES)}",
        )  # fmt: skip
    with quiet_transformers(), hub_errors(where):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(where)
        if family.needs_processor:
            processor = transformers.AutoProcessor.from_pretrained(where)
            tokenizer = processor.tokenizer
        else:
            processor, tokenizer = None, _tokenizer(where)
    # Prompts first: they fail in a second, and weights take minutes.
    template = tokenizer if processor is None else processor
    writer = writer_for(tokenizer)(where, tokenizer, template, audio_token, family.before, family.after)
    prompt = make_prompt(config, classes, writer)
    model = load_weights(architecture, where, dtype=PRECISIONS[config.precision], attn_implementation="sdpa")
    hearing = family(_part(model, "audio_tower"), _part(model, "multi_modal_projector"), extractor, processor)
    _check_window(hearing.window, hearing.tower, extractor, where)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    info = HostInfo(
        name=name, tag=tag_of(f"hf:{name}"), family=about.model_type,
        checkpoint=hash_files(weight_files(where)), sample_rate=int(extractor.sampling_rate),
        dim=decoder.config.hidden_size, width=decoder.config.hidden_size, parameters=count_parameters(model),
        insertion=config.describe_insertion(),
    )  # fmt: skip
    return AudioLanguageModel(
        hearing, decoder, head, prompt, tokenizer, _stops(model, tokenizer), config, words, info
    ).to(target)


def _tokenizer(where: str) -> Any:
    """A tokenizer that needs no processor around it."""
    import transformers
    from transformers.utils.hub import cached_file

    own = cached_file(where, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    if own is None and importlib.util.find_spec("mistral_common") is None:
        # transformers may convert what it finds without a word, and lose numbers of special tokens.
        raise UserError(
            "this tokenizer is one of mistral-common, which is not installed", file=where,
            hint="pip install 'mistral-common[audio]'",
        )  # fmt: skip
    return transformers.AutoTokenizer.from_pretrained(where)


def _part(model: nn.Module, name: str) -> nn.Module:
    """A part of a model by its name: in ``model.model`` from transformers 5 on, in the model before."""
    return getattr(getattr(model, "model", model), name)


def _stops(model: nn.Module, tokenizer: Any) -> list[int]:
    """Tokens at which the model's own generation ends."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return [token for token in (*ends, tokenizer.eos_token_id) if token is not None]


def _check_window(window: int, tower: nn.Module, extractor: Any, where: str) -> None:
    """The extractor's window is the tower's."""
    wanted = tower.config.max_source_positions * tower.conv1.stride[0] * tower.conv2.stride[0]
    if window != wanted * extractor.hop_length:
        raise UserError(
            f"the feature extractor makes windows of {window // extractor.hop_length} frames, and the audio"
            f" tower takes {wanted}",
            file=where, hint="See chunk_length in preprocessor_config.json",
        )  # fmt: skip
