"""The audio files: made in parallel, kept when they are there and right, each whole or not at all.

A file says in its comment (RIFF chunk LIST/INFO) from which plan it was made and which samples it
holds. A file of another plan, another version or other samples is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.core.files import remove_leftovers, whole_file
from ser.core.log import Progress
from ser.corpora.mini import espeak, voice
from ser.corpora.mini.design import Utterance
from ser.corpora.mini.voice import RATE

# Raised with every change of voice.py that changes samples.
VERSION = 1


def audio_path(folder: Path, utterance: Utterance) -> Path:
    """``<folder>/<speaker>/<utterance>.wav``."""
    return folder / utterance.speaker.name / f"{utterance.name}.wav"


def kept_audio(utterances: Sequence[Utterance], folder: Path) -> dict[str, int]:
    """Of the utterances whose file is there and right: utterance -> samples at 16 kHz.

    Raises:
        UserError: as ``espeak.speak``.
    """
    engine = espeak.version()
    lengths = {item.name: _kept(audio_path(folder, item), plan_of(item, engine)) for item in utterances}
    return {name: length for name, length in lengths.items() if length is not None}


def make_audio(utterances: Sequence[Utterance], folder: Path, jobs: int, kept: int = 0) -> dict[str, int]:
    """Make the files of ``utterances``.

    Args:
        utterances: what to say.
        folder: where the files go, a folder a speaker.
        jobs: processes; their number changes nothing but the time.
        kept: how many files an earlier run made, for the progress.

    Returns:
        utterance -> samples at 16 kHz.

    Raises:
        UserError: as ``espeak.speak``, or when a process was killed; what is done stays.
    """
    for speaker in {utterance.speaker.name for utterance in utterances}:
        remove_leftovers(folder / speaker)
    engine = espeak.version()
    progress = Progress(kept + len(utterances), "speech synthesis")
    progress.skip(kept)
    lengths: dict[str, int] = {}
    # fork, since espeak.speak needs it in any case.
    context = multiprocessing.get_context("fork")
    workers: dict[Connection, multiprocessing.process.BaseProcess] = {}
    try:
        for job in range(min(jobs, len(utterances))):
            receiver, sender = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work, args=(utterances[job::jobs], folder, engine, sender, os.getpid()), daemon=True
            )
            worker.start()
            sender.close()
            workers[receiver] = worker
        while len(lengths) < len(utterances):
            for receiver in cast("list[Connection]", wait(list(workers))):
                for name, length in _receive(receiver, workers):
                    lengths[name] = length
                    progress.advance()
    finally:
        for worker in workers.values():
            worker.terminate()
            worker.join()
    return lengths


def _work(
    utterances: Sequence[Utterance], folder: Path, engine: str, sender: Connection, parent: int
) -> None:
    """One process's share: render, write, and send ``(name, samples)``, or the error that ended it."""
    # Ctrl-C is the parent's affair: it ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for utterance in utterances:
            if os.getppid() != parent:
                return
            samples = voice.render(utterance.speaker.voice, utterance.sentence.text, utterance.delivery)
            write_wav(audio_path(folder, utterance), samples, plan_of(utterance, engine))
            sender.send((utterance.name, len(samples)))
    except UserError as error:
        sender.send(error.what)
    except OSError as error:
        sender.send(f"audio cannot be written ({error.strerror}) below {folder}")


def _receive(receiver: Connection, workers: dict[Connection, Any]) -> list[tuple[str, int]]:
    """What a worker has sent, nothing when it has ended.

    Raises:
        UserError: the worker's, or that it was killed.
    """
    try:
        message = receiver.recv()
    except EOFError:
        worker = workers.pop(receiver)
        worker.join()
        if worker.exitcode != 0:
            what = f"a process of the speech synthesis ended with code {worker.exitcode}"
            raise UserError(what, hint="Run the command again: what is done is kept") from None
        return []
    if isinstance(message, str):
        raise UserError(message)
    return [message]


def plan_of(utterance: Utterance, engine: str) -> str:
    """A fingerprint of all that decides an utterance's samples."""
    plan = [VERSION, engine, utterance.speaker.voice, utterance.sentence.text, asdict(utterance.delivery)]
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]


def write_wav(path: Path, samples: np.ndarray, plan: str) -> None:
    """Write int16 ``(T,)`` at 16 kHz, with its plan and the hash of its samples as comment."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", RATE, 1, "PCM_16", format="WAV") as sound:
        sound.comment = _comment(plan, samples)
        sound.write(samples)
    with whole_file(path, "wb") as stream:
        stream.write(buffer.getvalue())


def _comment(plan: str, samples: np.ndarray) -> str:
    """What a right file says of itself."""
    digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()[:16]
    return f"synthetic speech (espeak-ng); plan {plan}; samples {digest}"


def _kept(path: Path, plan: str) -> int | None:
    """Samples of a file that is there and right, or None."""
    if not path.is_file():
        return None
    try:
        with soundfile.SoundFile(path) as sound:
            samples = sound.read(dtype="int16")
            right = sound.samplerate == RATE and sound.comment == _comment(plan, samples)
    except (soundfile.SoundFileError, OSError):
        return None
    return len(samples) if right else None
