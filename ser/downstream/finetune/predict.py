"""Prediction by fine-tuned models: audio through each fold's own encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import Told
from ser.downstream.conditioning.sources import side_options, told_sets
from ser.downstream.experiment import AudioSources, Experiment, training_fingerprint
from ser.downstream.finetune.batches import AudioSet
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.finetune.saved import FineTuned
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
        self.experiment, self.config, self.sources, self.sets = experiment, config, sources, sets
        self.accelerator = make_parallel(config.precision)
        self.audio = AudioSet.load([data for data, _ in sets.values()], self._upstream(), sources.skip_broken)
        self.audio.check_speakers()
        side = side_options(config.gender, config.text, sources)
        self.audio.told = Told.load(told_sets(sets, sources), side)
        self.fingerprint = training_fingerprint(config, sources.fingerprint(self.audio.upstream))

    def assign_speakers(self, path: Path) -> None:
        """Let speakers be made of others than in training, those of training and validation apart.

        The models do not depend on it: a personalised encoder is one for all speakers.

        Raises:
            UserError: for an encoder without speakers, or a table without a speaker or with another mixture
                of one who was learnt from.
        """
        learnt = sorted({self.audio.speaker_of[u] for u in self._learnt_from()})
        with torch.no_grad():
            before = self.audio.upstream.vectors_of(learnt)
            self.sources = replace(self.sources, speakers=path)
            self.audio.upstream = self._upstream()
            after = self.audio.upstream.vectors_of(learnt)
        if before is None or after is None:
            raise UserError("this encoder has no speakers", value=self.audio.upstream.info.name)
        for speaker, changed in zip(learnt, (before != after).any(1).tolist(), strict=True):
            if changed:
                raise UserError("another embedding of a speaker whom the models have learnt from", file=path,
                                value=speaker, hint="Train again with this table")  # fmt: skip
        self.audio.check_speakers()

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

    def _learnt_from(self) -> list[str]:
        """Utterances of training and validation sets."""
        return [
            u for name in ("train", "validation") if name in self.sets for u in self.sets[name][0].utterances
        ]

    def _upstream(self) -> Upstream:
        """The base upstream, its speakers assigned."""
        upstream = load_recorded(self.experiment, device=str(self.accelerator.device))
        if self.sources.speakers is not None:
            upstream.assign_speakers(self.sources.speakers)
        return upstream
