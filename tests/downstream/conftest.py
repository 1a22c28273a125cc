"""Corpora with audio, for tests from the waveform to the label."""

import pytest

from ser.upstream import load_upstream
from tests.downstream.finetune.audio_corpus import AudioCorpus, make_corpus
from tests.upstream.models import save


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    return save("whisper-encoder", tmp_path_factory.mktemp("models") / "tiny-whisper")


@pytest.fixture(scope="session")
def audio_corpus(tmp_path_factory, whisper_folder) -> AudioCorpus:
    return make_corpus(tmp_path_factory.mktemp("tones"), load_upstream(f"hf:{whisper_folder}"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, audio_corpus):
    """Two seeds of four folds, on means and deviations of weighted layers."""
    from ser.downstream.config import ModelConfig

    model = ModelConfig(pooling="std_per_layer")
    return audio_corpus.train(tmp_path_factory.mktemp("exp") / "tag", model, seeds=(0, 1))
