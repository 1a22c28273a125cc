"""The sound of video clips, as 16 kHz mono wav files, by ffmpeg: several at once, and resumable.

ffmpeg mixes the channels down with its standard matrix and resamples; nothing is cut or levelled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from ser.core.errors import UserError
from ser.core.files import remove_leftovers, whole_file
from ser.core.log import Progress

RATE = 16000  # Hz


@dataclass
class Outcome:
    """What came of a conversion.

    Attributes:
        broken: clip -> why it has no sound that can be decoded; it has no wav file.
        doubtful: clip -> what ffmpeg complained of while it decoded; its wav file holds what came out.
        kept: how many were up to date.
    """

    broken: dict[Path, str] = field(default_factory=dict)
    doubtful: dict[Path, str] = field(default_factory=dict)
    kept: int = 0


def find() -> str:
    """The program ffmpeg: of the PATH, else of the package imageio-ffmpeg (the extra ``ffmpeg``).

    Raises:
        UserError: when there is none, with what to do.
    """
    if program := shutil.which("ffmpeg"):
        return program
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        hint = "Install it (apt install ffmpeg), or a static build of it: tools/install.sh --extras ffmpeg"
        raise UserError("video clips need ffmpeg, which is not on the PATH", hint=hint) from None


def extract_audio(clips: Mapping[Path, Path], nj: int = 1) -> Outcome:
    """Write the sound of every clip as a 16-bit wav file, 16 kHz, mono.

    A wav file is written whole or not at all, with its clip's time of modification: one that
    has it is up to date and kept. Where ffmpeg complains it gets none (1970), and the clip is decoded
    anew each time, so that the complaint is heard each time.

    Args:
        clips: wav file -> the clip it is made from.
        nj: clips decoded at once.

    Raises:
        UserError: when ffmpeg is needed and not there, or a wav file cannot be written.
    """
    outcome, progress = Outcome(), Progress(len(clips), "sound of clips")
    for folder in {wav.parent for wav in clips}:
        remove_leftovers(folder)
    todo = {wav: clip for wav, clip in clips.items() if not _up_to_date(wav, clip)}
    outcome.kept = len(clips) - len(todo)
    progress.skip(outcome.kept)
    if not todo:
        return outcome
    program = find()
    with ThreadPoolExecutor(max(1, nj)) as pool:
        try:
            results = pool.map(lambda item: _convert(program, *item), todo.items())
            for clip, (whole, complaint) in zip(todo.values(), results, strict=True):
                if complaint:
                    (outcome.doubtful if whole else outcome.broken)[clip] = complaint
                progress.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return outcome


def _up_to_date(wav: Path, clip: Path) -> bool:
    """Whether a wav file was made from the clip as it is now."""
    try:
        return int(wav.stat().st_mtime) == int(clip.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _convert(program: str, wav: Path, clip: Path) -> tuple[bool, str]:
    """Write a wav file; return whether there was any sound, and what ffmpeg complained of."""
    command = [program, "-nostdin", "-v", "error", "-threads", "1", "-protocol_whitelist", "file,pipe"]
    command += ["-i", f"file:{clip.resolve()}", "-vn", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "pipe:1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    samples = np.frombuffer(done.stdout, dtype="<i2", count=len(done.stdout) // 2)
    complaint = _in_short(done.stderr.decode(errors="replace"), clip)
    if done.returncode or not len(samples):
        wav.unlink(missing_ok=True)
        return False, complaint or "no sound"
    try:
        with whole_file(wav, "wb") as stream:
            soundfile.write(stream, samples, RATE, format="WAV", subtype="PCM_16")
        status = clip.stat()
        os.utime(wav, ns=(status.st_atime_ns, 0 if complaint else status.st_mtime_ns))
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", file=wav) from None
    return True, complaint


def _in_short(complaints: str, clip: Path) -> str:
    """ffmpeg's first complaint, without addresses in memory and the clip's path."""
    for line in complaints.splitlines():
        words = line.split("] ", 1)[-1].replace(f"file:{clip.resolve()}", "").strip(" :")
        if words:
            return words
    return ""
