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
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.core.files import remove_leftovers, whole_file
from ser.core.log import Progress
from ser.corpora.mini import espeak, voice
from ser.corpora.mini.design import Utterance

# Raised with every change of voice.py that changes samples.
VERSION = 1


def audio_path(folder: Path, utterance: Utterance) -> Path:
    """``<folder>/<speaker>/<utterance>.wav``."""
    return folder / utterance.speaker.name / f"{utterance.name}.wav"


def make_audio(utterances: Sequence[Utterance], folder: Path, jobs: int) -> dict[str, int]:
    """Make the files that are missing or not right.

    Args:
        utterances: what to say.
        folder: where the files go, a folder a speaker.
        jobs: processes; their number changes nothing but the time.

    Returns:
        utterance -> samples at 16 kHz.

    Raises:
        UserError: as ``espeak.speak``, or when a process died; what is done stays, and is kept next time.
    """
    engine = espeak.version()
    for speaker in {utterance.speaker.name for utterance in utterances}:
        remove_leftovers(folder / speaker)
    lengths: dict[str, int] = {}
    missing = []
    for utterance in utterances:
        length = _kept(audio_path(folder, utterance), plan_of(utterance, engine))
        if length is None:
            missing.append(utterance)
        else:
            lengths[utterance.name] = length
    progress = Progress(len(utterances), "speech synthesis")
    progress.skip(len(lengths))
    tasks = [(utterance, audio_path(folder, utterance), engine) for utterance in missing]
    # fork, since a child of each process speaks: it is what espeak.speak needs in any case.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max(1, min(jobs, len(missing))), context, _ignore_interrupt) as pool:
        try:
            for name, length in pool.map(_make, tasks, chunksize=4):
                lengths[name] = length
                progress.advance()
        except BrokenProcessPool:
            hint = "Run the command again: what is done is kept"
            raise UserError("a process of the speech synthesis was killed", hint=hint) from None
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return lengths


def plan_of(utterance: Utterance, engine: str) -> str:
    """A fingerprint of all that decides an utterance's samples."""
    plan = [VERSION, engine, utterance.speaker.voice, utterance.sentence.text, asdict(utterance.delivery)]
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]


def write_wav(path: Path, samples: np.ndarray, plan: str) -> None:
    """Write int16 ``(T,)`` at 16 kHz, with its plan and the hash of its samples as comment."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", voice.RATE, 1, "PCM_16", format="WAV") as sound:
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
            right = sound.samplerate == voice.RATE and sound.comment == _comment(plan, samples)
    except (soundfile.SoundFileError, OSError):
        return None
    return len(samples) if right else None


def _make(task: tuple[Utterance, Path, str]) -> tuple[str, int]:
    """Render and write one utterance; its name and its samples."""
    utterance, path, engine = task
    samples = voice.render(utterance.speaker.voice, utterance.sentence.text, utterance.delivery)
    write_wav(path, samples, plan_of(utterance, engine))
    return utterance.name, len(samples)


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which ends the pool; a worker also ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
