"""A trained conversation model on disk: memory, head and what was trained of the host, nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ser.core.errors import UserError
from ser.downstream.saved import Scale
from ser.engine.checkpoint import read_metadata, read_state, save_state
from ser.memory.model import ConversationModel

KIND = "conversation"


@dataclass
class SavedConversation:
    """One fold's model and what its outputs mean.

    Args:
        model: host, history and head.
        classes: names of the first K outputs.
        attributes: names of the others, each with the scale it was learnt on.
        shape: of the features that an encoder host takes; empty for a language model.
    """

    model: ConversationModel
    classes: list[str]
    attributes: dict[str, Scale]
    shape: tuple[int, ...] = ()

    def save(self, path: Path, state: dict[str, Tensor]) -> None:
        """Write one safetensors file with ``state`` (of ``trained_state``), whole or not at all."""
        info = self.model.host.info
        metadata: dict[str, Any] = {
            "kind": KIND,
            "host": {"tag": info.tag, "family": info.family, "checkpoint": info.checkpoint},
            "shape": list(self.shape),
            "classes": self.classes,
            "attributes": {name: asdict(scale) for name, scale in self.attributes.items()},
        }
        save_state(path, state, metadata)

    @classmethod
    def load(
        cls, path: Path, build: Callable[[tuple[int, ...], int], ConversationModel]
    ) -> SavedConversation:
        """Read what ``save`` wrote.

        Args:
            path: model.safetensors.
            build: (shape, outputs) -> an untrained model of the same configuration.

        Raises:
            UserError: when it is missing, broken, or was trained on another host.
        """
        metadata = read_metadata(path)
        if metadata.get("kind") != KIND:
            raise UserError("not a model of conversations", file=path, hint="Run 'ser memory-train'")
        try:
            attributes = {name: Scale(**scale) for name, scale in metadata["attributes"].items()}
            classes, shape = list(metadata["classes"]), tuple(map(int, metadata["shape"]))
            tag, checkpoint = (metadata["host"][name] for name in ("tag", "checkpoint"))
            model = build(shape, len(classes) + len(attributes))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError("not a model that 'ser memory-train' writes", file=path, value=error) from None
        info = model.host.info
        if checkpoint != info.checkpoint:
            raise UserError(
                f"trained on another host: {tag}, checkpoint {checkpoint}",
                file=path, value=f"{info.name}, checkpoint {info.checkpoint}",
                hint="Use the host it was trained on",
            )  # fmt: skip
        try:
            model.load_trained_state(read_state(path))
        except RuntimeError as error:
            raise UserError("the checkpoint does not fit the model", file=path, value=error) from None
        return cls(model.eval(), classes, attributes, shape)
