"""Hugging Face folders and hub names: what is in them, and weights that fill the whole model."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser.core.errors import UserError
from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# Weights of the training objective, which no hidden state depends on.
NOT_IN_ENCODER = ("masked_spec_embed", "adapter.", "intermediate_ffn.", "decoder.")
NOT_SETTINGS = ("feature_extractor_type", "processor_class", "mel_filters")


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
    beside = folder.parent != Path(".") and folder.parent.is_dir()
    if where.startswith((".", "/", "~")) or where.endswith("/") or where.count("/") > 1 or beside:
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
    return {name: value for name, value in fields.items() if name not in NOT_SETTINGS}


def load_model(cls: Any, where: str, **options: Any) -> nn.Module:
    """Weights in float32, frozen.

    Raises:
        UserError: weights of the encoder are missing, which transformers would fill with random numbers.
    """
    model = load_weights(cls, where, NOT_IN_ENCODER, **options)
    return model.to(torch.float32).eval().requires_grad_(False)


def load_weights(cls: Any, where: str, not_needed: Sequence[str] = (), **options: Any) -> nn.Module:
    """A model as ``cls.from_pretrained`` gives it, all of its weights out of the folder.

    Args:
        cls: a class of transformers.
        where: a folder or a hub name.
        not_needed: parts of names of weights that may be missing.
        options: of ``from_pretrained``.

    Raises:
        UserError: other weights are missing, which transformers would fill with random numbers.
    """
    with quiet_transformers(), hub_errors(where):
        model, report = cls.from_pretrained(where, output_loading_info=True, **options)
    missing = [key for key in report["missing_keys"] if not any(part in key for part in not_needed)]
    mismatched = [str(key) for key in report.get("mismatched_keys", [])]
    if missing or mismatched:
        raise UserError(
            f"weights do not fill the model: {len(missing)} missing, {len(mismatched)} of another shape",
            file=where,
            value=sorted(missing + mismatched)[0],
        )
    return model


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
