"""A peer on a data directory: every utterance heard once, in batches of like length, long ones in windows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.log import Progress
from ser.core.seed import preserved_random_state
from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio
from ser.data.datadir import DataDir
from ser.data.windows import cut
from ser.features.extract import prefetch
from ser.features.memory import MemoryRelease
from ser.features.padding import pad
from ser.features.plan import Batch, plan_batches
from ser.peers.base import Peer
from ser.upstream.base import full_precision

READ_AHEAD = 2


@dataclass(frozen=True)
class Heard:
    """What a peer made of a data directory.

    Args:
        outputs: utterance -> ``(K + A,)``, all of the data directory's.
        windowed: utterances that were longer than a window.
        audio_seconds: heard.
        wall_seconds: that it took, reading included.
    """

    outputs: dict[str, np.ndarray]
    windowed: list[str]
    audio_seconds: float
    wall_seconds: float


def hear(peer: Peer, data: DataDir, window: float, allow_pipes: bool = False) -> Heard:
    """Run a peer over a data directory.

    Args:
        peer: on its device.
        data: what it hears, at any sampling rate: converted to the peer's, channels averaged.
        window: seconds. Longer utterances are cut as ``ser.data.windows.cut`` has it, and their outputs are
            the mean over windows, weighted by duration.
        allow_pipes: run commands that stand in wav.scp.

    Raises:
        UserError: naming the utterance whose audio is broken or too short, or whose outputs are not finite.
    """
    if not data.utterances:
        raise UserError("no utterance", file=data.path)
    reader = AudioReader(data, peer.encoder.info.sample_rate, allow_pipes)
    known = data.numbers("utt2dur") if "utt2dur" in data.tables else {}
    durations = {name: known.get(name) or reader.seconds(name) for name in data.utterances}
    progress, release_memory = Progress(sum(durations.values()), peer.encoder.info.tag), MemoryRelease()
    outputs: dict[str, np.ndarray] = {}
    windowed: list[str] = []
    samples, start = 0, time.perf_counter()

    def read(batch: Batch) -> tuple[Batch, dict[str, np.ndarray]]:
        return batch, {name: _wave(peer, reader, name) for name in batch.utterances}

    with torch.inference_mode(), preserved_random_state():
        for batch, waves in prefetch(read, plan_batches(durations), READ_AHEAD):
            found, long = hear_waves(peer, waves, window)
            broken = [name for name, row in found.items() if not np.isfinite(row).all()]
            if broken:
                raise UserError(
                    f"outputs of {peer.encoder.info.tag} are not finite", file=data.path, value=broken[0]
                )
            outputs |= found
            windowed += long
            samples += sum(map(len, waves.values()))
            progress.advance(batch.seconds)
            release_memory()
    wall = time.perf_counter() - start
    in_order = {name: outputs[name] for name in data.utterances}
    return Heard(in_order, sorted(windowed), samples / reader.rate, wall)


def hear_waves(
    peer: Peer, waves: Mapping[str, np.ndarray], window: float
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Outputs ``(K + A,)`` of waveforms ``(T_i,)`` by name, and the names of those longer than a window.

    Args:
        peer: on its device.
        waves: at its sampling rate.
        window: seconds.
    """
    rate = peer.encoder.info.sample_rate
    spans = {name: cut(len(wave), rate, window, window) for name, wave in waves.items()}
    pieces = {f"{name} {k}": (name, span) for name, own in spans.items() for k, span in enumerate(own)}
    sums = {name: np.zeros(len(peer.classes) + len(peer.attributes)) for name in waves}
    seconds = {key: (last - first) / rate for key, (_, (first, last)) in pieces.items()}
    for batch in plan_batches(seconds):
        wave, lengths = pad([waves[name][slice(*span)] for name, span in map(pieces.get, batch.utterances)])
        device = peer.encoder.device
        with full_precision(device):
            rows = peer(wave.to(device), lengths.to(device)).cpu().numpy()
        for key, row in zip(batch.utterances, rows, strict=True):
            name, (first, last) = pieces[key]
            sums[name] += row.astype(np.float64) * (last - first) / len(waves[name])
    return sums, [name for name, own in spans.items() if len(own) > 1]


def _wave(peer: Peer, reader: AudioReader, utterance: str) -> np.ndarray:
    """The audio of an utterance, long enough for the peer.

    Raises:
        BrokenAudio: it is too short, or cannot be read.
    """
    wave, least = reader.read(utterance), peer.encoder.min_samples
    if len(wave) < least:
        raise BrokenAudio(
            f"utterance {utterance!r}: {len(wave) / reader.rate:.3f} s are too short for"
            f" {peer.encoder.info.tag}, which needs {least / reader.rate:.3f} s",
            file=reader.data_dir.path,
        )
    return wave
