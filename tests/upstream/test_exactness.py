"""Properties of every family: padding, order and company change nothing."""

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.upstream import load_upstream
from ser.upstream.base import zero_beyond
from ser.upstream.probe import TOLERANCE, probe, relative_difference, synthetic_speech
from tests.upstream.models import KINDS

LENGTHS = (16000, 33333, 20001, 48000, 1600)


@pytest.fixture(
    scope="module",
    params=[*KINDS, "fbank", "mfcc", "mel", "linear", "spectrogram", "hubert_local", "egemaps"],
)
def upstream(request, model_folder, s3prl_hubert):
    if request.param in KINDS:
        return load_upstream(f"hf:{model_folder(request.param)}")
    if request.param == "hubert_local":
        return load_upstream(f"s3prl:hubert_local:{s3prl_hubert}")
    if request.param == "egemaps":
        pytest.importorskip("opensmile")
    return load_upstream(request.param)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor(LENGTHS)
    return zero_beyond(0.1 * torch.randn(len(LENGTHS), max(LENGTHS), generator=generator), lengths), lengths


@torch.inference_mode()
def test_batched_equals_single(upstream, batch):
    wave, lengths = batch
    found = probe(upstream, [row[:length].numpy() for row, length in zip(wave, lengths, strict=True)])
    assert found.difference <= TOLERANCE, found


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(("w2v-bert", "data2vec"))])
@torch.inference_mode()
def test_in_float64_nothing_is_left(model_folder, kind, batch):
    """What is left in float32 is rounding, not padding."""
    upstream, (wave, lengths) = load_upstream(f"hf:{model_folder(kind)}").double(), batch
    together = upstream(wave.double(), lengths)
    for row, length in enumerate(lengths):
        alone = upstream(wave[row : row + 1, :length].double(), lengths[row : row + 1])
        for many, one in zip(together.layers, alone.layers, strict=True):
            assert many.dtype == torch.float64
            assert relative_difference(many[row, : alone.lengths[0]], one[0]) < 1e-12


@torch.inference_mode()
def test_padding_changes_nothing(upstream, batch):
    wave, lengths = batch
    noise = torch.randn(len(wave), wave.shape[1] + 5000)
    for row, padded, length in zip(wave, noise, lengths, strict=True):
        padded[:length] = row[:length]
    short, long = upstream(wave, lengths), upstream(noise, lengths)
    assert torch.equal(short.lengths, long.lengths)
    for x, y in zip(short.layers, long.layers, strict=True):
        assert x.shape == y.shape
        assert torch.equal(x, y)


@torch.inference_mode()
def test_order_changes_nothing(upstream, batch):
    wave, lengths = batch
    order = torch.tensor([3, 0, 4, 2, 1])
    straight, shuffled = upstream(wave, lengths), upstream(wave[order], lengths[order])
    assert torch.equal(straight.lengths[order], shuffled.lengths)
    for x, y in zip(straight.layers, shuffled.layers, strict=True):
        assert relative_difference(y, x[order]) < 1e-6


@torch.inference_mode()
def test_shapes_are_as_stated_and_padding_is_zero(upstream, batch):
    wave, lengths = batch
    states = upstream(wave, lengths)
    assert len(states.layers) == upstream.info.num_layers
    for layer in states.layers:
        assert layer.shape == (len(wave), int(states.lengths.max()), upstream.info.dim)
        assert layer.dtype == torch.float32
        assert torch.isfinite(layer).all()
        for row, length in zip(layer, states.lengths, strict=True):
            assert not row[length:].any()
            assert row[:length].any(dim=1).all()


@torch.inference_mode()
def test_no_frame_is_repeated(upstream, batch):
    wave, lengths = batch
    for layer in upstream(wave, lengths).layers:
        if layer.shape[1] > 1:
            assert (layer[3, 1:] != layer[3, :-1]).any(dim=1).all()


@torch.inference_mode()
def test_frame_rate_is_what_more_audio_gives(upstream, batch):
    wave, _ = batch
    if not upstream.info.frame_rate:
        assert upstream(wave, torch.tensor(LENGTHS)).lengths.tolist() == [1] * len(LENGTHS)
        return
    frames = [int(upstream(wave[3:4], torch.tensor([n])).lengths[0]) for n in (16000, 48000)]
    assert frames[1] - frames[0] == pytest.approx(2 * upstream.info.frame_rate, abs=1)


@torch.inference_mode()
def test_last_layer_is_a_prefix(upstream, batch):
    wave, lengths = batch
    whole = upstream(wave, lengths)
    last = upstream.info.num_layers - 1
    for stop in range(last + 1):
        part = upstream(wave, lengths, last_layer=stop)
        assert len(part.layers) == stop + 1
        assert torch.equal(part.lengths, whole.lengths)
        for x, y in zip(part.layers, whole.layers, strict=False):
            assert torch.equal(x, y)
    with pytest.raises(UserError, match="no such layer"):
        upstream(wave, lengths, last_layer=last + 1)


@torch.inference_mode()
def test_training_mode_changes_nothing(upstream, batch):
    wave, lengths = batch
    before = upstream(wave, lengths)
    holder = torch.nn.Sequential(upstream).train()
    assert holder.training and not any(module.training for module in upstream.modules())
    for x, y in zip(before.layers, upstream(wave, lengths).layers, strict=True):
        assert torch.equal(x, y)


def test_random_states_are_left_alone(upstream, batch):
    import random

    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    load_upstream(upstream.info.name)
    with torch.inference_mode():
        upstream(*batch)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_too_short_is_said_and_the_least_is_enough(upstream):
    least = upstream.min_samples
    wave = 0.1 * torch.randn(1, least, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UserError, match=f"{least - 1} samples is too short"):
        upstream(wave[:, :-1], torch.tensor([least - 1]))
    with torch.inference_mode():
        states = upstream(wave, torch.tensor([least]))
    assert states.lengths.tolist()[0] >= 1
    assert all(torch.isfinite(layer).all() for layer in states.layers)


@torch.inference_mode()
def test_silence_is_finite(upstream):
    states = upstream(torch.zeros(1, 16000), torch.tensor([16000]))
    assert all(torch.isfinite(layer).all() for layer in states.layers)


def test_the_probe_finds_a_norm_over_the_padding(model_folder, monkeypatch):
    """What base-size models do without the length-aware norm is far above the tolerance."""
    upstream = load_upstream(f"hf:{model_folder('hubert-base')}")
    waves = synthetic_speech(16000)
    assert probe(upstream, waves).passed
    monkeypatch.setattr("ser.upstream.convolution.group_norm", lambda norm, x, lengths: norm(x))
    found = probe(upstream, waves)
    assert not found.passed and found.difference > 1e-3


def test_the_probe_finds_attention_to_the_padding(model_folder, monkeypatch):
    upstream = load_upstream(f"hf:{model_folder('hubert-large')}")
    monkeypatch.setattr("ser.upstream.wav2vec2.attention_bias", lambda lengths, x: None)
    assert not probe(upstream, synthetic_speech(16000)).passed
