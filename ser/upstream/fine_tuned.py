"""The encoder of a fine-tuned experiment, as an upstream: ``finetuned:exp/<tag>/seed0/fold0``.

The fold's model.safetensors has only what fine-tuning has set; the rest is the upstream that the experiment's
config.yaml names. The head is left out: features of this upstream are the encoder's hidden states.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from torch import Tensor

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.core.tensors import open_tensors
from ser.upstream.base import Upstream
from ser.upstream.checkpoint import hash_files

MODEL, CONFIG = "model.safetensors", "config.yaml"
KIND = "fine-tuned"
PREFIX = "upstream."


def load_finetuned(where: str, name: str, tag: str) -> Upstream:
    """Load the base upstream and put the trained parameters into it.

    Args:
        where: folder of one fold.
        name: as it was given.
        tag: for tables.

    Raises:
        UserError: no such fold, one of features, another base upstream, or parameters that it does not have.
    """
    from ser.upstream.registry import load_upstream

    folder = Path(where).expanduser()
    path, config = folder / MODEL, folder.parent.parent / CONFIG
    metadata, state = read_trained(path)
    sources = (read_yaml(config) or {}).get("sources", {}) if config.is_file() else {}
    if "upstream" not in sources:
        raise UserError("the experiment's config.yaml, which names the upstream, is not there", file=config)
    if metadata["encoder"].get("normalise", "own") != "own":
        raise UserError(
            "its waveforms are normalised by the training set, which an upstream does not do", file=path,
            hint="Use 'ser predict' on the experiment",
        )  # fmt: skip
    options = {"context": sources["context"]} if sources.get("context", "length") != "length" else {}
    upstream = load_upstream(sources["upstream"], **options)
    if sources.get("speakers"):
        upstream.assign_speakers(Path(sources["speakers"]))
    wanted = metadata["upstream"]["checkpoint"]
    if upstream.info.checkpoint != wanted:
        raise UserError(
            f"fine-tuned from another checkpoint than {sources['upstream']} is now", file=path,
            value=upstream.info.checkpoint, hint=f"It was {wanted}",
        )  # fmt: skip
    strange = upstream.load_state_dict(state, strict=False).unexpected_keys
    if strange:
        raise UserError(
            "has parameters that its upstream lacks (adapters?)", file=path, value=strange[0],
            hint="Use 'ser predict' on the experiment",
        )  # fmt: skip
    both = hashlib.sha256(f"{wanted} {hash_files([path])}".encode()).hexdigest()
    upstream.info = dataclasses.replace(upstream.info, name=name, tag=tag, checkpoint=both)
    return upstream


def read_trained(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Metadata of a fine-tuned model, and the encoder's parameters in it, by their names in the upstream.

    Raises:
        UserError: no such file, or no fine-tuned model.
    """
    with open_tensors(path, hint="Write finetuned:exp/<experiment>/seed0/fold0") as stored:
        metadata = json.loads((stored.metadata() or {}).get("ser", "{}"))
        names = [name for name in stored.keys() if name.startswith(PREFIX)]  # noqa: SIM118
        state = {name.removeprefix(PREFIX): stored.get_tensor(name) for name in names}
    if metadata.get("kind") != KIND:
        raise UserError("not a fine-tuned model", file=path, hint="Run 'ser finetune'")
    return metadata, state
