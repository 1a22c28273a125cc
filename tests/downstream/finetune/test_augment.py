"""Augmentation: what is drawn, from what, and that padding is no part of it."""

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.downstream.finetune.augment import Augmentation, AugmentConfig, FeatureMasks, check_augmentation
from ser.downstream.finetune.batches import AudioSet, divide, read_batch
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.upstream import load_upstream
from ser.upstream.masking import mask_features, masked_features
from tests.downstream.tones import write_tones

MASKS = AugmentConfig(time_masks=2, time_width=0.3, channel_masks=2, channel_width=0.2)
WAVE = (0.1 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)).astype(np.float32)


def test_draws_follow_seed_epoch_and_utterance_alone() -> None:
    config = AugmentConfig(speed=[0.8, 0.9, 1.1, 1.2], noise=[0, 40], gain=6, time_masks=1)
    one, same = Augmentation(config, 3, 1), Augmentation(config, 3, 1)
    for name in "abc":
        same.sound(WAVE, "another before it")
        assert np.array_equal(one.sound(WAVE, name), same.sound(WAVE, name))
        assert one.speed(name, 2.0, 0.1) == same.speed(name, 2.0, 0.1)
    assert one.masks(("a", "b")).seeds == tuple(reversed(same.masks(("b", "a")).seeds))
    others = [Augmentation(config, 4, 1), Augmentation(config, 3, 2)]
    for other in others:
        assert not np.array_equal(one.sound(WAVE, "a"), other.sound(WAVE, "a"))
        assert one.masks(("a",)).seeds != other.masks(("a",)).seeds
    names = [f"u{number}" for number in range(400)]
    drawn = [one.speed(name, 2.0, 0.1) for name in names]
    assert {factor: 70 < drawn.count(factor) < 130 for factor in config.speed} == dict.fromkeys(
        config.speed, True
    )


def test_speed_changes_length_and_pitch() -> None:
    for factor in (0.8, 1.25):
        fast = Augmentation(AugmentConfig(speed=[factor]), 0, 1).change_speed(WAVE, 16000, factor)
        assert fast.dtype == np.float32 and len(fast) == pytest.approx(len(WAVE) / factor, abs=2)
        peak = np.abs(np.fft.rfft(fast)).argmax() * 16000 / len(fast)
        assert peak == pytest.approx(440 * factor, rel=0.01)
    assert Augmentation(AugmentConfig(), 0, 1).change_speed(WAVE, 16000, 1.0) is WAVE


def test_what_would_be_too_short_keeps_its_speed() -> None:
    draws = Augmentation(AugmentConfig(speed=[2.0]), 0, 1)
    assert draws.speed("a", 0.19, 0.1) == 1.0 and draws.speed("a", 0.21, 0.1) == 2.0


@pytest.mark.parametrize("ratio", [0.0, 15.0])
def test_noise_has_the_ratio_that_was_asked_for(ratio: float) -> None:
    noisy = Augmentation(AugmentConfig(noise=[ratio, ratio]), 0, 1).sound(WAVE, "a")
    noise = noisy.astype(np.float64) - WAVE
    assert 10 * np.log10(np.square(WAVE, dtype=np.float64).sum() / np.square(noise).sum()) == pytest.approx(
        ratio, abs=1e-3
    )
    spectrum = np.square(np.abs(np.fft.rfft(noise)))
    assert spectrum[: len(spectrum) // 2].sum() / spectrum.sum() == pytest.approx(0.5, abs=0.02)  # white
    silent = Augmentation(AugmentConfig(noise=[ratio, ratio]), 0, 1).sound(np.zeros(100, np.float32), "a")
    assert not silent.any()


def test_gain_is_bounded_both_ways() -> None:
    decibels = [
        20
        * np.log10(
            np.abs(Augmentation(AugmentConfig(gain=6), 0, epoch).sound(WAVE, "a")).max() / np.abs(WAVE).max()
        )
        for epoch in range(200)
    ]
    assert -6.001 <= min(decibels) < -5 and 5 < max(decibels) <= 6.001


def test_masks_are_spans_within_the_utterance() -> None:
    x, frames = torch.ones(3, 50, 40), torch.tensor([50, 30, 10])
    seen = np.zeros(3)
    for seed in range(200):
        found = FeatureMasks(MASKS, (seed, seed + 1000, seed + 2000))(x, frames)
        hidden = (found == 0).all(2)
        silent = (found == 0).all(1)
        for row, length in enumerate(frames.tolist()):
            assert not hidden[row, length:].any()
            assert int(hidden[row].sum()) <= 2 * int(0.3 * length) and int(silent[row].sum()) <= 2 * 8
            # Nothing but whole frames and whole channels is zero.
            assert torch.equal(found[row] == 0, hidden[row, :, None] | silent[row])
            starts = int((hidden[row, 1:] & ~hidden[row, :-1]).sum()) + int(hidden[row, 0])
            assert starts <= 2
        seen += hidden.float().mean(1).numpy()
    assert (seen > 0).all()


def test_masked_frames_hold_the_embedding_and_rows_do_not_depend_on_the_batch() -> None:
    x, fill = torch.randn(2, 20, 8), torch.arange(8.0) + 100
    masks = FeatureMasks(AugmentConfig(time_masks=3, time_width=0.5), (1, 2))
    found = masks(x, torch.tensor([20, 12]), fill)
    changed = (found != x).any(2)
    assert changed.any() and bool((found[changed] == fill).all())
    alone = FeatureMasks(masks.config, (2,))(x[1:, :12], torch.tensor([12]), fill)
    assert torch.equal(found[1:, :12], alone)
    # Two windows of an utterance have masks of their own.
    twice = FeatureMasks(masks.config, (1,))(x, torch.tensor([20, 20]), fill, torch.tensor([0, 0]))
    assert not torch.equal((twice[0] != x[0]).any(1), (twice[1] != x[1]).any(1))


def test_nothing_is_masked_outside_of_training() -> None:
    x = torch.ones(1, 5, 3)
    assert mask_features(x, torch.tensor([5])) is x
    with masked_features(None):
        assert mask_features(x, torch.tensor([5])) is x


@pytest.mark.parametrize(
    "family", ["hubert-base", "wavlm-large", "wav2vec2-base", "w2v-bert-relative", "whisper-encoder"]
)
def test_encoders_mask_an_utterance_alike_alone_and_in_a_batch(encoder, family: str) -> None:
    model = EndToEnd(load_upstream(encoder(family)), EncoderConfig(), InterpreterConfig(), 2, []).eval()
    lengths = (8000, 5000)
    wave = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    plain = Waves(wave, torch.tensor(lengths), ("a", "b"))
    # Whisper's frames vary little over time: channels are masked as well.
    with torch.no_grad():
        together = model.embed(plain._replace(masks=FeatureMasks(MASKS, (5, 6))))
        assert not torch.allclose(together, model.embed(plain), rtol=1e-3)
        for row, length in enumerate(lengths):
            mask = FeatureMasks(MASKS, (5 + row,))
            alone = model.embed(Waves(wave[row : row + 1, :length], torch.tensor([length]), ("a",), mask))
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_batches_are_planned_by_the_length_that_is_heard(encoder, tmp_path) -> None:
    """Played slower an utterance is longer, and the bound on a micro-batch holds all the same."""
    data = DataDir.load(write_tones(tmp_path, speakers="ab"))
    audio = AudioSet.load([data], load_upstream(encoder("wavlm-large")))

    class Process:
        num_processes, process_index = 1, 0

    for factor in (0.5, 2.0):
        draws = Augmentation(AugmentConfig(speed=[factor], noise=[10, 30]), 0, 1)
        parts = divide(audio, data.utterances, 3.0, 0.8, Process(), "bucket", draws)
        batches = read_batch(audio, data.utterances, parts, 0, 1, round(0.8 * 16000), draws)
        assert len(batches) > 1
        for batch in batches:
            assert batch.inputs.wave.numel() <= 3.0 * 16000 + 2 * len(batch.rows)
        seconds = {
            row: length / 16000
            for b in batches
            for row, length in zip(b.rows.tolist(), b.inputs.lengths.tolist(), strict=True)
        }
        for row, name in enumerate(data.utterances):
            assert seconds[row] == pytest.approx(min(audio.seconds[name] / factor, 0.8), abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": [0.9, 3.0]}, r"augment.speed must be factors of 0.5 to 2"),
        ({"speed": [0.0]}, r"augment.speed"),
        ({"noise": [10.0]}, r"the lowest and the highest SNR in dB.*\[10, 40\]"),
        ({"noise": [40.0, 10.0]}, r"the lowest and the highest SNR"),
        ({"noise": [float("nan"), 10.0]}, r"the lowest and the highest SNR"),
        ({"gain": -1.0}, r"augment.gain must be dB of at least 0"),
        ({"time_masks": -1}, r"augment.time_masks must be at least 0"),
        ({"channel_width": 1.5}, r"augment.channel_width must be a share above 0, up to 1"),
    ],
)  # fmt: skip
def test_values_that_mean_nothing(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        AugmentConfig(**options).check()


def test_an_encoder_that_hides_its_features(encoder) -> None:
    with pytest.raises(UserError, match=r"does not let its features be masked"):
        check_augmentation(MASKS, load_upstream(encoder("data2vec")))
    check_augmentation(AugmentConfig(noise=[0, 10]), load_upstream(encoder("data2vec")))
