"""Names and settings of the same encoder in fairseq's code, which S3PRL has copied, and in transformers.

The two compute the same: tests hold the hidden states of either against the other.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ser.core.errors import UserError

# fairseq -> transformers, by pattern; the way back is made from the same list.
RENAMED = (
    (r"feature_extractor.conv_layers.(\d+).0", "feature_extractor.conv_layers.{}.conv"),
    (r"feature_extractor.conv_layers.(\d+).2.1", "feature_extractor.conv_layers.{}.layer_norm"),
    (r"feature_extractor.conv_layers.(\d+).2", "feature_extractor.conv_layers.{}.layer_norm"),
    (r"layer_norm", "feature_projection.layer_norm"),
    (r"post_extract_proj", "feature_projection.projection"),
    (r"encoder.pos_conv.0", "encoder.pos_conv_embed.conv"),
    (r"encoder.layer_norm", "encoder.layer_norm"),
    (r"encoder.layers.(\d+).self_attn.grep_linear", "encoder.layers.{}.attention.gru_rel_pos_linear"),
    (r"encoder.layers.(\d+).self_attn.relative_attention_bias", "encoder.layers.{}.attention.rel_attn_embed"),
    (r"encoder.layers.(\d+).self_attn.([qkv]|out)_proj", "encoder.layers.{}.attention.{}_proj"),
    (r"encoder.layers.(\d+).self_attn_layer_norm", "encoder.layers.{}.layer_norm"),
    (r"encoder.layers.(\d+).fc1", "encoder.layers.{}.feed_forward.intermediate_dense"),
    (r"encoder.layers.(\d+).fc2", "encoder.layers.{}.feed_forward.output_dense"),
    (r"encoder.layers.(\d+).final_layer_norm", "encoder.layers.{}.final_layer_norm"),
)
PARAMETERS = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
GATE = (r"encoder\.layers\.(\d+)\.self_attn\.grep_a", "encoder.layers.{}.attention.gru_rel_pos_const")


def to_transformers_name(name: str) -> str | None:
    """fairseq's name of a parameter as transformers', None where it is not of the encoder.

    >>> to_transformers_name("encoder.layers.3.self_attn.q_proj.bias")
    'encoder.layers.3.attention.q_proj.bias'
    >>> to_transformers_name("label_embs_concat")
    """
    if gate := re.fullmatch(GATE[0], name):
        return GATE[1].format(*gate.groups())
    module, _, parameter = name.rpartition(".")
    for pattern, renamed in RENAMED:
        if found := re.fullmatch(pattern.replace(".", r"\."), module):
            return f"{renamed.format(*found.groups())}.{PARAMETERS.get(parameter, parameter)}"
    return None


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's parameters out of fairseq's, by transformers' names, in float32."""
    renamed = {to_transformers_name(name): value for name, value in state.items()}
    return {name: value.to(torch.float32) for name, value in renamed.items() if name is not None}


def to_fairseq(state: Mapping[str, Tensor], names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' parameters by fairseq's names.

    Args:
        state: of a transformers model.
        names: a fairseq model's ``state_dict``, for its names; those outside the encoder are left out.
    """
    pairs = {name: to_transformers_name(name) for name in names}
    return {name: state[other] for name, other in pairs.items() if other is not None}


def architecture(config: Any, file: str) -> dict[str, Any]:
    """Fields of transformers' configuration from those that fairseq's HuBERT and WavLM share.

    Args:
        config: ``HubertConfig`` or ``WavLMConfig`` of S3PRL.
        file: named when something cannot be had.

    Raises:
        UserError: for what transformers has not.
    """
    if getattr(config, "layer_type", "transformer") != "transformer" or getattr(config, "deep_norm", False):
        raise UserError("an encoder of another architecture than HuBERT's", file=file)
    if str(config.activation_fn) != "gelu":
        raise UserError("activation is not gelu", file=file, value=config.activation_fn)
    layers = conv_layers(str(config.conv_feature_layers), file)
    return {
        "conv_dim": [dim for dim, _, _ in layers],
        "conv_kernel": [kernel for _, kernel, _ in layers],
        "conv_stride": [stride for _, _, stride in layers],
        "conv_bias": bool(config.conv_bias),
        "feat_extract_norm": "layer" if "layer_norm" in str(config.extractor_mode) else "group",
        "hidden_size": config.encoder_embed_dim,
        "num_hidden_layers": config.encoder_layers,
        "num_attention_heads": config.encoder_attention_heads,
        "intermediate_size": config.encoder_ffn_embed_dim,
        "num_conv_pos_embeddings": config.conv_pos,
        "num_conv_pos_embedding_groups": config.conv_pos_groups,
        "do_stable_layer_norm": bool(config.layer_norm_first),
    }


def conv_layers(text: str, file: str) -> list[tuple[int, int, int]]:
    """fairseq's description of the convolutions, ``[(512,10,5)] + [(512,3,2)] * 4``, without running it.

    >>> conv_layers("[(16,10,5)] + [(16,3,2)] * 2", "x.pt")
    [(16, 10, 5), (16, 3, 2), (16, 3, 2)]
    """
    operators = {ast.Add: operator.add, ast.Mult: operator.mul}

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            return operators[type(node.op)](value(node.left), value(node.right))
        return ast.literal_eval(node)

    try:
        layers = [tuple(map(int, layer)) for layer in value(ast.parse(text.strip(), mode="eval").body)]
    except (ValueError, TypeError, SyntaxError, MemoryError):
        layers = []
    if not layers or any(len(layer) != 3 for layer in layers):
        raise UserError("not a description of convolutions", file=file, value=text)
    return layers
