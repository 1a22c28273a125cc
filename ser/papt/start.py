"""From a source and a configuration to the model that training starts with."""

from __future__ import annotations

import torch
from torch import nn

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.papt.config import PaptConfig
from ser.papt.encoders import Heads, Source
from ser.papt.model import MaskedPrediction
from ser.upstream.personalised import PersonalisedEncoder

log = get_logger(__name__)

# Width of final_proj in fairseq's HuBERT-large and -base, by the width of the encoder.
PROJECTION = {1024: 768, 768: 256}


def build(source: Source, units: int, speakers: int, config: PaptConfig) -> MaskedPrediction:
    """The model before the first step; new parts come from torch's generator.

    Args:
        source: where the encoder comes from.
        units: number of clusters.
        speakers: number of training speakers.
        config: fusion, heads.

    Raises:
        UserError: heads are to be those of a checkpoint that has none, or not for these units.
    """
    if speakers == 1 and config.speaker.fusion != "none":
        log.warning("one speaker: its embedding is one vector added to all, nothing is personalised")
    encoder = PersonalisedEncoder(source.model, config.speaker.fusion, speakers, config.speaker.width)
    width = source.model.config.hidden_size
    heads = _heads(source, units, config) if config.objective.heads == "checkpoint" else None
    projection = config.objective.projection or _projection(source, width)
    if heads is not None and len(heads.weight) != projection:
        raise UserError(f"the checkpoint's final_proj has width {len(heads.weight)}", value=projection,
                        hint="Leave objective.projection out")  # fmt: skip
    model = MaskedPrediction(encoder, units, projection, config.objective)
    with torch.no_grad():
        if source.mask_embedding is not None:
            model.mask_embedding.copy_(source.mask_embedding)
        if heads is not None:
            rows = [heads.symbols.index(str(unit)) for unit in range(units)]
            model.final_proj.weight.copy_(heads.weight)
            model.final_proj.bias.copy_(heads.bias)
            model.label_embeddings.copy_(heads.embeddings[rows])
    model.requires_grad_(True)
    if config.objective.feature_grad_mult == 0:
        encoder.model.feature_extractor.requires_grad_(False)
    return model


def parameter_groups(model: MaskedPrediction, config: PaptConfig) -> list[dict[str, object]]:
    """Groups for the optimiser; ``share`` is what each group's rate is of ``lr``.

    New are the speaker network and, unless they are a checkpoint's, the heads.
    """
    fresh: list[nn.Parameter] = []
    if model.encoder.speaker is not None:
        fresh += model.encoder.speaker.parameters()
    if config.objective.heads == "new":
        fresh += [*model.final_proj.parameters(), model.label_embeddings]
    known = {id(parameter) for parameter in fresh}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    optimizer = config.optimizer
    share = 1.0 if optimizer.lr_new is None else optimizer.lr_new / optimizer.lr
    groups = [{"params": others, "share": 1.0}, {"params": fresh, "share": share}]
    return [group for group in groups if group["params"]]


def _projection(source: Source, width: int) -> int:
    """Width of final_proj when the configuration names none."""
    if source.heads is not None:
        return len(source.heads.weight)
    return PROJECTION.get(width, width)


def _heads(source: Source, units: int, config: PaptConfig) -> Heads:
    """The checkpoint's heads, known to have an embedding for every unit."""
    if source.heads is None:
        raise UserError("this checkpoint has no heads of one k-means", value=source.name,
                        hint="Set objective.heads to new")  # fmt: skip
    lacking = sorted({str(unit) for unit in range(units)} - set(source.heads.symbols), key=int)
    if lacking:
        raise UserError("the checkpoint's heads have no embedding of a unit", value=lacking[0],
                        hint="Set objective.heads to new, or use the units it was trained on")  # fmt: skip
    return source.heads
