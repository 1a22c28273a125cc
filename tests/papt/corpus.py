"""A small corpus with units that depend on the audio, and so can be learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ser.core.files import write_yaml
from ser.data.arks import ArkWriter
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema

CLUSTERS = 6


def write_data(folder: Path, count: int = 12, speakers: int = 3, seed: int = 0, prefix: str = "s") -> DataDir:
    """Utterances of .6 to 1.2 s, each a sequence of tones; wav files beside the directory."""
    random, audio = np.random.default_rng(seed), folder.parent / f"{folder.name}-audio"
    audio.mkdir(parents=True)
    wav_scp, utt2spk = {}, {}
    for index in range(count):
        speaker = f"{prefix}{index % speakers}"
        name = f"{speaker}-u{index:03d}"
        tones = random.integers(0, CLUSTERS, random.integers(6, 13))
        time = np.arange(1600) / 16000
        wave = np.concatenate([np.sin(2 * np.pi * 200 * (tone + 1) * time) for tone in tones])
        wave = 0.3 * wave + 0.01 * random.standard_normal(len(wave))
        soundfile.write(audio / f"{name}.wav", wave, 16000)
        wav_scp[name], utt2spk[name] = str(audio / f"{name}.wav"), speaker
    schema = LabelSchema(corpus="tones", release="1", licence="CC0-1.0")
    DataDir(folder, schema, {"utt2spk": utt2spk}, {"wav.scp": wav_scp}).write(folder)
    return DataDir.load(folder)


def write_units(
    folder: Path, data: DataDir, rate: float = 50.0, clusters: int = CLUSTERS, shift: int = 0
) -> Path:
    """Units of a data directory as ``ser units`` writes them: the loudest tone of each frame.

    ``shift`` frames are added at, or taken off, the end.
    """
    reader, hop = AudioReader(data), round(16000 / rate)
    write_yaml(folder.parent / "meta.yaml", {"frame_rate": rate, "clusters": clusters})
    tones = np.exp(-2j * np.pi * 200 * np.arange(1, CLUSTERS + 1)[:, None] * np.arange(400) / 16000)
    folder.mkdir(parents=True, exist_ok=True)
    with ArkWriter(folder / "units") as writer:
        for utterance in data.utterances:
            wave = reader.read(utterance)
            starts = range(0, len(wave) - 400 + 1, hop)
            units = [int(np.abs(tones @ wave[start : start + 400]).argmax()) for start in starts]
            units = (units + [0] * shift)[: len(units) + shift]
            writer.write(utterance, np.array(units, np.int32))
    return folder
