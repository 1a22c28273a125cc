"""Small random checkpoints in S3PRL's formats."""

from __future__ import annotations

from pathlib import Path

import torch

from ser.upstream import torchaudio_stub  # noqa: F401
from ser.upstream.s3prl import quiet

CONVOLUTIONS = "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2"
SHAPE = {
    "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 48, "encoder_attention_heads": 4,
    "conv_feature_layers": CONVOLUTIONS, "conv_pos": 16, "conv_pos_groups": 4, "dropout": 0.0,
    "attention_dropout": 0.0, "activation_dropout": 0.0, "encoder_layerdrop": 0.0,
}  # fmt: skip
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}


def hubert_state(large: bool = False, clusters: int = 6, normalise: bool = True, **fields) -> dict:
    """What a converted HuBERT checkpoint holds, heads included."""
    with quiet():
        from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig

        task = {"label_rate": 50.0, "sample_rate": 16000, "normalize": normalise}
        model = {"label_rate": 50.0, **SHAPE, **(LARGE if large else {}), "final_dim": 8, "mask_prob": 0.8,
                 "untie_final_proj": True, **fields}  # fmt: skip
        symbols = [[str(unit) for unit in range(clusters)]]
        torch.manual_seed(1 + large)
        weights = HubertModel(HubertConfig(**model), HubertPretrainingConfig(**task), symbols).state_dict()
    return {"task_cfg": task, "model_cfg": model, "model_weight": weights, "dictionaries_symbols": symbols}


def write_hubert(path: Path, **fields) -> Path:
    """A checkpoint for ``s3prl:hubert_local``."""
    torch.save(hubert_state(**fields), path)
    return path


def write_wavlm(path: Path, large: bool = False, **fields) -> Path:
    """A checkpoint for ``s3prl:wavlm_local``."""
    with quiet():
        from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig

        config = {**SHAPE, **(LARGE if large else {}), "relative_position_embedding": True, "num_buckets": 32,
                  "gru_rel_pos": True, "max_distance": 60, "normalize": large, **fields}  # fmt: skip
        torch.manual_seed(3 + large)
        torch.save({"cfg": config, "model": WavLM(WavLMConfig(config)).state_dict()}, path)
    return path
