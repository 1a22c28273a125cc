"""Batches: which utterances, which part of each, which frames masked. All of it follows from the seed.

The plan of an epoch depends on (seed, epoch); crop and mask of an utterance on (seed, epoch, utterance). So a
run that resumes, or one with more processes, trains on the very batches of the run that did neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.core.seed import derive_seed
from ser.data.wording import counted
from ser.features.padding import pad
from ser.features.plan import plan_batches
from ser.papt.config import BatchConfig
from ser.papt.corpus import SAMPLE_RATE, TOLERANCE, Corpus
from ser.papt.masking import MaskingConfig, batch_mask, stream
from ser.papt.model import Inputs
from ser.upstream.wav2vec2 import normalise

log = get_logger(__name__)

# Utterances whose lengths differ by less than this are mixed anew each epoch, in seconds.
BUCKET = 0.25

Batch = tuple[str, ...]


class Geometry(NamedTuple):
    """How samples become frames: first frame after ``field`` samples, the next ones ``hop`` samples apart."""

    field: int
    hop: int

    def frames(self, samples: int) -> int:
        """Frames of so many samples."""
        return max(0, (samples - self.field) // self.hop + 1)


def long_enough(corpus: Corpus, config: BatchConfig, masking: MaskingConfig, geometry: Geometry) -> list[str]:
    """Utterances that are trained on: those of ``min_samples``, and of one span of the mask.

    Raises:
        UserError: when none is.
    """
    least = max(config.min_samples, geometry.field + (masking.length - 1) * geometry.hop)
    kept = [name for name, seconds in corpus.seconds.items() if round(seconds * SAMPLE_RATE) >= least]
    if left_out := len(corpus.seconds) - len(kept):
        log.warning("%s under %.2f s left out", counted(left_out, "utterance"), least / SAMPLE_RATE)
    if not kept:
        raise UserError(f"no utterance of {least / SAMPLE_RATE:.2f} s or more")
    return sorted(kept)


def plan_epoch(
    seconds: dict[str, float], config: BatchConfig, seed: int, epoch: int
) -> list[tuple[Batch, ...]]:
    """The steps of an epoch, each of ``per_step`` batches (the last one of what is left).

    Batches hold utterances of like length; which of them, and the order of batches, is drawn anew each epoch.

    Args:
        seconds: utterance -> duration.
        config: how long and how many.
        seed: of the run.
        epoch: from 0.
    """
    random = np.random.default_rng(derive_seed(seed, "plan", epoch))
    longest = config.max_samples / SAMPLE_RATE
    jitter = random.uniform(0, BUCKET, len(seconds))
    # Never below the true length, so that no batch is larger than asked for by more than its rounding.
    blurred = {
        name: min(seconds[name], longest) + shift for name, shift in zip(sorted(seconds), jitter, strict=True)
    }
    batches = [batch.utterances for batch in plan_batches(blurred, config.seconds)]
    batches = [batches[index] for index in random.permutation(len(batches))]
    return [tuple(batches[at : at + config.per_step]) for at in range(0, len(batches), config.per_step)]


class Collator:
    """Makes :class:`Inputs` of a batch's utterances.

    Args:
        corpus: audio and units.
        speakers: speaker -> index; others get ``unknown``.
        normalise: added to a waveform's variance when it is normalised, None when it is not.
        geometry: of the encoder.
        batches: crops.
        masking: masks.
        seed: of the run.
        unknown: index of a speaker who is not in ``speakers``; None to refuse him.
    """

    def __init__(
        self,
        corpus: Corpus,
        speakers: dict[str, int],
        normalise: float | None,
        geometry: Geometry,
        batches: BatchConfig,
        masking: MaskingConfig,
        seed: int,
        unknown: int | None = None,
    ) -> None:
        self.corpus, self.speakers, self.normalise, self.geometry = corpus, speakers, normalise, geometry
        self.batches, self.masking, self.seed, self.unknown = batches, masking, seed, unknown

    def __call__(self, batch: Batch, epoch: int | str) -> Inputs:
        """A batch of an epoch; ``epoch`` is a name for crops and masks that stay the same (validation).

        Raises:
            UserError: audio without frames, units that do not fit, a speaker without an embedding.
        """
        randoms = [stream(self.seed, epoch, utterance) for utterance in batch]
        waves = [self._wave(utterance) for utterance in batch]
        longest = self.batches.max_samples
        if self.batches.crop == "shortest":
            longest = min(longest, *map(len, waves))
        cut = [
            self._cut(utterance, wave, longest, random)
            for utterance, wave, random in zip(batch, waves, randoms, strict=True)
        ]
        wave, samples = pad([wave for wave, _ in cut])
        targets, frames = pad([units for _, units in cut], torch.int64)
        return Inputs(
            wave=wave,
            samples=samples,
            frames=frames,
            targets=targets,
            mask=torch.from_numpy(batch_mask(frames.tolist(), self.masking, randoms)),
            speaker=torch.tensor([self._speaker(utterance) for utterance in batch]),
        )

    def check_speakers(self, utterances: Iterable[str]) -> None:
        """Refuse speakers without an embedding before training begins.

        Raises:
            UserError: naming the first.
        """
        for utterance in utterances:
            self._speaker(utterance)

    def _wave(self, utterance: str) -> np.ndarray:
        """The whole utterance, normalised as a whole where that is wanted: fairseq crops afterwards."""
        wave = self.corpus.wave(utterance)
        if self.normalise is None:
            return wave
        row = torch.from_numpy(wave)[None]
        return normalise(row, torch.tensor([len(wave)]), self.normalise)[0].numpy()

    def _cut(
        self, utterance: str, wave: np.ndarray, longest: int, random: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """At most ``longest`` samples from a random place, and their units.

        The place is a whole number of frames, so that units stay where they belong; fairseq rounds instead.
        """
        units = self.corpus.units(utterance, self.geometry.frames(len(wave)))
        if len(wave) > longest:
            last = min((len(wave) - longest) // self.geometry.hop, len(units) - 1)
            start = random.randint(0, last + 1)
            wave = wave[start * self.geometry.hop : start * self.geometry.hop + longest]
            units = units[start : start + self.geometry.frames(longest)]
        if not len(units):
            raise UserError("an utterance without a frame", value=utterance)
        return wave, units

    def _speaker(self, utterance: str) -> int:
        """Index of the utterance's speaker."""
        speaker = self.corpus.speaker_of[utterance]
        index = self.speakers.get(speaker, self.unknown)
        if index is None:
            raise UserError(
                "a validation speaker without an embedding: none of his utterances is trained on",
                value=speaker, hint="Set validation.unseen to mean or zero",
            )  # fmt: skip
        return index


def check_units(corpus: Corpus, utterances: Iterable[str], geometry: Geometry) -> str:
    """Compare units with durations before training begins; one frame more of grace, since these are rounded.

    Returns:
        SHA-256 of the units.

    Raises:
        UserError: for units of another frame rate or length, or that are none of the clusters.
    """
    digest = hashlib.sha256()
    for utterance in utterances:
        frames = geometry.frames(round(corpus.seconds[utterance] * SAMPLE_RATE))
        digest.update(corpus.units(utterance, frames, TOLERANCE + 1).tobytes() + utterance.encode())
    return digest.hexdigest()


def utterances_of(group: Iterable[Batch]) -> list[str]:
    """All utterances of a step."""
    return [utterance for batch in group for utterance in batch]
