"""Small HuBERTs with random weights, for those who have no checkpoint.

Both are of HuBERT-large's kind: layer norms in the convolutions, norms before the halves of a layer,
waveforms normalised. They keep HuBERT's strides, so a frame is 20 ms.
"""

from __future__ import annotations

from typing import Any

from ser.core.errors import UserError
from ser.papt.encoders.source import FAIRSEQ_EPSILON, Source
from ser.upstream.personalised import build_model

LARGE_KIND = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SIZES: dict[str, dict[str, Any]] = {
    # 26 thousand parameters: for tests.
    "tiny": {
        "conv_dim": (16,) * 7, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    },
    # 2.5 million parameters: trains on two cores.
    "small": {
        "conv_dim": (32, 48, 64, 96, 128, 128, 128), "hidden_size": 192, "num_hidden_layers": 5,
        "num_attention_heads": 6, "intermediate_size": 768, "num_conv_pos_embeddings": 64,
        "num_conv_pos_embedding_groups": 16,
    },
}  # fmt: skip


def build_scratch(size: str) -> Source:
    """A random HuBERT of one of :data:`SIZES`; its weights come from torch's generator.

    Raises:
        UserError: no such size.
    """
    if size not in SIZES:
        known = ", ".join(f"scratch:{name}" for name in SIZES)
        raise UserError("no such size", value=f"scratch:{size}", hint=f"Known are: {known}")
    model = build_model("hubert", SIZES[size] | LARGE_KIND)
    return Source(f"scratch:{size}", "hubert", model, True, FAIRSEQ_EPSILON)
