"""Pooled statistics against NumPy in float64."""

import numpy as np
import torch

from ser.features.pool import pool
from ser.upstream.base import HiddenStates


def test_statistics_are_over_an_utterances_own_frames():
    generator = np.random.default_rng(0)
    layers = [(1e4 + generator.standard_normal((3, 50, 8)) * 1e-2).astype(np.float32) for _ in range(4)]
    lengths = [50, 1, 17]
    for layer in layers:
        for row, length in zip(layer, lengths, strict=True):
            row[length:] = 1e9
    states = HiddenStates([torch.from_numpy(layer) for layer in layers], torch.tensor(lengths))
    for row, (mean, deviation) in enumerate(pool(states)):
        assert mean.dtype == deviation.dtype == np.float32
        for index, layer in enumerate(layers):
            frames = layer[row, : lengths[row]].astype(np.float64)
            np.testing.assert_array_equal(mean[index], frames.mean(0).astype(np.float32))
            np.testing.assert_allclose(deviation[index], frames.std(0), rtol=1e-6, atol=1e-9)


def test_one_frame_has_no_deviation():
    states = HiddenStates([torch.ones(1, 1, 4)], torch.tensor([1]))
    ((_, deviation),) = pool(states)
    assert not deviation.any()
