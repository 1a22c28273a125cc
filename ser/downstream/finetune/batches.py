"""Audio of a corpus in batches for an encoder that is trained: cropped by seed, bucketed by length.

The batches of an epoch follow from (seed, epoch), a crop and what else is changed (see ``augment``) from
(seed, epoch, utterance), and dropout from the step and the micro-batch: so a run that was killed, or one
with more processes, trains on the same batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.core.seed import derive_seed
from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import Side, Told
from ser.downstream.finetune.augment import Augmentation
from ser.downstream.finetune.model import Waves
from ser.engine.effective_batch import MicroBatch
from ser.features.padding import pad
from ser.features.plan import plan_batches
from ser.features.store import broken_audio
from ser.upstream.base import Upstream

logger = get_logger(__name__)


@dataclass
class AudioSet:
    """Audio of one or more data directories.

    Args:
        readers: utterance -> who reads it.
        speaker_of: utterance -> speaker.
        seconds: utterance -> duration, of those that can be used.
        broken: utterance -> why it cannot.
        upstream: who hears it.
        told: gender and words of the utterances, for models that are told of them.
    """

    readers: dict[str, AudioReader]
    speaker_of: dict[str, str]
    seconds: dict[str, float]
    broken: dict[str, str]
    upstream: Upstream
    told: Told | None = None

    @classmethod
    def load(cls, sets: Iterable[DataDir], upstream: Upstream, skip_broken: bool = False) -> AudioSet:
        """Look at the header of every utterance's audio.

        Args:
            sets: data directories.
            upstream: says the sampling rate and the shortest utterance.
            skip_broken: leave out what cannot be used; then every file is read to its end once.

        Raises:
            UserError: broken audio, all of it named and counted, unless ``skip_broken``.
        """
        found = cls({}, {}, {}, {}, upstream)
        for data in sets:
            reader = AudioReader(data, upstream.info.sample_rate)
            broken: dict[str, str] = {}
            for utterance in data.utterances:
                found.readers[utterance] = reader
                found.speaker_of[utterance] = data.utt2spk[utterance]
                try:
                    found.seconds[utterance] = found._check(utterance, skip_broken)
                except BrokenAudio as error:
                    broken[utterance] = str(error)
            if broken and not skip_broken:
                raise broken_audio(broken, data.path, len(data.utterances))
            for why in broken.values():
                logger.warning("left out: %s", why)
            found.broken |= broken
        return found

    def usable(self, utterances: Iterable[str]) -> list[str]:
        """Those that are not broken."""
        return [utterance for utterance in utterances if utterance in self.seconds]

    def read(self, utterance: str) -> np.ndarray:
        """Samples ``(T,)``.

        Raises:
            BrokenAudio: what the header did not tell.
        """
        wave = self.readers[utterance].read(utterance)
        least, rate = self.upstream.min_samples, self.upstream.info.sample_rate
        if len(wave) < least:
            raise BrokenAudio(
                f"utterance {utterance!r}: {len(wave) / rate:.3f} s are too short for"
                f" {self.upstream.info.tag}, which needs {least / rate:.3f} s",
                file=self.readers[utterance].data_dir.path,
            )
        return wave

    def side(self, utterances: Sequence[str], device: torch.device | str = "cpu") -> Side | None:
        """Gender and words of some utterances; None where the model is told of neither."""
        return self.told and self.told.of(utterances, device)

    def check_speakers(self) -> None:
        """Ask a personalised encoder for every speaker's vector.

        Raises:
            UserError: for a speaker whom it does not know.
        """
        with torch.no_grad():
            self.upstream.vectors_of(sorted(set(self.speaker_of.values())))

    def speed(self, utterance: str, augmentation: Augmentation | None) -> float:
        """The factor by which an utterance is played faster; 1 without augmentation."""
        if augmentation is None:
            return 1.0
        least = (self.upstream.min_samples + 2) / self.upstream.info.sample_rate  # resampling may round off
        return augmentation.speed(utterance, self.seconds[utterance], least)

    def _check(self, utterance: str, decode: bool) -> float:
        """Seconds of an utterance, after a look at its file, or at all of it."""
        rate = self.upstream.info.sample_rate
        seconds = len(self.read(utterance)) / rate if decode else self.readers[utterance].seconds(utterance)
        if seconds * rate < self.upstream.min_samples - 1:
            self.read(utterance)
        return seconds


def plan_epoch(utterances: Sequence[str], size: int, seed: int, epoch: int) -> list[list[str]]:
    """The effective batches of an epoch; a last one of one utterance joins the one before.

    Args:
        utterances: to learn from.
        size: of a batch.
        seed: of the run.
        epoch: from 1.
    """
    order = np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(len(utterances))
    shuffled = [utterances[place] for place in order]
    batches = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def crop(wave: np.ndarray, longest: int, seed: int, epoch: int, utterance: str) -> np.ndarray:
    """At most ``longest`` samples of ``wave (T,)`` from a random place; 0 leaves it whole."""
    if not longest or len(wave) <= longest:
        return wave
    random = np.random.default_rng(derive_seed(seed, "crop", epoch, utterance))
    start = int(random.integers(len(wave) - longest + 1))
    return wave[start : start + longest]


def divide(
    audio: AudioSet,
    batch: Sequence[str],
    micro_seconds: float,
    max_seconds: float,
    accelerator: Accelerator,
    order: str = "bucket",
    augmentation: Augmentation | None = None,
) -> dict[int, tuple[str, ...]]:
    """This process's micro-batches of an effective batch, by number; each of utterances of like length.

    Args:
        audio: knows the durations.
        batch: the utterances.
        micro_seconds: bound on the audio of a micro-batch, padding included.
        max_seconds: of a crop; 0 for whole utterances.
        accelerator: knows the number of processes, and which one this is.
        order: ``bucket``, or ``shuffle`` for micro-batches of utterances as the batch has them.
        augmentation: of the epoch, which may change how long an utterance is.
    """
    seconds = {name: audio.seconds[name] / audio.speed(name, augmentation) for name in batch}
    if max_seconds:
        seconds = {name: min(value, max_seconds) for name, value in seconds.items()}
    planned = plan_batches(seconds, micro_seconds, audio.upstream.padded_seconds, order == "shuffle")
    mine = list(enumerate(planned))[accelerator.process_index :: accelerator.num_processes]
    return {number: each.utterances for number, each in mine}


def read_batch(
    audio: AudioSet,
    batch: Sequence[str],
    parts: Mapping[int, Sequence[str]],
    seed: int = 0,
    epoch: int = 0,
    longest: int = 0,
    augmentation: Augmentation | None = None,
    side: Side | None = None,
) -> list[MicroBatch]:
    """Some micro-batches of an effective batch, their audio read.

    Args:
        audio: where it is.
        batch: all of the effective batch, in its order.
        parts: number of a micro-batch -> its utterances.
        seed: of the run.
        epoch: of the crops.
        longest: samples of a crop; 0 for whole utterances.
        augmentation: of the epoch; None for the audio as it is.
        side: gender and words of the effective batch's utterances, for a model that is told of them.

    Raises:
        UserError: audio that is broken beyond its header.
    """
    step = derive_seed(seed, "step", epoch, batch[0])
    place = {utterance: row for row, utterance in enumerate(batch)}
    found = []
    for number, utterances in parts.items():
        waves = [_heard(audio, name, seed, epoch, longest, augmentation) for name in utterances]
        padded, lengths = pad(waves)
        speakers = tuple(audio.speaker_of[name] for name in utterances)
        rows = torch.tensor([place[name] for name in utterances])
        masks = None if augmentation is None else augmentation.masks(tuple(utterances))
        text = None if side is None or side.text is None else side.text[rows]
        inputs = Waves(padded, lengths, speakers, masks, text)
        found.append(MicroBatch(rows, inputs, derive_seed(step, "micro", number)))
    return found


def count_kept(micro: Sequence[MicroBatch], samples: float) -> int:
    """How many of the last micro-batches have at most ``samples`` together, padding included; 1 or more.

    Args:
        micro: a process's micro-batches, whose inputs are ``Waves``.
        samples: that activations may be kept of.
    """
    kept, total = 0, 0
    for each in reversed(micro):
        total += each.inputs.wave.numel()
        if kept and total > samples:
            break
        kept += 1
    return max(kept, 1)


def _heard(
    audio: AudioSet, utterance: str, seed: int, epoch: int, longest: int, augmentation: Augmentation | None
) -> np.ndarray:
    """What the encoder is given of an utterance: its speed changed, cropped, then noise and gain."""
    wave = whole(audio, utterance)
    if augmentation is None:
        return crop(wave, longest, seed, epoch, utterance)
    factor = audio.speed(utterance, augmentation)
    wave = augmentation.change_speed(wave, audio.upstream.info.sample_rate, factor)
    return augmentation.sound(crop(wave, longest, seed, epoch, utterance), utterance)


def whole(audio: AudioSet, utterance: str) -> np.ndarray:
    """The audio of an utterance; what is broken is named with its remedy.

    Raises:
        UserError: audio that is broken beyond its header.
    """
    try:
        return audio.read(utterance)
    except BrokenAudio as error:
        raise UserError(
            error.what, file=error.file, hint="Mend or remove it, or leave it out with --skip-broken"
        ) from None
