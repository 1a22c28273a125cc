"""What an audio file says of itself, without decoding: the header, and whether the file is whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import soundfile

from ser.core.errors import UserError
from ser.data.riff import missing_bytes

# Kaldi's extract-segments lets a segment end this much after its recording, and cuts it there.
MAX_OVERSHOOT = 0.5


class BrokenAudio(UserError):
    """Audio that cannot be used; names the utterance (or recording) and the file."""


@dataclass(frozen=True)
class Header:
    """What the header of an audio file says: sampling rate in Hz, channels, frames."""

    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.rate


def read_header(path: str | os.PathLike[str], name: str | None = None) -> Header:
    """Read the header of a wav, flac or ogg file; no sample is decoded.

    Args:
        path: the audio file.
        name: the utterance or recording it belongs to, for the message.

    Raises:
        BrokenAudio: when the file is missing, empty, no audio, without samples, or a wav that is
            shorter than its header says.
    """
    check_file(path, name)
    try:
        info = soundfile.info(os.fsencode(path))  # soundfile would encode a name as strict UTF-8
    except (soundfile.SoundFileError, OSError) as error:
        raise broken(f"no audio that can be read ({what_failed(error)})", path, name) from None
    if info.frames <= 0:
        raise broken("audio without samples", path, name)
    return Header(info.samplerate, info.channels, info.frames)


def check_file(path: str | os.PathLike[str], name: str | None) -> None:
    """Raise for a file that is missing, empty, or a wav that is shorter than its header says."""
    try:
        size = os.stat(path).st_size
        if not Path(path).is_file():
            raise broken("not a file", path, name)
        if size == 0:
            raise broken("empty audio file", path, name)
        lacking = missing_bytes(path)
    except FileNotFoundError:
        raise broken("no such audio file", path, name) from None
    except OSError as error:
        raise broken(f"cannot be read ({error.strerror})", path, name) from None
    if lacking:
        raise broken(f"truncated: {lacking} bytes less than its header says", path, name)


def broken(what: str, path: str | os.PathLike[str], name: str | None) -> BrokenAudio:
    """A ``BrokenAudio`` that names the utterance and the file."""
    return BrokenAudio(what if name is None else f"utterance {name!r}: {what}", file=path)


def what_failed(error: Exception) -> str:
    """What libsndfile says, without the file's name and its full stop."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
