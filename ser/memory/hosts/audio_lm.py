"""Audio language models by Hugging Face folder or hub name; no code out of the folder is run."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from ser.memory.hosts.base import HostInfo
from ser.memory.hosts.hearing import FAMILIES, Hearing
from ser.memory.hosts.language_model import AudioLanguageModel
from ser.memory.hosts.prompt import Prompt, make_prompt, writer_for
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
    config.words_of(classes)
    target = resolve_device(device)
    where = locate(name)
    with quiet_transformers(), hub_errors(where):
        about = transformers.AutoConfig.from_pretrained(where)
    family = family_of(about, where)
    architecture = getattr(transformers, (about.architectures or [""])[0], None)
    if architecture is None:
        raise _unknown(about, where)
    with quiet_transformers(), hub_errors(where):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(where)
        if family.needs_processor:
            processor = transformers.AutoProcessor.from_pretrained(where)
            reading = Reading(extractor, processor.tokenizer, processor)
        else:
            reading = Reading(extractor, _tokenizer(where))
    # Prompts first: they fail in a second, and weights take minutes.
    reading.prompt(config, classes, about, where)
    model = load_weights(architecture, where, dtype=PRECISIONS[config.precision], attn_implementation="sdpa")
    checkpoint = hash_files(weight_files(where))
    host = make_audio_lm(model, reading, config, classes, name, tag_of(f"hf:{name}"), checkpoint, where)
    return host.to(target)


def make_audio_lm(
    model: nn.Module, reading: Reading, config: AudioLMConfig, classes: Sequence[str], name: str,
    tag: str = "", checkpoint: str = "", where: str = "",
) -> AudioLanguageModel:  # fmt: skip
    """A model that is loaded, or made, as host; it stays where it is, in the precision it has.

    Args:
        model: a conditional generation model of transformers, of a family in ``FAMILIES``.
        reading: what goes with it.
        config: how it hosts; ``precision`` is the model's own.
        classes: in order.
        name: for tables.
        tag: for folders; the name by default.
        checkpoint: hash of the weights.
        where: for messages; the name by default.

    Raises:
        UserError: no family that is known, or a configuration that does not fit the model.
    """
    config.check()
    where, about = where or name, model.config
    prompt = reading.prompt(config, classes, about, where)
    tower, projector = _part(model, "audio_tower"), _part(model, "multi_modal_projector")
    extractor = reading.extractor
    hearing = family_of(about, where)(tower, projector, extractor, reading.processor)
    _check_window(hearing.window, hearing.tower, extractor, where)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    info = HostInfo(
        name=name, tag=tag or name, family=about.model_type, checkpoint=checkpoint,
        sample_rate=int(extractor.sampling_rate), dim=decoder.config.hidden_size,
        width=decoder.config.hidden_size, parameters=count_parameters(model),
        insertion=config.describe_insertion(),
    )  # fmt: skip
    stops, words = _stops(model, reading.tokenizer), config.words_of(classes)
    return AudioLanguageModel(
        hearing, decoder, head, prompt, reading.tokenizer, stops, config, words, info
    )  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What turns audio and words into a model's input.

    Args:
        extractor: its ``WhisperFeatureExtractor``.
        tokenizer: of its words.
        processor: of families that need one: it has the chat template, or a limit.
    """

    extractor: Any
    tokenizer: Any
    processor: Any = None

    def prompt(self, config: AudioLMConfig, classes: Sequence[str], about: Any, where: str) -> Prompt:
        """Tokens of prompt and answers for the model whose configuration is ``about``.

        Raises:
            UserError: words, template and model that do not go together.
        """
        family = family_of(about, where)
        template = self.tokenizer if self.processor is None else self.processor
        write = writer_for(self.tokenizer)
        writer = write(where, self.tokenizer, template, about.audio_token_id, family.before, family.after)
        return make_prompt(config, classes, writer)


def family_of(about: Any, where: str) -> type[Hearing]:
    """How a model of configuration ``about`` hears.

    Raises:
        UserError: for one that is not known.
    """
    family = FAMILIES.get(about.model_type)
    if family is None or getattr(about, "audio_token_id", None) is None:
        raise _unknown(about, where)
    return family


def _unknown(about: Any, where: str) -> UserError:
    """The error for a model that is no host."""
    return UserError(
        "no audio language model whose audio tokens are known", file=where, value=about.model_type,
        hint=f"Known families are: {', '.join(FAMILIES)}",
    )  # fmt: skip


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
