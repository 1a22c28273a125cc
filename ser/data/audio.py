"""Audio of a data directory as 16 kHz mono float32, whatever wav.scp holds: wav, flac, ogg, any rate.

Channels are averaged, the rate converted by soxr (quality HQ), full scale is 1. A segment is cut
out of its recording by seeking, and converted by itself.
"""

from __future__ import annotations

import io
import subprocess

import numpy as np
import soundfile
import soxr

from ser.core.errors import UserError
from ser.data.audio_header import MAX_OVERSHOOT, broken, check_file, read_header, what_failed
from ser.data.datadir import DataDir


class AudioReader:
    """Reads the utterances of a data directory.

    Args:
        data_dir: the data directory.
        rate: the sampling rate of what is returned, in Hz.
        allow_pipes: run entries of wav.scp that end in ``|`` as shell commands. They are refused
            otherwise: whoever writes wav.scp would run code here.

    Raises:
        UserError: when wav.scp holds a pipe and ``allow_pipes`` is off.
    """

    def __init__(self, data_dir: DataDir, rate: int = 16000, allow_pipes: bool = False) -> None:
        self.data_dir, self.rate, self.allow_pipes = data_dir, rate, allow_pipes
        if not allow_pipes:
            refuse_pipes(data_dir)

    def read(self, utterance: str) -> np.ndarray:
        """The samples of an utterance.

        Returns:
            float32 of shape ``(T,)``, T > 0, finite, full scale 1.

        Raises:
            BrokenAudio: when the audio is missing, empty, truncated, undecodable or not finite.
        """
        entry, start, end = self._locate(utterance)
        if entry.endswith("|"):
            source: str | io.BytesIO = io.BytesIO(self._run(entry, utterance))
        else:
            source = entry
            check_file(entry, utterance)
        try:
            with soundfile.SoundFile(source) as sound:
                samples, rate = self._decode(sound, utterance, entry, start, end), sound.samplerate
        except (soundfile.SoundFileError, OSError) as error:
            raise broken(f"no audio that can be read ({what_failed(error)})", entry, utterance) from None
        return as_mono(samples, rate, self.rate, entry, utterance)

    def seconds(self, utterance: str) -> float:
        """Duration of an utterance, from its segment or the audio file's header.

        Raises:
            BrokenAudio: as ``read_header``.
        """
        entry, start, end = self._locate(utterance)
        if end is not None:
            return end - (start or 0.0)
        if entry.endswith("|"):
            return len(self.read(utterance)) / self.rate
        return read_header(entry, utterance).seconds

    def _locate(self, utterance: str) -> tuple[str, float | None, float | None]:
        """The wav.scp entry of an utterance, and the start and end of its segment in seconds."""
        wav_scp, segments = self.data_dir.wav_scp, self.data_dir.segments
        if segments is None:
            if utterance not in wav_scp:
                raise UserError("no such utterance", file=self.data_dir.path / "wav.scp", value=utterance)
            return wav_scp[utterance], None, None
        if utterance not in segments:
            raise UserError("no such utterance", file=self.data_dir.path / "segments", value=utterance)
        segment = segments[utterance]
        return wav_scp[segment.recording], segment.start, segment.end

    def _decode(
        self,
        sound: soundfile.SoundFile,
        utterance: str,
        entry: str,
        start: float | None,
        end: float | None,
    ) -> np.ndarray:
        """The frames of a segment, or all; shape ``(T, channels)``."""
        first, last = 0, sound.frames
        if start is not None and end is not None:
            first, last = round(start * sound.samplerate), round(end * sound.samplerate)
            if first >= sound.frames or last > sound.frames + MAX_OVERSHOOT * sound.samplerate:
                length = sound.frames / sound.samplerate
                raise broken(
                    f"segment {start:g} to {end:g} s ends after its recording of {length:.3f} s",
                    entry, utterance,
                )  # fmt: skip
            last = min(last, sound.frames)
        return read_frames(sound, first, last, entry, utterance)

    def _run(self, entry: str, utterance: str) -> bytes:
        """The output of a pipe of wav.scp, which the user has allowed."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", entry.rstrip()[:-1]], capture_output=True, check=False
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = f"exit code {done.returncode}" + (f", {said[-1]}" if said else "")
            raise broken(f"the command in wav.scp failed ({reason})", entry, utterance)
        return done.stdout


def read_frames(
    sound: soundfile.SoundFile, first: int, last: int, entry: str, name: str | None = None
) -> np.ndarray:
    """Frames ``first`` to ``last`` of an open file, ``(T, channels)`` float32, full scale 1.

    Raises:
        BrokenAudio: when there are none, or fewer than the header says; it names ``entry`` and ``name``.
    """
    if last <= first:
        raise broken("audio without samples", entry, name)
    if first:
        sound.seek(first)
    samples = sound.read(last - first, dtype="float32", always_2d=True)
    if len(samples) < last - first:
        raise broken(f"truncated: {len(samples)} of {last - first} samples", entry, name)
    return samples


def as_mono(samples: np.ndarray, rate: int, wanted: int, entry: str, name: str | None = None) -> np.ndarray:
    """Channels averaged, the rate converted.

    Args:
        samples: ``(T, channels)`` float32.
        rate: theirs, in Hz.
        wanted: of the result, in Hz.
        entry: the file they come from, for messages.
        name: the utterance, for messages.

    Returns:
        float32 ``(T',)``, T' > 0, finite.

    Raises:
        BrokenAudio: when samples are not finite, or too few for one of the result's.
    """
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise broken("audio holds samples that are not finite numbers", entry, name)
    if rate != wanted:
        mono = soxr.resample(mono, rate, wanted, quality="HQ")
        if not len(mono):
            raise broken(f"audio is shorter than one sample at {wanted} Hz", entry, name)
    return np.ascontiguousarray(mono, dtype=np.float32)


def refuse_pipes(data_dir: DataDir) -> None:
    """Raise for the first entry of wav.scp that is a command.

    Raises:
        UserError: with file, line and entry.
    """
    for number, (name, entry) in enumerate(data_dir.wav_scp.items(), 1):
        if entry.endswith("|") or entry.startswith("|"):
            raise UserError(
                f"the entry of {name!r} is a command, which is not run unasked",
                file=data_dir.path / "wav.scp", line=number, value=entry,
                hint="Pass --allow-pipes if you trust whoever wrote the file",
            )  # fmt: skip
