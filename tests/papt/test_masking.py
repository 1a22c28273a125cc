"""Masks are fairseq's, draw for draw, and an utterance's own."""

import numpy as np
import pytest
import torch

from ser.papt.masking import MaskingConfig, batch_mask, same_number, span_mask, stream
from ser.upstream import torchaudio_stub  # noqa: F401


def s3prl_mask(lengths, seed, config):
    from s3prl.upstream.wav2vec2.wav2vec2_model import compute_mask_indices

    padding = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
    np.random.seed(seed)
    return compute_mask_indices(
        tuple(padding.shape), padding, config.prob, config.length, "static", 0, min_masks=config.min_masks,
        min_space=1, require_same_masks=config.same_number,
    )  # fmt: skip


@pytest.mark.parametrize("lengths", [[199, 199, 199], [300, 120, 45, 12], [30], [25, 5, 3]])
@pytest.mark.parametrize(
    "config",
    [MaskingConfig(), MaskingConfig(same_number=False), MaskingConfig(0.65, 4, 3), MaskingConfig(0.1, 10, 2)],
)
def test_the_same_random_stream_gives_s3prls_mask(lengths, config):
    for seed in range(20):
        random = np.random.RandomState(seed)
        random.rand()  # drawn by S3PRL for rows without padding, of which it then makes no use
        ours = batch_mask(lengths, config, [random] * len(lengths))
        np.testing.assert_array_equal(ours, s3prl_mask(lengths, seed, config))


def test_spans_are_whole_inside_and_their_share_is_near_the_expected():
    config = MaskingConfig(same_number=False)
    shares = []
    for seed in range(300):
        mask = np.zeros(502, bool)  # a frame free at either end
        mask[1 + span_mask(500, config, np.random.RandomState(seed))] = True
        runs = np.diff(np.flatnonzero(np.diff(mask.astype(int))))[::2]
        assert runs.min() >= config.length
        shares.append(mask.sum() / 500)
    # 40 or 41 spans of 10 among 490 starts: a frame is free with about (1 - 10/490)^40.5.
    assert np.mean(shares) == pytest.approx(1 - (1 - 10 / 490) ** 40.5, abs=0.01)


@pytest.mark.parametrize("frames", range(3, 40))
def test_no_utterance_is_too_short(frames):
    for seed in range(10):
        masked = span_mask(frames, MaskingConfig(), np.random.RandomState(seed))
        assert len(masked) and masked.min() >= 0 and masked.max() < frames


def test_rows_get_one_number_and_stay_subsets():
    rows = [np.arange(30), np.arange(5, 25), np.arange(20, 41)]
    cut = same_number(rows, [np.random.RandomState(row) for row in range(3)])
    assert {len(row) for row in cut} == {20}
    assert all(set(short) <= set(row) for short, row in zip(cut, rows, strict=True))


def test_an_utterances_mask_is_its_own():
    config = MaskingConfig(same_number=False)
    alone = batch_mask([90], config, [stream(7, 3, "a-1")])
    among = batch_mask([200, 90], config, [stream(7, 3, "b-1"), stream(7, 3, "a-1")])
    np.testing.assert_array_equal(alone[0], among[1, :90])
    assert not among[1, 90:].any()
    assert (alone != batch_mask([90], config, [stream(7, 4, "a-1")])).any()
