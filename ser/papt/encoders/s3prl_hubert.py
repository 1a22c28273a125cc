"""HuBERT checkpoints of S3PRL: read with their heads, and written so that ``hubert_local`` loads them."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.core.seed import preserved_random_state
from ser.papt.encoders.s3prl_names import architecture, to_fairseq, to_transformers
from ser.papt.encoders.source import FAIRSEQ_EPSILON, Heads, Source
from ser.upstream import torchaudio_stub  # noqa: F401  (before s3prl, which imports torchaudio)
from ser.upstream.checkpoint import hash_files
from ser.upstream.personalised import build_model
from ser.upstream.s3prl import quiet

FIELDS = ("task_cfg", "model_cfg", "model_weight", "dictionaries_symbols")
NOTE = (
    "Personalised pre-training (PAPT): plain S3PRL does not add the speaker embeddings e_i. They are in"
    " model.safetensors beside this file; the whole is the upstream papt:<this folder> of ser."
)
# What fairseq's HuBERT cannot express, with the only value it can have.
FIXED = {"feat_proj_layer_norm": True, "conv_pos_batch_norm": False, "hidden_act": "gelu",
         "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "adapter_attn_dim": None}  # fmt: skip


def load_tensors(path: str) -> Any:
    """A checkpoint of torch's, of which nothing but tensors and plain values is loaded.

    Raises:
        UserError: no such file, or one that holds code.
    """
    if not Path(path).is_file():
        raise UserError("no such checkpoint", file=path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes make it
        reason = str(error).strip().split("\n")[0]
        raise UserError("not a checkpoint of tensors and plain values", file=path, value=reason) from None


def load_hubert(path: str, name: str) -> Source:
    """Read what ``hubert_local`` reads: a converted fairseq checkpoint, heads included.

    Raises:
        UserError: no such file, another kind of checkpoint, or another architecture.
    """
    state = load_tensors(path)
    if not isinstance(state, dict) or any(field not in state for field in FIELDS):
        raise UserError("not a HuBERT checkpoint of S3PRL", file=path,
                        hint="Convert fairseq's with s3prl/upstream/hubert/convert.py")  # fmt: skip
    with quiet():
        from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertPretrainingConfig
        from s3prl.upstream.utils import merge_with_parent
    config = merge_with_parent(HubertConfig, state["model_cfg"])
    task = merge_with_parent(HubertPretrainingConfig, state["task_cfg"])
    weights = state["model_weight"]
    model = fill(build_model("hubert", architecture(config, path)), to_transformers(weights), path)
    heads = None
    symbols = state["dictionaries_symbols"]
    if len(symbols) == 1 and {"final_proj.weight", "label_embs_concat"} <= weights.keys():
        heads = Heads(weights["final_proj.weight"].float(), weights["final_proj.bias"].float(),
                      weights["label_embs_concat"].float(), list(map(str, symbols[0])))  # fmt: skip
    return Source(
        name, "hubert", model, bool(task.normalize), FAIRSEQ_EPSILON, hash_files([Path(path)]),
        weights["mask_emb"].float(), heads,
    )  # fmt: skip


def fill(model: nn.Module, state: dict[str, Any], path: str) -> nn.Module:
    """Put weights into a model.

    Raises:
        UserError: when names or shapes differ.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        what = str(error).split("\n")[1:2] or [str(error)]
        raise UserError("weights of another architecture", file=path, value=what[0].strip()) from None
    return model


def obstacle(family: str, config: Any) -> str | None:
    """Why an encoder cannot be written as S3PRL's HuBERT, or None."""
    if family != "hubert":
        return f"it is {family}"
    for field, value in FIXED.items():
        if getattr(config, field, value) != value:
            return f"{field} is {getattr(config, field)!r}"
    return None


def write_hubert(path: str | os.PathLike[str], model: nn.Module, heads: Heads, mask: torch.Tensor,
                 normalise: bool, label_rate: float) -> None:  # fmt: skip
    """Write a checkpoint for ``hubert_local``: its hidden states are those of E without e_i.

    Args:
        path: the file.
        model: transformers' ``HubertModel``, for which :func:`obstacle` finds none.
        heads: final_proj and the units' embeddings.
        mask: mask embedding ``(D,)``.
        normalise: whether waveforms are normalised.
        label_rate: of the units, in Hz.
    """
    with quiet():
        from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig
    c = model.config
    layers = list(zip(c.conv_dim, c.conv_kernel, c.conv_stride, strict=True))
    config = HubertConfig(
        label_rate=label_rate, extractor_mode="layer_norm" if c.feat_extract_norm == "layer" else "default",
        encoder_layers=c.num_hidden_layers, encoder_embed_dim=c.hidden_size,
        encoder_ffn_embed_dim=c.intermediate_size, encoder_attention_heads=c.num_attention_heads,
        dropout=0.0, attention_dropout=0.0, final_dim=len(heads.weight), untie_final_proj=True,
        layer_norm_first=bool(c.do_stable_layer_norm), conv_feature_layers=str(layers),
        conv_bias=bool(c.conv_bias), mask_prob=0.80, conv_pos=c.num_conv_pos_embeddings,
        conv_pos_groups=c.num_conv_pos_embedding_groups,
    )  # fmt: skip
    task = HubertPretrainingConfig(label_rate=label_rate, sample_rate=16000, normalize=normalise)
    with quiet(), preserved_random_state():
        template = HubertModel(config, task, [heads.symbols]).state_dict()
    weights = to_fairseq(model.state_dict(), template) | {
        "final_proj.weight": heads.weight, "final_proj.bias": heads.bias,
        "label_embs_concat": heads.embeddings, "mask_emb": mask,
    }  # fmt: skip
    state = {
        "task_cfg": asdict(task), "model_cfg": asdict(config), "dictionaries_symbols": [heads.symbols],
        "model_weight": {name: weights[name].detach().cpu().clone() for name in template}, "note": NOTE,
    }  # fmt: skip
    with whole_file(path, "wb") as stream:
        torch.save(state, stream)
