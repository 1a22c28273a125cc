"""Padding, company, order and windows change nothing but what they should."""

import numpy as np
import pytest
import torch

from ser.data.windows import cut
from ser.peers.predict import hear_waves
from tests.peers.conftest import SAVE

LENGTHS = (16000, 33333, 20001, 9000, 400)


@pytest.fixture
def waves():
    generator = np.random.default_rng(1)
    return [0.1 * generator.standard_normal(length).astype(np.float32) for length in LENGTHS]


@pytest.fixture(params=SAVE)
def peer(request, peer_of):
    return peer_of(request.param)


def in_float64(peer, waves):
    """Outputs of waves as one batch, in float64, where nothing but padding could tell."""
    import copy

    wave = torch.zeros(len(waves), max(map(len, waves)), dtype=torch.float64)
    for row, own in zip(wave, waves, strict=True):
        row[: len(own)] = torch.from_numpy(own)
    return copy.deepcopy(peer).double()(wave, torch.tensor([len(own) for own in waves]))


@torch.inference_mode()
def test_a_batch_gives_what_single_utterances_give(peer, waves):
    together = in_float64(peer, waves)
    alone = torch.cat([in_float64(peer, [wave]) for wave in waves])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-11)
    assert (alone[0] - alone[1]).abs().max() > 1e-6  # and they do differ


@torch.inference_mode()
def test_what_lies_in_the_padding_changes_nothing(peer, waves):
    lengths = torch.tensor(LENGTHS)
    wave = torch.randn(len(waves), max(LENGTHS) + 3000, generator=torch.Generator().manual_seed(2))
    clean = torch.zeros_like(wave)
    for row, zeros, own in zip(wave, clean, waves, strict=True):
        row[: len(own)] = zeros[: len(own)] = torch.from_numpy(own)
    assert torch.equal(peer(wave, lengths), peer(clean, lengths))


@torch.inference_mode()
def test_outputs_are_probabilities_or_values(peer, waves):
    found = in_float64(peer, waves)
    assert found.shape == (len(waves), len(peer.classes) + len(peer.attributes))
    if peer.classes:
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(1), torch.ones(len(waves), dtype=torch.float64))


@torch.inference_mode()
def test_a_long_utterance_is_the_mean_of_its_windows(peer, waves):
    long = waves[1]
    found, windowed = hear_waves(peer, {"long": long, "short": waves[0]}, window=1.0)
    assert windowed == ["long"]
    spans = cut(len(long), 16000, 1.0, 1.0)
    assert len(spans) == 2
    parts = [hear_waves(peer, {"x": long[first:last]}, window=9.0)[0]["x"] for first, last in spans]
    expected = sum(part * (last - first) for part, (first, last) in zip(parts, spans, strict=True)) / len(
        long
    )
    np.testing.assert_allclose(found["long"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found["short"], hear_waves(peer, {"x": waves[0]}, 9.0)[0]["x"], rtol=1e-5, atol=1e-6
    )
    whole, none = hear_waves(peer, {"long": long}, window=3.0)
    assert none == [] and np.abs(whole["long"] - found["long"]).max() > 0


def test_random_states_are_left_alone(peer_folder):
    from ser.peers.config import read_config
    from ser.peers.load import load_peer

    config = read_config("odyssey-categorical", model=str(peer_folder("odyssey-categorical")))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_peer(config, "cpu")
    assert torch.equal(torch.rand(2), expected)
