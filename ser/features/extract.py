"""Audio in, arks of hidden states out: in batches, by any number of jobs, resumable to the byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ser.core.environment import available_cores
from ser.core.errors import UserError
from ser.core.log import Progress, get_logger
from ser.core.seed import preserved_random_state
from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio
from ser.data.datadir import DataDir
from ser.features.memory import MemoryRelease, reuse_memory
from ser.features.padding import pad
from ser.features.plan import BATCH_SECONDS, Batch, Shard, plan_batches, plan_shards, shards_of_job
from ser.features.pool import pool
from ser.features.store import FeatureStore, ShardWriter, audio_fingerprint, broken_audio, fingerprint
from ser.upstream.base import HiddenStates, Upstream

log = get_logger(__name__)

# Raised when the numbers change, so that features of an older release are not taken for today's.
FORMAT = 1
READ_AHEAD = 2
# A mean below this share of the standard deviation is rounding.
MEAN_OF_NOTHING = 1e-3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ExtractionSettings:
    """How to extract.

    Args:
        frames_layers: layers whose frames are kept as well.
        batch_seconds: bound on the audio of a batch, padding included.
        skip_broken: leave out audio that cannot be used, instead of stopping.
        allow_pipes: run commands that stand in wav.scp.
    """

    frames_layers: tuple[int, ...] = ()
    batch_seconds: float = BATCH_SECONDS
    skip_broken: bool = False
    allow_pipes: bool = False


class Extraction:
    """Features of one data directory by one upstream.

    Args:
        data: the data directory.
        feats: folder of the features, ``feats/<tag>/<set>``.
        upstream: on the device where it is to run.
        settings: how.

    Raises:
        UserError: a layer that the upstream does not have, an empty data directory, a command in wav.scp.
    """

    def __init__(
        self, data: DataDir, feats: Path, upstream: Upstream, settings: ExtractionSettings | None = None
    ) -> None:
        self.data, self.upstream = data, upstream
        self.settings = settings = settings or ExtractionSettings()
        info = upstream.info
        for layer in settings.frames_layers:
            if not 0 <= layer < info.num_layers:
                raise UserError(f"{info.tag} has layers 0 to {info.num_layers - 1}", value=layer)
        if not data.utterances:
            raise UserError("no utterance", file=data.path)
        self.reader = AudioReader(data, info.sample_rate, settings.allow_pipes)
        known = data.numbers("utt2dur") if "utt2dur" in data.tables else {}
        self.durations = {name: known.get(name) or self._seconds(name) for name in data.utterances}
        speakers = sorted(set(data.utt2spk.values()))
        self._row = {speaker: row for row, speaker in enumerate(speakers)}
        self._vectors = upstream.vectors_of(speakers)
        self._largest_mean = 0.0  # over the utterances encoded here, relative to their standard deviation
        batches = plan_batches(self.durations, settings.batch_seconds, upstream.padded_seconds)
        self.shards = plan_shards(batches)
        self.store = FeatureStore(Path(feats), self._fingerprint(), settings.frames_layers)

    def run(self, jobs: int = 1, job: int = 1) -> None:
        """Do one job's shards, those aside that are done.

        Raises:
            UserError: broken audio, all of this job's named and counted, unless ``skip_broken``.
        """
        mine = shards_of_job(self.shards, jobs, job)
        todo = [shard for shard in mine if not self.store.is_done(shard.index)]
        label = f"{self.upstream.info.tag} {self.data.path.name}"
        progress = Progress(sum(shard.seconds for shard in mine), label)
        progress.skip(sum(shard.seconds for shard in mine) - sum(shard.seconds for shard in todo))
        if len(todo) < len(mine):
            log.info("%s: %d of %d shards are done already", label, len(mine) - len(todo), len(mine))
        batches = prefetch(self._read, (batch for shard in todo for batch in shard.batches), READ_AHEAD)
        release_memory = MemoryRelease()
        with torch.inference_mode(), preserved_random_state():
            for shard in todo:
                self._run_shard(shard, jobs, job, islice(batches, len(shard.batches)), progress)
                release_memory()
        if todo and self._largest_mean < MEAN_OF_NOTHING:
            log.warning(
                "%s: every utterance is normalised to zero mean, so pooled means carry nothing (S3PRL's own"
                " spectral features are, as s3prl:fbank; by its bare name, fbank, it is not)", label,
            )  # fmt: skip

    def combine(self) -> dict[str, Any]:
        """Put all jobs' shards together; return the content of timing.json.

        Raises:
            UserError: as ``FeatureStore.combine``.
        """
        return self.store.combine(range(len(self.shards)), self._meta(), self.settings.skip_broken)

    def _run_shard(
        self,
        shard: Shard,
        jobs: int,
        job: int,
        batches: Iterable[tuple[Batch, dict[str, np.ndarray], dict[str, str]]],
        progress: Progress,
    ) -> None:
        """Encode a shard and write it."""
        with self.store.write_shard(shard.index) as writer:
            report = writer.report
            report.job, report.jobs, report.threads = job, jobs, torch.get_num_threads()
            for batch, waves, broken in batches:
                broken |= self._encode(waves, writer)
                if broken and not self.settings.skip_broken:
                    raise self._all_broken(broken, shard, jobs, job)
                for why in broken.values():
                    log.warning("left out: %s", why)
                report.broken |= broken
                report.audio_seconds += sum(map(len, waves.values())) / self.reader.rate
                progress.advance(batch.seconds)

    def _read(self, batch: Batch) -> tuple[Batch, dict[str, np.ndarray], dict[str, str]]:
        """The audio ``(T,)`` of a batch's utterances, and why those are missing that are."""
        waves, broken = {}, {}
        for utterance in batch.utterances:
            try:
                waves[utterance] = self._wave(utterance)
            except BrokenAudio as error:
                broken[utterance] = str(error)
        return batch, waves, broken

    def _wave(self, utterance: str) -> np.ndarray:
        """The audio of an utterance, long enough for the upstream."""
        wave = self.reader.read(utterance)
        least = self.upstream.min_samples
        if len(wave) < least:
            raise BrokenAudio(
                f"utterance {utterance!r}: {len(wave) / self.reader.rate:.3f} s are too short for"
                f" {self.upstream.info.tag}, which needs {least / self.reader.rate:.3f} s",
                file=self.data.path,
            )
        return wave

    def _encode(self, waves: dict[str, np.ndarray], writer: ShardWriter) -> dict[str, str]:
        """Encode a batch and write its utterances; return those whose features are not finite, and why."""
        broken: dict[str, str] = {}
        if not waves:
            return broken
        states = encode(self.upstream, list(waves.values()), self._speaker_vectors(waves))
        for row, (utterance, (mean, deviation)) in enumerate(zip(waves, pool(states), strict=True)):
            if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
                broken[utterance] = (
                    f"utterance {utterance!r}: features of {self.upstream.info.tag} are not finite"
                )
                continue
            self._largest_mean = max(self._largest_mean, float(np.abs(mean).max() / (deviation.max() or 1.0)))
            arrays = {"pooled_mean": mean, "pooled_std": deviation}
            for layer in self.settings.frames_layers:
                frames = states.layers[layer][row, : int(states.lengths[row])]
                arrays[f"frames_layer{layer}"] = frames.to(torch.float32).cpu().numpy()
            writer.write(utterance, arrays)
        return broken

    def _speaker_vectors(self, utterances: Iterable[str]) -> torch.Tensor | None:
        """Vectors ``(B, S)`` of the utterances' speakers; None when the encoder is not personalised."""
        if self._vectors is None:
            return None
        return self._vectors[[self._row[self.data.utt2spk[utterance]] for utterance in utterances]]

    def _all_broken(self, found: dict[str, str], shard: Shard, jobs: int, job: int) -> UserError:
        """The error for broken audio, after a look at the rest of this job's: one run names them all."""
        mine = shards_of_job(self.shards, jobs, job)
        log.info("broken audio: looking through the rest")
        for other in mine:
            for batch in other.batches if other.index >= shard.index else ():
                found = self._read(batch)[2] | found
        total = sum(len(other.utterances) for other in mine)
        return broken_audio(found, self.data.path, total)

    def _seconds(self, utterance: str) -> float:
        """Duration by the audio's header; 0 where it is broken, which reading it will tell again."""
        try:
            return self.reader.seconds(utterance)
        except BrokenAudio:
            return 0.0

    def _fingerprint(self) -> str:
        """Hash of everything that decides the features."""
        facts = asdict(self.upstream.info)
        facts.pop("name")  # a folder may be called by a relative or an absolute path
        everything = {
            "format": FORMAT,
            "upstream": facts,
            "settings": dict(self.upstream.settings),
            "batch_seconds": self.settings.batch_seconds,
            "frames_layers": list(self.settings.frames_layers),
            "durations": self.durations,
            "segments": str(self.data.segments),
            "audio": audio_fingerprint(self.data.wav_scp),
        }
        if self._vectors is not None:
            everything["utt2spk"] = self.data.utt2spk  # the upstream's settings say who is made of whom
        return fingerprint(everything)

    def _meta(self) -> dict[str, Any]:
        """Content of meta.yaml."""
        info = self.upstream.info
        meta = {
            "upstream": info.name, "tag": info.tag, "family": info.family, "checkpoint": info.checkpoint,
            "sample_rate": info.sample_rate, "frame_rate": info.frame_rate, "layers": info.num_layers,
            "dim": info.dim, "parameters": info.parameters, "precision": "float32", "context": info.context,
        }  # fmt: skip
        if self.settings.frames_layers:
            meta["frames_layers"] = list(self.settings.frames_layers)
        if self.upstream.transductive:
            meta["transductive"] = True
        return meta


def encode(upstream: Upstream, waves: list[np.ndarray], speaker: torch.Tensor | None = None) -> HiddenStates:
    """Hidden states of waveforms ``(T_i,)``, as one batch on the upstream's device.

    ``speaker (B, S)`` are vectors of ``upstream.vectors_of``, for upstreams that are personalised.
    """
    padded, lengths = pad(waves)
    return upstream(padded.to(upstream.device), lengths.to(upstream.device), speaker)


def share_machine(jobs: int) -> int:
    """Take this process's share of the cores, memory managed for a long run; return its threads.

    OMP_NUM_THREADS, where it is set, decides the threads.
    """
    reuse_memory()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // jobs))
    return torch.get_num_threads()


def prefetch(function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """``map`` that works up to ``ahead`` items ahead, in a thread."""
    items = iter(items)
    with ThreadPoolExecutor(1) as pool_of_one:
        waiting = [pool_of_one.submit(function, item) for item in islice(items, ahead)]
        while waiting:
            result = waiting.pop(0).result()
            waiting += [pool_of_one.submit(function, item) for item in islice(items, 1)]
            yield result
