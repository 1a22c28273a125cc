"""Durations of a corpus's audio, from the headers, several files at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from ser.core.errors import UserError
from ser.core.log import Progress
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
    for found, bad in _map(chunks, min(nj, len(chunks))):
        seconds |= found
        broken += bad
        progress.advance(len(found) + len(bad))
    if broken:
        hint = "Fetch or convert them anew, or take them out of the corpus's folder and pass --allow-partial"
        raise UserError(
            f"{len(broken)} of {len(wavs)} audio files are broken: {first_few(broken)}", hint=hint
        )
    return seconds


def table(seconds: Mapping[str, float]) -> dict[str, str]:
    """Durations as utt2dur holds them."""
    return {utterance: f"{value:.6g}" for utterance, value in seconds.items()}


def _map(
    chunks: list[list[tuple[str, Path]]], processes: int
) -> Iterable[tuple[dict[str, float], list[str]]]:
    """Read chunks in order, in this process when one is enough."""
    if processes < 2:
        yield from map(_read, chunks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
        yield from pool.map(_read, chunks)


def _read(chunk: list[tuple[str, Path]]) -> tuple[dict[str, float], list[str]]:
    """Seconds of the readable files of a chunk, and what is wrong with the others."""
    seconds, broken = {}, []
    for utterance, path in chunk:
        try:
            seconds[utterance] = read_header(path).seconds
        except BrokenAudio as error:
            broken.append(f"{path} ({error.what})")
    return seconds, broken
