"""Every peer equals a plain forward of one utterance, written here from its description, in float64."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
import transformers as tf
from safetensors.torch import load_file

from tests.peers import models

RELATIVE = 1e-9  # float64, and the same operations in another order
SAMPLES = 20001


@pytest.fixture
def wave():
    generator = torch.Generator().manual_seed(0)
    return 0.05 + 0.1 * torch.randn(1, SAMPLES, generator=generator, dtype=torch.float64)


def doubled(peer):
    return copy.deepcopy(peer).double()


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=RELATIVE, atol=1e-10)


def today(state, prefix):
    """The tensors of transformers' encoder under today's names, in float64."""
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    found = {}
    for name, value in state.items():
        if name.startswith(prefix):
            own = name.removeprefix(prefix)
            for old, new in names.items():
                own = own.replace(old, new)
            found[own] = value.double()
    return found


def linear(state, name, x):
    return x @ state[f"{name}.weight"].double().T + state[f"{name}.bias"].double()


@torch.inference_mode()
def test_audeering(peer_folder, peer_of, wave):
    name = "audeering-dim"
    state = torch.load(peer_folder(name) / "pytorch_model.bin", weights_only=True)
    model = tf.Wav2Vec2Model(tf.Wav2Vec2Config.from_pretrained(peer_folder(name))).double().eval()
    model.load_state_dict(today(state, "wav2vec2."))
    normed = (wave - wave.mean()) / (wave.var(correction=0) + 1e-7).sqrt()
    pooled = model(normed).last_hidden_state.mean(1)
    expected = linear(state, "classifier.out_proj", linear(state, "classifier.dense", pooled).tanh())
    close(doubled(peer_of(name))(wave, torch.tensor([SAMPLES])), expected)
    assert peer_of(name).attributes == ["arousal", "dominance", "valence"]


@pytest.mark.parametrize(("name", "layers"), [("odyssey-categorical", 1), ("odyssey-attributes", 2)])
@torch.inference_mode()
def test_odyssey(peer_folder, peer_of, wave, name, layers):
    state = load_file(peer_folder(name) / "model.safetensors")
    model = tf.WavLMModel(models.wavlm_config()).double().eval()
    model.load_state_dict(today(state, "ssl_model."))
    x = model((wave - models.MEAN) / (models.DEVIATION + 1e-6)).last_hidden_state[0]
    scores = linear(state, "pool_model.sap_linear", x).tanh() @ state["pool_model.attention"].double()
    weights = scores.exp() / scores.exp().sum()
    mean = (weights * x).sum(0)
    variance = (weights * x**2).sum(0) - mean**2
    h = torch.cat([mean, variance.clamp(min=1e-5).sqrt()])
    for place in range(layers):
        h = linear(state, f"ser_model.fc.{place}.0", h)
        norm = [state[f"ser_model.fc.{place}.1.{part}"].double() for part in ("weight", "bias")]
        h = ((h - h.mean()) / (h.var(correction=0) + 1e-5).sqrt() * norm[0] + norm[1]).relu()
    expected = linear(state, "ser_model.out.0", h)[None]
    expected = expected.exp() / expected.exp().sum() if name == "odyssey-categorical" else expected
    close(doubled(peer_of(name))(wave, torch.tensor([SAMPLES])), expected)


@pytest.mark.parametrize(
    ("name", "heads", "used"),
    [("emotion2vec-plus-base", 6, range(9)), ("emotion2vec-plus-seed", 4, (0, 3, 4, 6, 8))],
)
@torch.inference_mode()
def test_emotion2vec(peer_folder, peer_of, wave, name, heads, used):
    saved = torch.load(peer_folder(name) / "model.pt", weights_only=True)["model"]
    state = {key.removeprefix("d2v_model."): value.double() for key, value in saved.items()}
    logits = plain_emotion2vec(state, wave[0], heads)[list(used)]
    expected = (logits.exp() / logits.exp().sum())[None]
    close(doubled(peer_of(name))(wave, torch.tensor([SAMPLES])), expected)


def plain_emotion2vec(state, wave, heads):
    """Logits of one utterance ``(T,)``."""
    audio = "modality_encoders.AUDIO."

    def norm(x, name=None):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return x if name is None else x * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = norm(wave)[None, :]
    for place, stride in enumerate((5, 2, 2, 2, 2, 2, 2)):
        layer = f"{audio}local_encoder.conv_layers.{place}"
        x = F.gelu(norm(F.conv1d(x, state[f"{layer}.0.weight"], stride=stride).T, f"{layer}.2.1")).T
    x = linear(state, f"{audio}project_features.2", norm(x.T, f"{audio}project_features.1"))
    position = x
    for place in (1, 2, 3):
        layer = f"{audio}relative_positional_encoder.{place}.0"
        kernel = state[f"{layer}.weight"]
        position = F.conv1d(
            position.T, kernel, state[f"{layer}.bias"], padding=kernel.shape[2] // 2, groups=4
        ).T
        position = F.gelu(norm(position))
    x = x + position
    bias = torch.zeros(heads, len(x) + 4, len(x) + 4, dtype=torch.float64)
    scale = state[f"{audio}alibi_scale"].flatten().clamp(min=0)
    for head, slope in enumerate(slopes(heads)):
        for i in range(len(x)):
            for_all = (torch.arange(len(x)) - i).abs().double()
            bias[head, i + 4, 4:] = -slope * scale[head] * for_all
    x = norm(torch.cat([state[f"{audio}extra_tokens"][0], x]), f"{audio}context_encoder.norm")
    for row in [f"{audio}context_encoder.blocks.{i}" for i in range(2)] + [f"blocks.{i}" for i in range(3)]:
        q, k, v = linear(state, f"{row}.attn.qkv", x).split(x.shape[1], dim=1)
        size, parts = x.shape[1] // heads, []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            scores = q[:, own] @ k[:, own].T / math.sqrt(size) + bias[head]
            parts.append(scores.softmax(1) @ v[:, own])
        x = norm(x + linear(state, f"{row}.attn.proj", torch.cat(parts, 1)), f"{row}.norm1")
        x = norm(
            x + linear(state, f"{row}.mlp.fc2", F.gelu(linear(state, f"{row}.mlp.fc1", x))), f"{row}.norm2"
        )
    return linear(state, "proj", x[4:].mean(0))


def slopes(heads):
    """Of 4 heads, by the paper; of 6 those of 4, and the first and third of 8."""
    four = [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]
    return four if heads == 4 else [*four, 2.0**-1, 2.0**-3]
