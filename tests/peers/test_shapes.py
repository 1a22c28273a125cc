"""Names and shapes at the published size, on torch's meta device: no weights, hence no memory."""

from pathlib import Path

import pytest
import torch

from ser.peers.emotion2vec import read_sizes, wanted
from ser.peers.files import Settings, Tensors
from ser.peers.odyssey import wavlm_sizes

D2V = "modality_encoders.AUDIO."


def emotion2vec_of(dim: int, heads: int) -> dict[str, tuple[int, ...]]:
    """The release's name -> shape, of every tensor before the head, by the published config.yaml."""
    audio = {
        "prenet_depth": 4, "num_extra_tokens": 10, "num_alibi_heads": heads, "conv_pos_width": 95,
        "conv_pos_depth": 5, "conv_pos_groups": 16,
        "feature_encoder_spec": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
    }  # fmt: skip
    model = {"depth": 8, "num_heads": heads, "embed_dim": dim, "mlp_ratio": 4.0, "norm_eps": "1e-05"}
    content = {"model_conf": model | {"modalities": {"audio": audio}}}
    return {
        key: tuple(shape) for _, key, shape in wanted(*read_sizes(Settings(Path("config.yaml"), content)))
    }


def test_emotion2vec_large_has_the_tensors_that_are_published():
    """185 of them, with the head's two; shapes as users of the checkpoint list them."""
    found = emotion2vec_of(1024, 16)
    blocks = [f"blocks.{i}." for i in range(8)] + [f"{D2V}context_encoder.blocks.{i}." for i in range(4)]
    expected = {f"{D2V}alibi_scale": (1, 1, 16, 1, 1), f"{D2V}extra_tokens": (1, 10, 1024)}
    for block in blocks:
        for name, out, size in (
            ("attn.qkv", 3072, 1024), ("attn.proj", 1024, 1024),
            ("mlp.fc1", 4096, 1024), ("mlp.fc2", 1024, 4096),
        ):  # fmt: skip
            expected |= {f"{block}{name}.weight": (out, size), f"{block}{name}.bias": (out,)}
        expected |= {f"{block}norm{i}.{part}": (1024,) for i in (1, 2) for part in ("weight", "bias")}
    for place, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        layer = f"{D2V}local_encoder.conv_layers.{place}."
        expected[f"{layer}0.weight"] = (512, 512 if place else 1, kernel)
        expected |= {f"{layer}2.1.{part}": (512,) for part in ("weight", "bias")}
    for place in range(1, 6):
        layer = f"{D2V}relative_positional_encoder.{place}.0."
        expected |= {f"{layer}weight": (1024, 64, 19), f"{layer}bias": (1024,)}
    expected |= {f"{D2V}context_encoder.norm.{part}": (1024,) for part in ("weight", "bias")}
    expected |= {f"{D2V}project_features.1.{part}": (512,) for part in ("weight", "bias")}
    expected |= {f"{D2V}project_features.2.weight": (1024, 512), f"{D2V}project_features.2.bias": (1024,)}
    assert found == expected and len(found) == 185 - 2


def test_emotion2vec_base_has_about_90_million_parameters():
    """The model card says about 90 M."""
    shapes = emotion2vec_of(768, 12).values()
    total = sum(torch.Size(shape).numel() for shape in shapes)
    assert total == pytest.approx(93.2e6, rel=2e-3)


def test_the_sizes_of_wavlm_large_are_read_off_its_tensors():
    import transformers as tf

    published = {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "conv_dim": (512,) * 7, "conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2),
        "conv_bias": False, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16,
        "num_buckets": 320, "max_bucket_distance": 800, "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
    }  # fmt: skip
    with torch.device("meta"):
        state = tf.WavLMModel(tf.WavLMConfig(**published)).state_dict()
    tensors = Tensors(
        Path("model.safetensors"), {f"ssl_model.{name}": value for name, value in state.items()}
    )
    own = {name: published[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    assert wavlm_sizes(tensors, Settings(Path("config.json"), own)) == published
