"""A small corpus with audio, features of a real upstream, and trained experiments on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.downstream.config import ModelConfig, OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.features.extract import Extraction
from ser.upstream.base import Upstream
from ser.upstream.probe import synthetic_speech

CLASSES = ["calm", "happy", "sad"]
RATE = 16000
FAST = OptimizerConfig(lr=0.02, epochs=3)


@dataclass
class AudioCorpus:
    """A cross-validated set and its features.

    Args:
        data: four speakers, a fold each.
        feats: by ``upstream``.
        upstream: what made them.
    """

    data: DataDir
    feats: Path
    upstream: Upstream

    def wav(self, utterance: str) -> Path:
        """The audio file of an utterance."""
        return Path(self.data.wav_scp[utterance])

    def train(self, folder: Path, model: ModelConfig | None = None, seeds: tuple[int, ...] = (0,)) -> Path:
        """Train every fold on classes and arousal; return exp/<tag>."""
        config = TrainConfig(
            task=TaskConfig(attributes=["arousal"]), model=model or ModelConfig(), optimizer=FAST
        )
        for seed in seeds:
            train_experiment(config, Sources(self.data.path, self.feats), Experiment(folder), seed=seed)
        predict_experiment(Experiment(folder))
        return folder


def make_corpus(folder: Path, upstream: Upstream, utterances: int = 24) -> AudioCorpus:
    """Write audio of .3 to 1.5 s, labels and features."""
    (folder / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = ("utt2spk", "utt2emo", "utt2arousal", "utt2fold")
    tables: dict[str, dict[str, str]] = {name: {} for name in names}
    wav_scp = {}
    waves = synthetic_speech(RATE, rng.uniform(0.3, 1.5, utterances).round(3))
    for number, wave in enumerate(waves):
        speaker = f"s{number % 4}"
        utterance = f"{speaker}-u{number:03d}"
        path = folder / "audio" / f"{utterance}.wav"
        soundfile.write(path, wave, RATE)
        values = (speaker, CLASSES[int(rng.integers(3))], f"{rng.uniform(1, 7):.2f}", speaker)
        for table, value in zip(tables.values(), values, strict=True):
            table[utterance] = value
        wav_scp[utterance] = str(path)
    labels = LabelSchema("tones", "1", "CC0-1.0", CLASSES, {"arousal": (1, 7)})
    DataDir(folder / "data", labels, tables, {"wav.scp": wav_scp}).write(folder / "data")
    data = DataDir.load(folder / "data")
    extraction = Extraction(data, folder / "feats", upstream)
    extraction.run()
    extraction.combine()
    return AudioCorpus(data, folder / "feats", upstream)
