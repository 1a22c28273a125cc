"""Prediction by fine-tuned models: audio through each fold's own encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ser.data.datadir import DataDir
from ser.downstream.audio_batches import AudioSet
from ser.downstream.experiment import AudioSources, Experiment, training_fingerprint
from ser.downstream.fine_tuned import FineTuned
from ser.downstream.finetune_config import FinetuneConfig
from ser.downstream.protocol import Part
from ser.downstream.recorded import load_recorded
from ser.engine.loop import make_parallel
from ser.features.extract import share_machine
from ser.upstream.base import Upstream


class AudioPredictor:
    """Predicts from audio.

    Args:
        experiment: of ``finetune_experiment``.
        config: its options.
        sources: data and upstream.
        sets: loaded data directories by name.

    Attributes:
        fingerprint: of what there is now.
        saved: the fold's model.

    Raises:
        UserError: when the upstream is not to be had or is another one, or there is broken audio.
    """

    def __init__(
        self,
        experiment: Experiment,
        config: FinetuneConfig,
        sources: AudioSources,
        sets: dict[str, tuple[DataDir, Path | None]],
    ) -> None:
        share_machine(1)
        self.experiment, self.config, self.sources = experiment, config, sources
        self.accelerator = make_parallel(config.precision)
        self.audio = AudioSet.load([data for data, _ in sets.values()], self._upstream(), sources.skip_broken)
        self.audio.check_speakers()
        self.fingerprint = training_fingerprint(config, sources.fingerprint(self.audio.upstream))

    def load(self, path: Path) -> None:
        """Take up a fold's model: a fresh base upstream with what training has set in it."""
        self.audio.upstream = self._upstream()
        self.saved = FineTuned.load(path, self.audio.upstream, [next(iter(self.audio.speaker_of.values()))])

    def predict(self, part: Part) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Utterances that can be used, their vectors ``(n, D)`` and predictions ``(n, K + A)``."""
        utterances = self.audio.usable(part.utterances)
        seconds = self.config.batches.micro_seconds
        vectors, values = self.saved.predict_audio(self.audio, utterances, seconds, self.accelerator)
        return utterances, vectors.numpy(), values.numpy()

    def _upstream(self) -> Upstream:
        """The base upstream, its speakers assigned."""
        upstream = load_recorded(self.experiment, device=str(self.accelerator.device))
        if self.sources.speakers is not None:
            upstream.assign_speakers(self.sources.speakers)
        return upstream
