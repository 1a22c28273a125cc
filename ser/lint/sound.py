"""What is to be heard in an utterance's audio: rate, level, clipping, offset, a digest of the samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio, read_header
from ser.data.datadir import DataDir, Segment
from ser.data.labels import LabelSchema

FRAME_SECONDS = 0.025
FULL_SCALE = 1 - 2**-15  # the largest positive sample of 16 bits
RUN = 3  # samples at full scale in a row that no undistorted speech has
FLOOR_DB = -120.0  # of digital silence, which has no level


@dataclass(frozen=True)
class Sound:
    """Facts of an utterance's audio; channels are averaged first.

    Attributes:
        rate: sampling rate of the file in Hz.
        frames: samples.
        loudest: level of the loudest 25 ms, in dB of full scale.
        clipped: samples in runs of three or more at full scale, as a share.
        offset: mean of the samples, full scale 1.
        digest: of the samples; header, container and number of equal channels do not count.
        broken: why it cannot be used; the other fields are then without meaning.
    """

    rate: int = 0
    frames: int = 0
    loudest: float = FLOOR_DB
    clipped: float = 0.0
    offset: float = 0.0
    digest: str = ""
    broken: str | None = None

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.rate


def listen(path: str, segments: Sequence[tuple[float, float]] | None) -> list[Sound]:
    """Read a file and measure it, or each of its segments.

    Args:
        path: the audio file.
        segments: start and end in seconds; None for the whole file.
    """
    try:
        rate = read_header(path).rate
    except BrokenAudio as error:
        return [Sound(broken=error.what)] * (1 if segments is None else len(segments))
    cuts = None
    if segments is not None:
        cuts = {str(number): Segment("file", start, end) for number, (start, end) in enumerate(segments)}
    names = ["file"] if cuts is None else list(cuts)
    one = DataDir(Path("."), LabelSchema("any"), {"utt2spk": {}}, {"wav.scp": {"file": path}}, segments=cuts)
    reader = AudioReader(one, rate)  # the reader of the features; at the file's own rate nothing is resampled
    return [_measured(reader, name) for name in names]


def _measured(reader: AudioReader, name: str) -> Sound:
    """Measure one utterance."""
    try:
        samples = reader.read(name)
    except BrokenAudio as error:
        return Sound(broken=error.what.removeprefix(f"utterance {name!r}: "))
    return measure(samples, reader.rate)


def measure(samples: np.ndarray, rate: int) -> Sound:
    """Measure samples of shape ``(T,)``, float32, full scale 1."""
    return Sound(
        rate=rate,
        frames=len(samples),
        loudest=round(loudest_frame(samples, rate), 2),
        clipped=round(clipped_share(samples), 6),
        offset=round(float(samples.mean(dtype=np.float64)), 6),
        digest=hashlib.blake2b((samples + np.float32(0)).data, digest_size=16).hexdigest(),
    )


def loudest_frame(samples: np.ndarray, rate: int) -> float:
    """Level of the loudest 25 ms in dB of full scale; the last frame may be shorter."""
    size = min(len(samples), max(1, round(FRAME_SECONDS * rate)))
    whole = len(samples) // size * size
    power = np.square(samples[:whole].reshape(-1, size)).mean(axis=1).max()
    if whole < len(samples):
        power = max(power, np.square(samples[-size:]).mean())
    return max(FLOOR_DB, 10 * float(np.log10(max(power, 1e-12))))


def clipped_share(samples: np.ndarray) -> float:
    """Samples that lie in runs of ``RUN`` or more at full scale, as a share of all."""
    full = np.abs(samples) >= FULL_SCALE
    if np.count_nonzero(full) < RUN:
        return 0.0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], full, [False]))))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= RUN].sum() / len(samples))
