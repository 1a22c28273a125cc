"""Audio files of any length as windows that are read one by one, so that memory does not grow with the file.

A window is converted by itself, as a segment is: one that holds a whole file has the very samples that
``AudioReader`` gives of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.data.audio import as_mono, read_frames
from ser.data.audio_header import broken, read_header, what_failed


@dataclass(frozen=True)
class Window:
    """A stretch of an audio file.

    Args:
        path: the file.
        rate: its sampling rate in Hz.
        first: first frame, at that rate.
        last: the frame after its last one.
    """

    path: Path
    rate: int
    first: int
    last: int

    @property
    def start(self) -> float:
        """Seconds from the file's beginning to the window's."""
        return self.first / self.rate

    @property
    def end(self) -> float:
        """Seconds from the file's beginning to the window's end."""
        return self.last / self.rate

    @property
    def seconds(self) -> float:
        """Duration."""
        return (self.last - self.first) / self.rate

    def read(self, rate: int) -> np.ndarray:
        """The samples as mono float32 ``(T,)`` at ``rate`` Hz, full scale 1.

        Raises:
            BrokenAudio: when they cannot be read or are not finite.
        """
        try:
            with soundfile.SoundFile(os.fsencode(self.path)) as sound:
                samples = read_frames(sound, self.first, self.last, str(self.path))
        except (soundfile.SoundFileError, OSError) as error:
            raise broken(f"no audio that can be read ({what_failed(error)})", self.path, None) from None
        return as_mono(samples, self.rate, rate, str(self.path))


def windows_of(path: Path, window: float, hop: float) -> list[Window]:
    """The windows of a file, by its header alone.

    Args:
        path: an audio file.
        window: seconds of a window.
        hop: seconds from one window's beginning to the next one's.

    Raises:
        BrokenAudio: as ``read_header``.
        UserError: as ``cut``.
    """
    header = read_header(path)
    spans = cut(header.frames, header.rate, window, hop)
    return [Window(path, header.rate, first, last) for first, last in spans]


def cut(frames: int, rate: int, window: float, hop: float) -> list[tuple[int, int]]:
    """First and last frame of each window; together they cover every frame.

    What is left at the end is a window of its own when it is at least half a window, else it goes to
    the window before. So a window is between half and one and a half of ``window``, and with ``hop``
    equal to it no frame is in two. What is no longer than a window is one, however short.

    Args:
        frames: of the whole, at least 1.
        rate: frames a second.
        window: seconds of a window.
        hop: seconds from one window's beginning to the next one's, at most ``window``.

    Raises:
        UserError: unless 0 < hop <= window.

    >>> cut(10, 1, window=4, hop=4)
    [(0, 4), (4, 8), (8, 10)]
    >>> cut(9, 1, window=4, hop=4)
    [(0, 4), (4, 9)]
    """
    if not 0 < hop <= window:
        raise UserError(
            "the hop must be positive and at most the window, or audio would be skipped",
            value=f"window {window:g} s, hop {hop:g} s",
        )
    size, step = (max(1, round(min(seconds * rate, frames))) for seconds in (window, hop))
    spans = [(start, start + size) for start in range(0, frames - size + 1, step)]
    if spans[-1][1] < frames:
        rest = spans[-1][0] + step
        if frames - rest >= size / 2:
            spans.append((rest, frames))
        else:
            spans[-1] = (spans[-1][0], frames)
    return spans
