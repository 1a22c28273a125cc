"""A data directory of short noises at several sampling rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ser.data.datadir import DataDir
from tests.scoring.builder import make_data

RATES = (16000, 8000, 22050)
SECONDS = (0.4, 0.7, 1.3)


def make_audio(path: Path, rate: int | None = None, **others) -> DataDir:
    """``make_data`` with a wav file for every utterance: at ``rate`` Hz, or at three rates in turn."""
    data = make_data(path, **others)
    generator, wavs = np.random.default_rng(0), {}
    folder = path.parent / f"{path.name}_wav"
    folder.mkdir()
    for place, utterance in enumerate(data.utterances):
        own = rate or RATES[place % len(RATES)]
        samples = 0.1 * generator.standard_normal((round(SECONDS[place % 3] * own), 1 + place % 2))
        wavs[utterance] = str(folder / f"{utterance}.wav")
        soundfile.write(wavs[utterance], samples, own)
    data.recordings["wav.scp"] = wavs
    data.write(path)
    return data
