"""What goes into a step: the right part of each utterance, its units, and nothing that depends on company."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.papt.batches import Collator, Geometry, check_units, long_enough, plan_epoch
from ser.papt.config import BatchConfig, PaptConfig, SpeakerConfig
from ser.papt.corpus import Corpus
from ser.papt.encoders import load_source
from ser.papt.masking import MaskingConfig
from ser.papt.model import MEAN_SPEAKER, NO_SPEAKER
from ser.papt.start import build
from tests.papt.corpus import CLUSTERS, write_data, write_units
from tests.upstream.models import save

GEOMETRY = Geometry(400, 320)
MASKING = MaskingConfig(same_number=False)
KINDS = ("hubert-base", "hubert-large", "wavlm-base", "wav2vec2-base")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "train")


@pytest.fixture(scope="module")
def corpus(data, tmp_path_factory):
    units = write_units(tmp_path_factory.mktemp("exp") / "units" / "train", data)
    return Corpus([data.path], [units], 50.0)


def collator(corpus, batches=None, masking=MASKING, seed=0, **options):
    speakers = {speaker: row for row, speaker in enumerate(sorted(set(corpus.speaker_of.values())))}
    batches = batches or BatchConfig()
    return Collator(corpus, speakers, 1e-5, GEOMETRY, batches, masking, seed, **options)


def test_an_epoch_has_every_utterance_once_and_follows_from_the_seed():
    seconds = {f"u{index:03d}": 1 + index % 17 / 3 for index in range(300)}
    config = BatchConfig(seconds=20, per_step=3)
    plan = plan_epoch(seconds, config, 0, 0)
    batches = [batch for step in plan for batch in step]
    assert sorted(utterance for batch in batches for utterance in batch) == sorted(seconds)
    assert all(len(batch) * max(seconds[u] for u in batch) <= 20 for batch in batches)
    assert {len(step) for step in plan[:-1]} == {3}
    assert plan == plan_epoch(seconds, config, 0, 0)
    assert plan != plan_epoch(seconds, config, 0, 1) and plan != plan_epoch(seconds, config, 1, 0)
    spread = [max(seconds[u] for u in batch) - min(seconds[u] for u in batch) for batch in batches]
    assert np.mean(spread) < 1


def test_an_utterance_is_the_same_in_any_batch(corpus):
    collate, (a, b, c) = collator(corpus), list(corpus.seconds)[:3]
    alone, among = collate((b,), 4), collate((a, b, c), 4)
    frames, samples = int(alone.frames[0]), int(alone.samples[0])
    assert torch.equal(among.wave[1, :samples], alone.wave[0]) and not among.wave[1, samples:].any()
    assert torch.equal(among.targets[1, :frames], alone.targets[0])
    assert torch.equal(among.mask[1, :frames], alone.mask[0]) and not among.mask[1, frames:].any()
    assert not torch.equal(collate((b,), 5).mask, alone.mask)
    assert torch.equal(collate((b,), "validation").mask, collate((b,), "validation").mask)


def test_crops_keep_units_where_they_belong(corpus):
    whole, name = collator(corpus), next(iter(corpus.seconds))
    all_of_it = whole((name,), 0)
    full, starts = all_of_it.wave[0], set()
    crop = collator(corpus, BatchConfig(max_samples=5000))
    for epoch in range(20):
        part = crop((name,), epoch)
        assert int(part.samples[0]) == 5000 and int(part.frames[0]) == GEOMETRY.frames(5000)
        start = next(
            at
            for at in range(0, len(full) - 5000 + 1, 320)
            if torch.equal(full[at : at + 5000], part.wave[0])
        )
        frames = int(part.frames[0])
        assert torch.equal(part.targets[0], all_of_it.targets[0, start // 320 : start // 320 + frames])
        starts.add(start)
    assert len(starts) > 5


def test_cropping_to_the_shortest_leaves_nothing_padded(corpus):
    names = tuple(sorted(corpus.seconds)[:4])
    cut = collator(corpus, BatchConfig(crop="shortest"), MaskingConfig())(names, 0)
    assert len(set(cut.samples.tolist())) == 1
    assert int(cut.samples[0]) == min(round(corpus.seconds[name] * 16000) for name in names)
    assert len(set(cut.mask.sum(1).tolist())) == 1


def test_speakers_without_an_embedding(corpus):
    known = collator(corpus)
    del known.speakers["s1"]
    name = next(u for u, s in corpus.speaker_of.items() if s == "s1")
    with pytest.raises(UserError, match=r"validation speaker without an embedding.*'s1'.*mean or zero"):
        known.check_speakers([name])
    known.unknown = NO_SPEAKER
    assert known((name,), 0).speaker.tolist() == [NO_SPEAKER]


def model_of(kind, tmp_path, fusion):
    source = load_source(f"hf:{save(kind, tmp_path / kind)}")
    torch.manual_seed(0)
    return build(source, CLUSTERS, 3, PaptConfig(speaker=SpeakerConfig(fusion, 8)))


@pytest.mark.parametrize("fusion", ["last", "first", "prefix", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_has_the_sums_and_gradients_of_its_utterances(corpus, tmp_path, kind, fusion):
    names = tuple(sorted(corpus.seconds, key=corpus.seconds.get)[::4])
    assert len({corpus.seconds[name] for name in names}) > 1
    collate = collator(corpus)
    results = []
    for batches in ([names], [(name,) for name in names]):
        model = model_of(kind, tmp_path, fusion).double()
        totals = torch.zeros(3, dtype=torch.float64)
        for batch in batches:
            inputs = collate(batch, 0)
            sums = model(inputs._replace(wave=inputs.wave.double()))
            (sums.loss + sums.energy).backward()
            totals += torch.stack([part.detach().double() for part in sums])
        results.append((totals, {n: p.grad for n, p in model.named_parameters()}))
    (one, gradients), (many, others) = results
    torch.testing.assert_close(one, many, rtol=1e-6, atol=0)
    largest = max(float(gradient.norm()) for gradient in others.values())
    for name, gradient in others.items():
        # The loss itself is float32; all else is float64.
        assert (gradients[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-7 * largest, name


def test_mean_and_no_speaker(corpus, tmp_path):
    model = model_of("hubert-base", tmp_path, "last")
    vectors = model.speaker_vectors(torch.tensor([0, 1, 2, MEAN_SPEAKER, NO_SPEAKER]))
    torch.testing.assert_close(vectors[3], vectors[:3].mean(0))
    assert not vectors[4].any()


def test_short_utterances_are_left_out(corpus):
    longest = max(corpus.seconds.values())
    kept = long_enough(corpus, BatchConfig(min_samples=round(longest * 16000)), MASKING, GEOMETRY)
    assert kept == sorted(name for name, seconds in corpus.seconds.items() if seconds == longest)
    with pytest.raises(UserError, match=r"no utterance of 62.50 s or more"):
        long_enough(corpus, BatchConfig(min_samples=1_000_000), MASKING, GEOMETRY)


@pytest.mark.parametrize("shift", [-2, 2])
def test_units_of_100_hz_and_two_frames_more_or_less_are_borne(data, tmp_path, shift):
    slow = Corpus([data.path], [write_units(tmp_path / "slow" / "a", data)], 50.0)
    fast = Corpus([data.path], [write_units(tmp_path / "fast" / "a", data, rate=100.0)], 50.0)
    odd = Corpus([data.path], [write_units(tmp_path / "odd" / "a", data, shift=shift)], 50.0)
    for name in data.utterances[:4]:
        expected = collator(slow)((name,), 0)
        assert torch.equal(collator(fast)((name,), 0).targets, expected.targets)
        frames = int(expected.frames[0]) + min(shift, 0)
        found = collator(odd)((name,), 0)
        assert found.frames.tolist() == [frames]
        assert torch.equal(found.targets[0], expected.targets[0, :frames])


def test_units_that_do_not_fit_are_refused(data, tmp_path):
    def corpus_of(*units: Path, directories=(data.path,)):
        return Corpus(list(directories), list(units), 50.0)

    good = write_units(tmp_path / "good" / "a", data)
    with pytest.raises(UserError, match="units of 75 Hz for an encoder of 50 Hz"):
        corpus_of(write_units(tmp_path / "r75" / "a", data, rate=75.0))
    with pytest.raises(UserError, match="units of 25 Hz"):
        corpus_of(write_units(tmp_path / "r25" / "a", data, rate=25.0))
    for shift in (-9, 9):
        short = corpus_of(write_units(tmp_path / f"s{shift}" / "a", data, shift=shift))
        with pytest.raises(UserError, match=r"units for .* frames: another rate, or other audio"):
            check_units(short, data.utterances, GEOMETRY)
    lying = write_units(tmp_path / "lying" / "a", data, rate=100.0)
    (tmp_path / "lying" / "meta.yaml").write_text("frame_rate: 50.0\nclusters: 6\n")
    with pytest.raises(UserError, match="another rate"):
        check_units(corpus_of(lying), data.utterances, GEOMETRY)
    (tmp_path / "lying" / "meta.yaml").write_text("frame_rate: 50.0\n")
    with pytest.raises(UserError, match="no frame_rate and clusters"):
        corpus_of(lying)
    few = corpus_of(write_units(tmp_path / "few" / "a", data, clusters=2))
    with pytest.raises(UserError, match="unit that is none of 2"):
        check_units(few, data.utterances, GEOMETRY)
    with pytest.raises(UserError, match="1 data directory and 2 folders"):
        corpus_of(good, good)
    with pytest.raises(UserError, match="also in another"):
        corpus_of(good, good, directories=(data.path, data.path))
    other = write_data(tmp_path / "other", 3, prefix="x")
    with pytest.raises(UserError, match="3 utterances without units"):
        corpus_of(good, directories=(other.path,))
    apart = write_units(tmp_path / "apart" / "b", other, clusters=7)
    with pytest.raises(UserError, match="another k-means"):
        corpus_of(good, apart, directories=(data.path, other.path))
    nobody = write_data(tmp_path / "nobody", 3, prefix="unknown-")
    units = write_units(tmp_path / "n" / "a", nobody)
    with pytest.raises(UserError, match="needs to know who speaks"):
        corpus_of(units, directories=(nobody.path,))
    Corpus([nobody.path], [units], 50.0, speakers=False)
