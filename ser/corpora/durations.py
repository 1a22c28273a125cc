"""Durations of a corpus's audio, from the headers, several files at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from ser.core.errors import UserError
from ser.core.log import Progress
from ser.core.processes import in_processes
from ser.data.audio_header import BrokenAudio, read_header
from ser.data.wording import first_few

CHUNK = 2000  # files handed to a process at once: below that, starting processes takes longer


def durations(wavs: Mapping[str, Path], nj: int = 1) -> dict[str, float]:
    """Seconds of audio of every utterance.

    Args:
        wavs: utterance -> audio file.
        nj: processes; their number changes nothing but the time.

    Returns:
        utterance -> seconds, in the order of ``wavs``.

    Raises:
        UserError: for broken files, with their number and the first of them.
    """
    items = iter(wavs.items())
    chunks = list(iter(lambda: list(islice(items, CHUNK)), []))
    seconds: dict[str, float] = {}
    broken: list[str] = []
    progress = Progress(len(wavs), "audio headers")
    for found, bad in in_processes(_read, chunks, min(nj, len(chunks)), "reads headers"):
        seconds |= found
        broken += bad
        progress.advance(len(found) + len(bad))
    if broken:
        broken.sort()
        hint = "Fetch or convert them anew, or take them out of the corpus's folder and pass --allow-partial"
        raise UserError(
            f"{len(broken)} of {len(wavs)} audio files are broken: {first_few(broken)}", hint=hint
        )
    return {utterance: seconds[utterance] for utterance in wavs}


def table(seconds: Mapping[str, float]) -> dict[str, str]:
    """Durations as utt2dur holds them."""
    return {utterance: f"{value:.6g}" for utterance, value in seconds.items()}


def _read(chunk: list[tuple[str, Path]]) -> tuple[dict[str, float], list[str]]:
    """Seconds of the readable files of a chunk, and what is wrong with the others."""
    seconds, broken = {}, []
    for utterance, path in chunk:
        try:
            seconds[utterance] = read_header(path).seconds
        except BrokenAudio as error:
            broken.append(f"{path} ({error.what})")
    return seconds, broken
