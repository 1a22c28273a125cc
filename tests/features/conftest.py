"""A small corpus of synthetic tones and a small random encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.upstream import load_upstream
from ser.upstream.probe import synthetic_speech
from tests.upstream.models import save

UTTERANCES = 30


def write_data(folder: Path, audio: Path, count: int = UTTERANCES) -> DataDir:
    """A data directory with ``count`` utterances of .3 to 1.5 s, wav files under ``audio``."""
    audio.mkdir(parents=True, exist_ok=True)
    seconds = np.random.default_rng(0).uniform(0.3, 1.5, count).round(3)
    wav_scp, utt2spk = {}, {}
    for index, wave in enumerate(synthetic_speech(16000, seconds)):
        utterance = f"s{index % 4}-u{index:03d}"
        soundfile.write(audio / f"{utterance}.wav", wave, 16000)
        wav_scp[utterance], utt2spk[utterance] = str(audio / f"{utterance}.wav"), f"s{index % 4}"
    schema = LabelSchema(corpus="tones", release="1", licence="CC0-1.0")
    DataDir(folder, schema, {"utt2spk": utt2spk}, {"wav.scp": wav_scp}).write(folder)
    return DataDir.load(folder)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return write_data(tmp_path / "data", tmp_path / "audio")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("whisper-encoder", tmp_path_factory.mktemp("models") / "tiny-whisper")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path):
    return load_upstream(f"hf:{tiny_folder}")
