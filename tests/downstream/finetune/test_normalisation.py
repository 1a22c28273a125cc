"""Waveforms by the training set's mean and deviation."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.downstream.finetune.batches import AudioSet, whole
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.normalisation import measure
from ser.upstream import load_upstream
from tests.downstream.tones import write_tones


def test_it_is_the_mean_and_deviation_of_all_samples(encoder, tmp_path: Path, monkeypatch) -> None:
    data = DataDir.load(write_tones(tmp_path, speakers="ab"))
    audio = AudioSet.load([data], load_upstream(encoder("wavlm-large")))
    read = partial(whole, audio)
    samples = np.concatenate([read(name) for name in data.utterances]).astype(np.float64)
    found = measure(read, data.utterances, Accelerator(cpu=True))
    assert found == pytest.approx((samples.mean(), samples.std()), rel=1e-9, abs=1e-12)

    # Two processes, whose sums are put together in another order: the same to the last bit.
    class Process:
        num_processes, process_index = 2, 1

    sums: list = []
    monkeypatch.setattr(
        "ser.downstream.finetune.normalisation.gather_object", lambda own: sums.extend(own) or own
    )
    measure(read, data.utterances, Process())
    Process.process_index = 0
    monkeypatch.setattr("ser.downstream.finetune.normalisation.gather_object", lambda own: [*own, *sums])
    assert measure(read, data.utterances, Process()) == found


def test_it_takes_the_place_of_the_encoders_own_rule(encoder) -> None:
    """The encoder hears (x - mean) / deviation and nothing else is done to it; padding stays out."""
    upstream = load_upstream(encoder("wavlm-large"))
    assert upstream.normalise
    model = EndToEnd(upstream, EncoderConfig(normalise="global"), InterpreterConfig(), 2, []).eval()
    model.normalisation.set(0.3, 2.0)
    wave, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    plain = load_upstream(encoder("wavlm-large"))
    plain.normalise = False
    with torch.no_grad():
        found = model.embed(Waves(wave, lengths, ("a", "b")))
        for row, length in enumerate(lengths.tolist()):
            alone = plain((wave[row : row + 1, :length] - 0.3) / 2.0, lengths[row : row + 1]).layers[-1]
            torch.testing.assert_close(found[row], alone[0].mean(0), rtol=1e-4, atol=1e-5)
        # Louder is heard, which the encoder's own rule takes out.
        assert not torch.allclose(model.embed(Waves(2 * wave, lengths, ("a", "b"))), found, rtol=1e-2)
    kept = {name: float(value) for name, value in model.trained_state().items() if name.startswith("norm")}
    assert kept == {"normalisation.mean": pytest.approx(0.3), "normalisation.deviation": 2.0}


def test_a_personalised_encoder(pretrained) -> None:
    upstream = load_upstream(f"papt:{pretrained('last')}")
    EndToEnd(upstream, EncoderConfig(normalise="global"), InterpreterConfig(), 2, ["s0"])
    assert not upstream.normalise


@pytest.mark.parametrize("family", ["whisper-encoder", "w2v-bert-relative", "hubert-local"])
def test_encoders_whose_rule_cannot_be_replaced(encoder, family: str) -> None:
    with pytest.raises(UserError, match=r"follows a rule of its own, which cannot be replaced.*Keep its own"):
        EndToEnd(
            load_upstream(encoder(family)), EncoderConfig(normalise="global"), InterpreterConfig(), 2, []
        )


def test_silence_has_no_deviation() -> None:
    with pytest.raises(UserError, match=r"training audio is silent.*2 utterances"):
        measure(lambda name: np.zeros(100, np.float32), ["a", "b"], Accelerator(cpu=True))
