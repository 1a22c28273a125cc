"""Corpora of tones and small random encoders, written once a session."""

from pathlib import Path

import numpy as np
import pytest

from ser.core.files import write_text, write_yaml
from ser.data.arks import ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.experiment import AudioSources
from tests.downstream.finetune.experiments import WORDS
from tests.downstream.tones import CLASSES, write_tones
from tests.papt.conftest import pretrained, task  # noqa: F401  (fixtures)
from tests.papt.models import write_hubert
from tests.upstream.models import save


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers, a fold each."""
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory):
    """``encoder(kind)``: name of a small random upstream."""
    made: dict[str, str] = {}

    def make(kind: str = "hubert-large") -> str:
        if kind not in made:
            folder = tmp_path_factory.mktemp("models")
            local = kind == "hubert-local"
            where = write_hubert(folder / "tiny.pt") if local else save(kind, folder / kind)
            made[kind] = f"s3prl:hubert_local:{where}" if local else f"hf:{where}"
        return made[kind]

    return make


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> AudioSources:
    """Tones whose classes are drawn anew: only the words tell them. One speaker's gender is not known."""
    folder = tmp_path_factory.mktemp("told")
    data = write_tones(folder, utterances=20)
    random = np.random.default_rng(0)
    label = {name: CLASSES[int(random.integers(2))] for name in DataDir.load(data).utterances}
    write_text(data / "utt2emo", "".join(f"{name} {value}\n" for name, value in label.items()))
    gender = {"a": "f", "b": "m", "c": "f"}
    known = {name: gender[name[0]] for name in label if name[0] in gender}
    write_text(data / "utt2gender", "".join(f"{name} {value}\n" for name, value in known.items()))
    feats = folder / "words"
    feats.mkdir()
    with ArkWriter(feats / "embedding") as writer:
        for number, name in enumerate(sorted(label)):
            if number % 9:
                vector = 0.1 * random.normal(size=WORDS)
                vector[1] += CLASSES.index(label[name])
                writer.write(name, vector.astype(np.float32))
    write_yaml(feats / "meta.yaml", {"encoder": "hf:words", "tag": "words", "fingerprint": "1"})
    return AudioSources(data, "", text_feats=feats)
