"""Models on disk: safetensors with plain-text metadata, so that loading one runs no code."""

from __future__ import annotations

import json
import os
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.core.tensors import open_tensors

METADATA_KEY = "ser"
MISSING = {"missing": "no such checkpoint", "hint": "Run stage 8 (train)"}


def save_model(path: str | os.PathLike[str], model: nn.Module, metadata: dict[str, Any]) -> None:
    """Write the model's state and ``metadata`` (JSON values by name), whole or not at all."""
    save_state(path, model.state_dict(), metadata)


def save_state(path: str | os.PathLike[str], state: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors by name and ``metadata`` (JSON values by name), whole or not at all."""
    state = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    # One key: safetensors writes several in random order, and the same model must be the same bytes.
    text = {METADATA_KEY: json.dumps(metadata)}
    with whole_file(path, "wb") as stream:
        stream.write(save(state, metadata=text))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that ``save_model`` wrote.

    Raises:
        UserError: when there is no such file or it is no checkpoint of this project.
    """
    with open_tensors(path, **MISSING) as checkpoint:
        text = checkpoint.metadata() or {}
    try:
        metadata = json.loads(text[METADATA_KEY])
    except (KeyError, ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise UserError("not a checkpoint of this project", file=path)
    return metadata


def load_state(path: str | os.PathLike[str], model: nn.Module) -> None:
    """Fill ``model`` from a checkpoint; every name and shape must agree.

    Raises:
        UserError: when they do not.
    """
    try:
        model.load_state_dict(read_state(path))
    except RuntimeError as error:
        raise UserError("the checkpoint does not fit the model", file=path, value=error) from None


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises:
        UserError: when there is no such file, or it is another kind of file.
    """
    with open_tensors(path, **MISSING) as checkpoint:
        try:
            return {name: checkpoint.get_tensor(name) for name in checkpoint.keys()}  # noqa: SIM118
        except (RuntimeError, AttributeError) as error:  # a type that torch does not have
            raise UserError("not a safetensors file", file=path, value=error) from None
