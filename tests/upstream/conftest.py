"""Small random models, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.upstream.models import save


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory):
    """``model_folder(kind)``: a folder with a small random model."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = save(kind, tmp_path_factory.mktemp("models") / kind)
        return made[kind]

    return make


@pytest.fixture(scope="session")
def s3prl_hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted HuBERT checkpoint for S3PRL's ``hubert_local``."""
    from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig

    task = {"label_rate": 50.0, "sample_rate": 16000, "normalize": True}
    model = {
        "label_rate": 50.0, "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 48,
        "encoder_attention_heads": 4, "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
        "conv_pos": 16, "conv_pos_groups": 4, "final_dim": 8, "encoder_layerdrop": 0.5,
    }  # fmt: skip
    symbols = [["0", "1", "2", "3"]]
    torch.manual_seed(0)
    weights = HubertModel(HubertConfig(**model), HubertPretrainingConfig(**task), symbols).state_dict()
    path = tmp_path_factory.mktemp("s3prl") / "tiny.pt"
    state = {"task_cfg": task, "model_cfg": model, "model_weight": weights, "dictionaries_symbols": symbols}
    torch.save(state, path)
    return path
