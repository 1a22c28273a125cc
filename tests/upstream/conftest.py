"""Small random models of every family, written as their users have them: folders and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ser.upstream import torchaudio_stub  # noqa: F401

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
LARGE_KIND = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
# Everything that must be off when features are extracted, switched on.
RANDOM_KIND = {"layerdrop": 0.5, "hidden_dropout": 0.3, "mask_time_prob": 0.3, "attention_dropout": 0.3}


def build(kind: str):
    """A random model and the fields of its preprocessor_config.json."""
    import transformers as tf

    torch.manual_seed(sum(map(ord, kind)))
    normal, plain = ({"do_normalize": on, "sampling_rate": 16000} for on in (True, False))
    if kind == "hubert-base":
        return tf.HubertModel(tf.HubertConfig(**SMALL, **RANDOM_KIND)), normal
    if kind == "hubert-batchnorm":
        model = tf.HubertModel(tf.HubertConfig(**SMALL, conv_pos_batch_norm=True))
        norm = model.encoder.pos_conv_embed.batch_norm
        norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), norm.bias.data.normal_()
        return model, plain
    if kind == "hubert-large":
        return tf.HubertModel(tf.HubertConfig(**SMALL, **LARGE_KIND, **RANDOM_KIND)), normal
    if kind == "wavlm-base":
        return tf.WavLMModel(tf.WavLMConfig(**SMALL, num_buckets=32, max_bucket_distance=60)), plain
    if kind == "wavlm-large":
        return tf.WavLMModel(tf.WavLMConfig(**SMALL, **LARGE_KIND, num_buckets=32, max_bucket_distance=60)), normal
    if kind == "wav2vec2-base":
        return tf.Wav2Vec2Model(tf.Wav2Vec2Config(**SMALL, **RANDOM_KIND)), normal
    if kind == "wav2vec2-adapter":
        config = tf.Wav2Vec2Config(**SMALL, **LARGE_KIND, adapter_attn_dim=8, add_adapter=True, num_adapter_layers=1)
        return tf.Wav2Vec2Model(config), normal
    if kind.startswith("w2v-bert"):
        config = tf.Wav2Vec2BertConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
            position_embeddings_type=kind.removeprefix("w2v-bert-"), left_max_position_embeddings=10,
            right_max_position_embeddings=4, conv_depthwise_kernel_size=5, feature_projection_input_dim=160,
            layerdrop=0.5, mask_time_prob=0.3,
        )  # fmt: skip
        return tf.Wav2Vec2BertModel(config), {"sampling_rate": 16000, "feature_size": 80, "num_mel_bins": 80, "stride": 2}
    if kind.startswith("whisper"):
        config = tf.WhisperConfig(
            d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48, num_mel_bins=80,
            decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=48, vocab_size=64, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, max_source_positions=1500, dropout=0.3,
        )  # fmt: skip
        model = tf.WhisperModel(config)
        return (model if kind == "whisper-whole" else model.encoder), {"feature_size": 80, "n_fft": 400, "hop_length": 160}
    if kind == "data2vec":
        config = tf.Data2VecAudioConfig(**{**SMALL, "num_conv_pos_embeddings": 2}, conv_pos_kernel_size=5)
        return tf.Data2VecAudioModel(config), {**normal, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    raise ValueError(kind)


KINDS = (
    "hubert-base", "hubert-batchnorm", "hubert-large", "wavlm-base", "wavlm-large", "wav2vec2-base",
    "wav2vec2-adapter", "w2v-bert-relative", "w2v-bert-relative_key", "w2v-bert-rotary", "whisper-encoder",
    "whisper-whole", "data2vec",
)  # fmt: skip


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory):
    """``model_folder(kind)``: a folder with a small random model."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("models") / kind
            model, preprocessor = build(kind)
            model.save_pretrained(folder)
            (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
            made[kind] = folder
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
