"""Small random models of every family."""

from __future__ import annotations

import json
from pathlib import Path

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
        return tf.WavLMModel(
            tf.WavLMConfig(**SMALL, **LARGE_KIND, num_buckets=32, max_bucket_distance=60)
        ), normal
    if kind == "wav2vec2-base":
        return tf.Wav2Vec2Model(tf.Wav2Vec2Config(**SMALL, **RANDOM_KIND)), normal
    if kind == "wav2vec2-adapter":
        config = tf.Wav2Vec2Config(
            **SMALL, **LARGE_KIND, adapter_attn_dim=8, add_adapter=True, num_adapter_layers=1
        )
        return tf.Wav2Vec2Model(config), normal
    if kind.startswith("w2v-bert"):
        config = tf.Wav2Vec2BertConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
            position_embeddings_type=kind.removeprefix("w2v-bert-"), left_max_position_embeddings=10,
            right_max_position_embeddings=4, conv_depthwise_kernel_size=5, feature_projection_input_dim=160,
            layerdrop=0.5, mask_time_prob=0.3,
        )  # fmt: skip
        return tf.Wav2Vec2BertModel(config), {
            "sampling_rate": 16000,
            "feature_size": 80,
            "num_mel_bins": 80,
            "stride": 2,
        }
    if kind.startswith("whisper"):
        config = tf.WhisperConfig(
            d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48, num_mel_bins=80,
            decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=48, vocab_size=64, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, max_source_positions=1500, dropout=0.3,
        )  # fmt: skip
        model = tf.WhisperModel(config)
        return (model if kind == "whisper-whole" else model.encoder), {
            "feature_size": 80,
            "n_fft": 400,
            "hop_length": 160,
        }
    if kind == "data2vec":
        config = tf.Data2VecAudioConfig(**{**SMALL, "num_conv_pos_embeddings": 2}, conv_pos_kernel_size=5)
        return tf.Data2VecAudioModel(config), {**normal, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    raise ValueError(kind)


KINDS = (
    "hubert-base", "hubert-batchnorm", "hubert-large", "wavlm-base", "wavlm-large", "wav2vec2-base",
    "wav2vec2-adapter", "w2v-bert-relative", "w2v-bert-relative_key", "w2v-bert-rotary", "whisper-encoder",
    "whisper-whole", "data2vec",
)  # fmt: skip


def save(kind: str, folder: Path) -> Path:
    """Write a model as its users have it: a folder with weights, config.json and preprocessor_config.json."""
    model, preprocessor = build(kind)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
