"""The files of a published model: a folder or a hub name, settings by key, tensors by name and shape.

Nothing in them runs: JSON and YAML are plain, weights are safetensors or read with ``weights_only``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.upstream.model_folder import hub_errors, quiet_transformers

SAFE = "model.safetensors"


@dataclass(frozen=True)
class PeerFiles:
    """The files of a peer.

    Args:
        where: folder or hub name.
        weights: names that its weights may have, the first that is there counts.
    """

    where: str
    weights: Sequence[str] = (SAFE, "pytorch_model.bin")

    def find(self, name: str, needed: bool = True) -> Path | None:
        """A file by its name; None where it is not there and need not be.

        Raises:
            UserError: it is needed and cannot be had.
        """
        folder = Path(self.where).expanduser()
        if folder.is_dir():
            found = folder / name if (folder / name).is_file() else None
        else:
            self._refuse_paths(folder)
            found = self._from_hub(name, needed)
        if found is None and needed:
            raise UserError(
                "no such file in this model", file=folder / name, hint="Give the whole folder of it"
            )
        return found

    def path(self, name: str) -> Path:
        """A file that must be there.

        Raises:
            UserError: as ``find``.
        """
        found = self.find(name)
        assert found is not None
        return found

    def lines(self, name: str) -> list[str]:
        """The lines of a text that are not blank.

        Raises:
            UserError: it is missing, or no UTF-8.
        """
        path = self.path(name)
        try:
            return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8", file=path, value=error.reason) from None

    def settings(self, name: str) -> Settings:
        """The mapping in a JSON or YAML file.

        Raises:
            UserError: it is missing, or no mapping.
        """
        path = self.path(name)
        if path.suffix == ".json":
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError("not JSON", file=path, value=str(error)) from None
        else:
            content = read_yaml(path)
        if not isinstance(content, dict):
            raise UserError("not a mapping of settings", file=path)
        return Settings(path, content)

    @cached_property
    def weight_file(self) -> Path:
        """The file of the weights.

        Raises:
            UserError: there is none.
        """
        for name in self.weights:
            if (found := self.find(name, needed=False)) is not None:
                return found
        raise UserError(
            "no weights in this model", file=self.where, hint=f"It should hold {' or '.join(self.weights)}"
        )

    @cached_property
    def tensors(self) -> Tensors:
        """The weights.

        Raises:
            UserError: no weights, or a file that holds more than tensors.
        """
        path = self.weight_file
        try:
            if path.suffix == ".safetensors":
                return Tensors(path, load_file(path))
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (SafetensorError, OSError) as error:
            raise UserError(
                "weights that cannot be read", file=path, value=str(error).split("\n")[0]
            ) from None
        except Exception as error:  # torch raises whatever the bytes make it
            raise UserError(
                "weights that are no plain tensors", file=path, value=str(error).split("\n")[0],
                hint=f"If you trust the file, save its tensors as {SAFE} beside it",
            ) from None  # fmt: skip
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
        if not isinstance(state, dict):
            raise UserError("not a dictionary of tensors", file=path)
        return Tensors(path, {key: value for key, value in state.items() if isinstance(value, Tensor)})

    def _from_hub(self, name: str, needed: bool) -> Path | None:
        """A file of a hub name, out of the cache or the hub."""
        from transformers.utils.hub import cached_file

        with quiet_transformers(), hub_errors(self.where):
            found = cached_file(self.where, name, _raise_exceptions_for_missing_entries=needed)
        return None if found is None else Path(found)

    def _refuse_paths(self, folder: Path) -> None:
        """What looks like a path and is none never reaches the network."""
        beside = folder.parent != Path(".") and folder.parent.is_dir()
        if self.where.startswith((".", "/", "~")) or self.where.count("/") != 1 or beside:
            raise UserError(
                "no such folder", file=self.where, hint="Give the model's folder, or its hub name"
            )


@dataclass(frozen=True)
class Settings:
    """Settings of a file, whose complaints name file and key."""

    path: Path
    content: dict[str, Any]

    def get(self, key: str, kind: type | tuple[type, ...]) -> Any:
        """The value of a key, ``a.b`` for one inside another.

        Raises:
            UserError: it is missing or of another type.
        """
        value = self.value(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            what = "no such setting" if value is None else "a setting of another type"
            raise UserError(f"{what}: {key}", file=self.path, value=value)
        return value

    def value(self, key: str) -> Any:
        """The value of a key as it stands; None where there is none."""
        value: Any = self.content
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def expect(self, key: str, wanted: Any) -> None:
        """Refuse another value than the architecture is written for; one that is missing is that one.

        Raises:
            UserError: with both.
        """
        if self.value(key) is not None and (value := self.get(key, type(wanted))) != wanted:
            raise UserError(f"another architecture: {key} is not {wanted}", file=self.path, value=value)

    def labels(self) -> list[str]:
        """Names of the outputs in their order, of ``id2label``: ``{"0": "arousal", "1": "dominance"}``.

        Raises:
            UserError: it is missing, or does not number its names from 0.
        """
        table = self.get("id2label", dict)
        names = [table.get(str(place)) for place in range(len(table))]
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise UserError("id2label does not name outputs 0, 1, 2 ...", file=self.path, value=table)
        return names


@dataclass(frozen=True)
class Tensors:
    """Weights by name, whose complaints name file and key."""

    path: Path
    state: dict[str, Tensor]

    def get(self, key: str, shape: Sequence[int | None]) -> Tensor:
        """A tensor in float32; None in ``shape`` stands for any size.

        Raises:
            UserError: it is missing or of another shape.
        """
        if key not in self.state:
            raise UserError("weights without a tensor of the model", file=self.path, value=key)
        found = self.state[key]
        if len(found.shape) != len(shape) or any(
            wanted not in (None, size) for size, wanted in zip(found.shape, shape, strict=True)
        ):
            expected = ", ".join("any" if size is None else str(size) for size in shape)
            raise UserError(
                f"a tensor of shape ({', '.join(map(str, found.shape))}) where ({expected}) is wanted",
                file=self.path, value=key,
            )  # fmt: skip
        return found.to(torch.float32)

    def below(self, prefix: str) -> dict[str, Tensor]:
        """Name without the prefix -> tensor, of all that begin with it."""
        return {
            key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)
        }

    def fill(self, module: nn.Module, prefix: str) -> None:
        """Put ``<prefix><name>`` in every parameter of a module.

        Raises:
            UserError: as ``get``.
        """
        for name, parameter in module.named_parameters():
            parameter.data.copy_(self.get(prefix + name, parameter.shape))
