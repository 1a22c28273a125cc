"""Tiny random peers, saved with the file names, keys and settings of the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from ser.upstream import torchaudio_stub  # noqa: F401

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer", "do_stable_layer_norm": True,
}  # fmt: skip
ATTRIBUTES = ("arousal", "dominance", "valence")
ODYSSEY_CLASSES = ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral")
TOKENS = (
    "生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral", "其他/other", "难过/sad",
    "吃惊/surprised", "<unk>",
)  # fmt: skip
TOKENS_SEED = (
    "生气/angry", "unuse_0", "unuse_1", "开心/happy", "中立/neutral", "unuse_2", "难过/sad", "unuse_3",
    "<unk>",
)  # fmt: skip
MEAN, DEVIATION = -8.278621631819787e-05, 0.08485510250851999  # of the published config.json


def random_state(module: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """A module's tensors, every one random, so that none can be left out or mixed up unseen."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in module.state_dict().items()
    }


def as_published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of a weight-normalised convolution as they were before torch 2.1."""
    return {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value.contiguous()
        for name, value in state.items()
    }


def linear(generator: torch.Generator, name: str, out: int, size: int) -> dict[str, torch.Tensor]:
    """A linear layer's tensors."""
    return {
        f"{name}.weight": torch.randn(out, size, generator=generator) / size**0.5,
        f"{name}.bias": torch.randn(out, generator=generator),
    }


def save_audeering(folder: Path, labels=ATTRIBUTES, normalise: bool = True) -> Path:
    """config.json, preprocessor_config.json and pytorch_model.bin."""
    import transformers as tf

    folder.mkdir(parents=True)
    config = tf.Wav2Vec2Config(**SMALL, conv_bias=True)
    body = random_state(tf.Wav2Vec2Model(config), 1)
    generator = torch.Generator().manual_seed(2)
    state = {f"wav2vec2.{name}": value for name, value in body.items()}
    state |= linear(generator, "classifier.dense", 32, 32)
    state |= linear(generator, "classifier.out_proj", len(labels), 32)
    torch.save(as_published(state), folder / "pytorch_model.bin")
    settings = config.to_dict() | {
        "architectures": ["Wav2Vec2ForSpeechClassification"],
        "id2label": {str(place): name for place, name in enumerate(labels)},
        "label2id": {name: place for place, name in enumerate(labels)},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    preprocessor = {"do_normalize": normalise, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def save_odyssey(folder: Path, labels=ODYSSEY_CLASSES, hidden_layers: int = 1) -> Path:
    """config.json and model.safetensors."""
    import transformers as tf

    folder.mkdir(parents=True)
    body = random_state(tf.WavLMModel(wavlm_config()), 3)
    generator = torch.Generator().manual_seed(4)
    state = {f"ssl_model.{name}": value for name, value in as_published(body).items()}
    state |= linear(generator, "pool_model.sap_linear", 32, 32)
    state["pool_model.attention"] = torch.randn(32, 1, generator=generator)
    for place in range(hidden_layers):
        state |= linear(generator, f"ser_model.fc.{place}.0", 32, 64 if place == 0 else 32)
        state |= {f"ser_model.fc.{place}.1.{name}": torch.randn(32, generator=generator)
                  for name in ("weight", "bias")}  # fmt: skip
    state |= linear(generator, "ser_model.out.0", len(labels), 32)
    save_file(state, folder / "model.safetensors")
    settings = {
        "architectures": ["SERModel"], "model_type": "ser", "sampling_rate": 16000, "hidden_size": 32,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_classes": len(labels),
        "classifier_hidden_layers": hidden_layers, "classifier_dropout_prob": 0.5,
        "mean": MEAN, "std": DEVIATION,
        "ssl_type": "microsoft/wavlm-large", "id2label": {str(i): name for i, name in enumerate(labels)},
        "auto_map": {"AutoModelForAudioClassification": "pipeline_utils.SERModel"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def wavlm_config():
    """WavLM-large, small: distances of relative positions are not in its tensors, and stay WavLM's."""
    import transformers as tf

    return tf.WavLMConfig(**SMALL, conv_bias=False, num_buckets=32, max_bucket_distance=800)


def save_emotion2vec(folder: Path, tokens=TOKENS, prefix: str = "d2v_model.", heads: int = 6) -> Path:
    """config.yaml, tokens.txt and model.pt."""
    folder.mkdir(parents=True)
    dim, tokens_before, prenet, depth = 48, 4, 2, 3
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, generator=generator)

    audio, state = "modality_encoders.AUDIO.", {}
    for place, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        layer = f"{audio}local_encoder.conv_layers.{place}."
        state[f"{layer}0.weight"] = draw(16, 1 if place == 0 else 16, kernel)
        state |= {f"{layer}2.1.weight": 1 + draw(16), f"{layer}2.1.bias": draw(16)}
    state |= {f"{audio}project_features.1.weight": 1 + draw(16), f"{audio}project_features.1.bias": draw(16)}
    state |= linear(generator, f"{audio}project_features.2", dim, 16)
    for place in range(1, 4):
        layer = f"{audio}relative_positional_encoder.{place}.0."
        state |= {f"{layer}weight": draw(dim, dim // 4, 5), f"{layer}bias": draw(dim)}
    state[f"{audio}extra_tokens"] = draw(1, tokens_before, dim)
    state[f"{audio}alibi_scale"] = 1 + draw(1, 1, heads, 1, 1)
    state[f"{audio}alibi_scale"][0, 0, 1] = -0.2  # counts as 0
    state |= {f"{audio}context_encoder.norm.{name}": 1 + draw(dim) for name in ("weight", "bias")}
    rows = [f"{audio}context_encoder.blocks.{i}." for i in range(prenet)] + [
        f"blocks.{i}." for i in range(depth)
    ]
    for row in rows:
        state |= linear(generator, f"{row}attn.qkv", 3 * dim, dim) | linear(
            generator, f"{row}attn.proj", dim, dim
        )
        state |= linear(generator, f"{row}mlp.fc1", 2 * dim, dim) | linear(
            generator, f"{row}mlp.fc2", dim, 2 * dim
        )
        for norm in ("norm1", "norm2"):
            state |= {f"{row}{norm}.weight": 1 + draw(dim), f"{row}{norm}.bias": draw(dim)}
    state = {prefix + name: value for name, value in state.items()}
    state |= linear(generator, "proj", len(tokens), dim)
    torch.save({"model": state, "cfg": None, "optimizer_history": []}, folder / "model.pt")
    (folder / "tokens.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    settings = {
        "model": "Emotion2vec",
        "model_conf": {
            "depth": depth, "num_heads": heads, "norm_eps": 1e-05, "norm_affine": True, "embed_dim": dim,
            "mlp_ratio": 2.0, "layer_norm_first": False, "normalize": True,
            "modalities": {"audio": {
                "prenet_depth": prenet, "num_extra_tokens": tokens_before, "use_alibi_encoder": True,
                "learned_alibi": False, "learned_alibi_scale": True, "learned_alibi_scale_per_head": True,
                "learned_alibi_scale_per_layer": False, "num_alibi_heads": heads,
                "extractor_mode": "layer_norm",
                "feature_encoder_spec": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16,2,2)] + [(16,2,2)]",
                "conv_pos_width": 17, "conv_pos_groups": 4, "conv_pos_depth": 3, "conv_pos_pre_ln": False,
            }},
        },
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder
