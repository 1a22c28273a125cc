"""A trained experiment as a recogniser of audio: files or samples in, labels with probabilities out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.seed import preserved_random_state
from ser.data.audio import as_mono
from ser.data.audio_header import BrokenAudio
from ser.data.windows import Window, cut, windows_of
from ser.downstream.ensemble import Ensemble
from ser.downstream.experiment import Experiment
from ser.downstream.recorded import load_recorded
from ser.features.extract import encode, prefetch
from ser.features.plan import plan_batches
from ser.features.pool import pool
from ser.upstream.base import Upstream

WINDOW_SECONDS = 15.0
# Windows are sorted by length within so much audio, so that batches hold windows of like length.
GROUP_SECONDS = 160.0
NO_FILE = "samples"


@dataclass(frozen=True)
class Recognition:
    """What is recognised in a stretch of audio.

    Args:
        start: its beginning, in seconds.
        end: its end, in seconds.
        label: the most probable class; None where no classes were learnt.
        probabilities: class -> probability; they sum to 1.
        attributes: attribute -> value in the label's units.
    """

    start: float
    end: float
    label: str | None
    probabilities: dict[str, float]
    attributes: dict[str, float]


@dataclass
class Pooled:
    """Features of some windows.

    Args:
        windows: those that could be used.
        features: their pooled statistics (n, S, L, D).
        broken: the others, and why.
    """

    windows: list[Window]
    features: Tensor
    broken: dict[Window, str] = field(default_factory=dict)


class Recogniser:
    """The models of an experiment behind the upstream whose features they were trained on.

    Those of a fine-tuned one are ``EndToEndRecogniser``; ``load_recogniser`` knows which it is.

    >>> model = ser.load("exp/fbank_emotion")  # doctest: +SKIP
    >>> model("a.wav").label  # doctest: +SKIP
    'anger'

    Args:
        ensemble: the models; their mean is what is predicted.
        upstream: on the device where it is to run.
        standardise: the models' ``standardise`` option.
    """

    def __init__(self, ensemble: Ensemble, upstream: Upstream, standardise: str = "global") -> None:
        self.ensemble, self.upstream, self.standardise = ensemble, upstream, standardise

    @classmethod
    def load(
        cls,
        experiment: str | os.PathLike[str],
        upstream: str | None = None,
        seed: int | None = None,
        fold: str | None = None,
        device: str = "auto",
    ) -> Recogniser:
        """Load a trained experiment.

        Args:
            experiment: exp/<tag>, trained by ``ser train``.
            upstream: where its upstream is now, if that has moved: ``hf:<folder>``.
            seed: models of this seed alone.
            fold: the model of this fold alone.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>``.

        Raises:
            UserError: when there is no such experiment, seed or fold, or its upstream is not to be had
                or is another one.
        """
        found = Experiment(Path(experiment))
        loaded = load_recorded(found, upstream, device)
        return cls(Ensemble.load(found, seed, fold), loaded, found.load_config()[0].model.standardise)

    def __call__(
        self,
        audio: str | os.PathLike[str] | np.ndarray,
        rate: int | None = None,
        window: float = WINDOW_SECONDS,
    ) -> Recognition:
        """Recognise a file, or samples, as a whole: the mean over its windows, weighted by duration.

        Args:
            audio: a file, or samples ``(T,)`` or ``(T, channels)``, float in [-1, 1] or int16 or int32.
            rate: the samples' rate in Hz.
            window: longest stretch in seconds that the upstream hears at once.

        Raises:
            UserError: for broken audio, audio too short for the upstream, and as ``windows``.
        """
        return average(self.windows(audio, rate, window))

    def windows(
        self,
        audio: str | os.PathLike[str] | np.ndarray,
        rate: int | None = None,
        window: float = WINDOW_SECONDS,
        hop: float | None = None,
    ) -> list[Recognition]:
        """Recognise every window of a file, or of samples; see ``ser.data.windows.cut``.

        Raises:
            UserError: for broken audio, samples without a rate, and models that want a speaker's other audio.
        """
        if self.standardise == "speaker":
            raise UserError(
                "trained with per-speaker standardisation, which wants a speaker's other audio",
                hint="Use 'ser predict' with --one-speaker, or train with model.standardise: global",
            )
        hop = window if hop is None else hop
        if isinstance(audio, np.ndarray):
            groups: Iterable[list[Heard]] = samples_in_groups(audio, rate, self._rate, window, hop)
        else:
            groups = (_read(group, self._rate) for group in grouped(windows_of(Path(audio), window, hop)))
        found = []
        for group in groups:
            pooled = self._pool(group)
            if pooled.broken:
                raise BrokenAudio(next(iter(pooled.broken.values())))
            found += self.recognitions(pooled.windows, pooled.features)
        return found

    def pooled(self, windows: Iterable[Window]) -> Iterator[Pooled]:
        """Features of windows, group by group in the order given, read ahead; memory is a few groups'."""
        for group in prefetch(lambda group: _read(group, self._rate), grouped(windows), 1):
            yield self._pool(group)

    def recognitions(self, windows: Sequence[Window], features: Tensor) -> list[Recognition]:
        """What the models make of features (n, S, L, D) of n windows."""
        if not windows:
            return []
        names, attributes = self.ensemble.classes, self.ensemble.attributes
        rows = self.ensemble.predict(features).tolist()
        return [
            as_recognition(window.start, window.end, row, names, attributes)
            for window, row in zip(windows, rows, strict=True)
        ]

    @property
    def _rate(self) -> int:
        """Sampling rate that the upstream wants, in Hz."""
        return self.upstream.info.sample_rate

    def _features(self, waves: Sequence[np.ndarray]) -> list[Tensor]:
        """What the models read of samples ``(T_i,)`` in one batch: pooled statistics (S, L, D) each."""
        found = pool(encode(self.upstream, list(waves)))
        return [torch.from_numpy(np.stack(each[: self.ensemble.statistics])) for each in found]

    def _pool(self, group: list[Heard]) -> Pooled:
        """Features of a group, batch by batch, as ``ser extract`` makes them."""
        waves, broken = {}, {}
        for place, (window, wave) in enumerate(group):
            if isinstance(wave, str):
                broken[window] = wave
            elif len(wave) < self.upstream.min_samples:
                least = self.upstream.min_samples / self._rate
                broken[window] = (
                    f"{window.path}: {window.seconds:.3f} s are too short for {self.upstream.info.tag},"
                    f" which needs {least:.3f} s"
                )
            else:
                waves[str(place)] = wave
        seconds = {place: len(wave) / self._rate for place, wave in waves.items()}
        features: dict[int, Tensor] = {}
        with torch.inference_mode(), preserved_random_state():
            for batch in plan_batches(seconds, padded_seconds=self.upstream.padded_seconds):
                rows = self._features([waves[place] for place in batch.utterances])
                for place, row in zip(batch.utterances, rows, strict=True):
                    if bool(row.isfinite().all()):
                        features[int(place)] = row
                    else:
                        window = group[int(place)][0]
                        tag = self.upstream.info.tag
                        broken[window] = f"{window.path}: features of {tag} are not finite"
        places = sorted(features)
        rows = [features[place] for place in places]
        return Pooled(
            [group[place][0] for place in places], torch.stack(rows) if rows else torch.empty(0), broken
        )


# A window with its samples, or with why they are not to be had.
Heard = tuple[Window, np.ndarray | str]


def as_recognition(
    start: float, end: float, row: Sequence[float], classes: Sequence[str], attributes: Iterable[str]
) -> Recognition:
    """Predictions ``(K + A,)`` of a stretch of audio, by name."""
    probabilities = dict(zip(classes, row, strict=False))
    label = max(probabilities, key=probabilities.__getitem__, default=None)
    values = dict(zip(attributes, row[len(classes) :], strict=True))
    return Recognition(start, end, label, probabilities, values)


def average(found: Sequence[Recognition]) -> Recognition:
    """Windows of one file as one: the mean of probabilities and attributes, weighted by duration."""
    weights = np.array([each.end - each.start for each in found], dtype=float)
    weights /= weights.sum()

    def mean(rows: list[dict[str, float]]) -> dict[str, float]:
        return {name: float(weights @ [row[name] for row in rows]) for name in rows[0]}

    probabilities = mean([each.probabilities for each in found])
    return Recognition(
        found[0].start,
        found[-1].end,
        max(probabilities, key=probabilities.__getitem__, default=None),
        probabilities,
        mean([each.attributes for each in found]),
    )


def grouped(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Windows in their order, in lists of up to ``GROUP_SECONDS`` of audio."""
    group: list[Window] = []
    seconds = 0.0
    for window in windows:
        if group and seconds + window.seconds > GROUP_SECONDS:
            yield group
            group, seconds = [], 0.0
        group.append(window)
        seconds += window.seconds
    if group:
        yield group


def _read(group: list[Window], rate: int) -> list[Heard]:
    """The samples of a group's windows."""
    heard: list[Heard] = []
    for window in group:
        try:
            heard.append((window, window.read(rate)))
        except BrokenAudio as error:
            heard.append((window, str(error)))
    return heard


def samples_in_groups(
    samples: np.ndarray, rate: int | None, wanted: int, window: float, hop: float
) -> Iterator[list[Heard]]:
    """Samples in memory, as ``_read`` gives those of a file, a window a group."""
    if rate is None or not rate > 0:
        raise UserError("samples want their rate in Hz", value=rate, hint="Write model(samples, rate=16000)")
    if samples.ndim not in (1, 2) or not len(samples):
        raise UserError("samples are (T,) or (T, channels)", value=samples.shape)
    full_scale = {"int16": 2**15, "int32": 2**31}.get(samples.dtype.name, 1)
    if full_scale == 1 and samples.dtype.kind != "f":
        raise UserError("samples are float in [-1, 1], int16 or int32", value=samples.dtype)
    for first, last in cut(len(samples), rate, window, hop):
        part = samples[first:last].reshape(last - first, -1)
        mono = as_mono((part / full_scale).astype(np.float32), rate, wanted, NO_FILE)
        yield [(Window(Path(NO_FILE), rate, first, last), mono)]
