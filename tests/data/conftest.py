"""Small data directories with real audio files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema, Range

RATE = 8000


@pytest.fixture
def toy(tmp_path: Path) -> DataDir:
    """Two speakers, three utterances each, of 0.5 to 1 s; classes, one attribute with a gap; written."""
    generator = np.random.default_rng(0)
    audio = tmp_path / "audio"
    audio.mkdir()
    utterances = [f"{speaker}-{number}" for speaker in ("ann", "bob") for number in range(3)]
    seconds = {}
    for number, utterance in enumerate(utterances):
        frames = 4000 + 800 * number
        soundfile.write(audio / f"{utterance}.wav", generator.uniform(-0.5, 0.5, frames), RATE)
        seconds[utterance] = frames / RATE
    data = DataDir(
        path=tmp_path / "data" / "toy",
        labels=LabelSchema("toy", "1", "CC0-1.0", ["calm", "wild"], {"arousal": Range(1, 5)}),
        tables={
            "utt2spk": {name: name.split("-")[0] for name in utterances},
            "utt2emo": {name: ("calm", "wild")[number % 2] for number, name in enumerate(utterances)},
            "utt2arousal": {
                name: str(1 + number / 2) for number, name in enumerate(utterances) if number != 4
            },
            "utt2dur": {name: str(value) for name, value in seconds.items()},
            "text": {name: "so schön war das" for name in utterances},
        },
        recordings={"wav.scp": {name: str(audio / f"{name}.wav") for name in utterances}},
        speakers={"spk2gender": {"ann": "f", "bob": "m"}},
    )
    data.write(data.path)
    return data
