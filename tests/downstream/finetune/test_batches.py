"""Effective batches and micro-batches: what is in them follows from the seed, and they change no gradient."""

from pathlib import Path

import numpy as np
import pytest

from ser.data.datadir import DataDir
from ser.downstream.finetune.batches import AudioSet, crop, divide, plan_epoch
from ser.downstream.finetune.config import BatchConfig, EncoderConfig, PoolingConfig
from ser.upstream import load_upstream
from tests.downstream.finetune.experiments import assert_same_gradients, gradients_of, make_fit, quick


def test_batches_follow_from_the_seed() -> None:
    names = [f"u{i}" for i in range(9)]
    epochs = [plan_epoch(names, 4, 0, epoch) for epoch in (1, 2, 1)]
    assert epochs[0] == epochs[2] != epochs[1]
    assert [len(batch) for batch in epochs[0]] == [4, 5]  # one left over joins the one before
    assert sorted(name for batch in epochs[0] for name in batch) == names
    wave = np.arange(100, dtype=np.float32)
    cuts = [crop(wave, 10, 0, epoch, name) for epoch, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))]
    assert np.array_equal(cuts[0], cuts[1])
    assert len({cut[0] for cut in cuts}) > 1 and all(len(cut) == 10 and np.ptp(cut) == 9 for cut in cuts)
    assert crop(wave, 0, 0, 1, "a") is wave and crop(wave, 100, 0, 1, "a") is wave


def test_micro_batches_are_bounded_and_dealt_out(corpus: Path, encoder) -> None:
    data = DataDir.load(corpus)
    audio = AudioSet.load([data], load_upstream(encoder()))

    class Process:
        num_processes = 2

        def __init__(self, index: int) -> None:
            self.process_index = index

    parts = [divide(audio, data.utterances, 1.0, 0.3, Process(index)) for index in (0, 1)]
    together = parts[0] | parts[1]
    assert not parts[0].keys() & parts[1].keys()
    assert sorted(u for part in together.values() for u in part) == data.utterances
    for part in together.values():
        assert len(part) * max(min(audio.seconds[u], 0.3) for u in part) <= 1.0


@pytest.mark.parametrize("kind", ["hubert-base", "whisper-encoder", "w2v-bert-relative"])
def test_micro_batches_change_no_gradient(corpus: Path, encoder, kind: str) -> None:
    """Real encoders, utterances of different lengths: padding, replay, BatchNorm and dropout in the head."""
    found = []
    for seconds in (0.1, 1.0, 100.0):
        config = quick(batches=BatchConfig(8, seconds, 0.3), encoder=EncoderConfig("all"))
        fit = make_fit(corpus, encoder(kind), config)
        gradients, count = gradients_of(fit)
        assert count == {0.1: 8, 100.0: 1}.get(seconds, count)
        found.append(gradients)
    for other in found[1:]:
        assert_same_gradients(found[0], other)


@pytest.mark.parametrize(
    ("encoding", "pooling"),
    [
        (EncoderConfig("all", layer="attm", merge_up_to=2), PoolingConfig(lstm=5)),
        (EncoderConfig("all", layer="weighted"), PoolingConfig("attentive")),
        (EncoderConfig("all"), PoolingConfig("attention", width=3)),
        (EncoderConfig("all"), PoolingConfig("mean+std", lstm=4)),
    ],
)
def test_micro_batches_change_no_gradient_of_merging_and_pooling(
    corpus: Path, encoder, encoding: EncoderConfig, pooling: PoolingConfig
) -> None:
    """One big batch against replayed, kept, sorted and unsorted micro-batches, BatchNorm in the head."""
    plans = [BatchConfig(8, 100.0), BatchConfig(8, 0.1), BatchConfig(8, 1.0, kept_seconds=2.0)]
    plans += [BatchConfig(8, 1.0, order="shuffle")]
    found, counts = [], []
    for batches in plans:
        batches.max_seconds = 0.4
        config = quick(batches=batches, encoder=encoding, pooling=pooling)
        gradients, count = gradients_of(make_fit(corpus, encoder("wavlm-base"), config))
        found.append(gradients)
        counts.append(count)
    assert counts[:2] == [1, 8] and 1 < counts[2] <= counts[3]
    own = [value for name, value in found[0].items() if name.startswith(("pooling.", "layers."))]
    assert own and all(bool(value.any()) for value in own)
    for other in found[1:]:
        assert_same_gradients(found[0], other)
