"""espeak-ng through ctypes: SSML in, samples out, the same bytes for the same words every time.

The library is the one in the wheel ``espeakng-loader`` (GPL-3.0-or-later: an extra of this package,
never a dependency). It carries state from one utterance into the next that no call of its interface
resets (a glottal pulse under way, noise, flutter), so that what it says depends on what it said before.
Here every utterance is spoken by a child forked from a process whose copy of the library has never
spoken: a fork takes some milliseconds, and order, resumption and the number of jobs change nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ser.core.errors import UserError

RATE = 22050  # Hz, of what the library returns
HINT = "Install it with: pip install espeakng-loader (tools/install.sh does, for the recipe egs/mini)"

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_CHARS_UTF8, _SSML, _POSITION_CHARACTER = 0x01, 0x10, 1
_VOLUME = 2
# Of 100, the default: at 100 some voices clip.
_SAFE_VOLUME = 50
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(voice: str, ssml: str) -> np.ndarray:
    """Say an SSML document.

    Args:
        voice: a voice of espeak-ng with its variant, such as ``en-us+f2``.
        ssml: the document, ``<speak>...</speak>``.

    Returns:
        int16 of shape ``(T,)`` at ``RATE`` Hz.

    Raises:
        UserError: when espeakng-loader is not installed or does not load, or has no such voice.
    """
    library = _library()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _in_child(reading, writing, lambda: _synthesise(library, voice, ssml))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or not data:
        what = f"signal {-status}" if status < 0 else f"exit code {status}"
        raise UserError(f"espeak-ng could not speak ({what}) with the voice", value=voice)
    return np.frombuffer(data, "<i2")


def version() -> str:
    """The library's version, such as ``1.52.0``.

    Raises:
        UserError: as ``speak``.
    """
    info = _library().espeak_Info
    info.restype = ctypes.c_char_p
    return info(None).decode()


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """The library, ready to speak; it must never speak in this process."""
    try:
        import espeakng_loader
    except ImportError:
        raise UserError("espeak-ng, which makes the speech, is not installed", hint=HINT) from None
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = espeakng_loader.get_data_path().encode()
        if library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, folder, _DONT_EXIT) != RATE:
            raise UserError("espeak-ng does not find its voices", file=folder.decode(), hint=HINT)
    except OSError as error:
        raise UserError("espeak-ng does not load", value=error, hint=HINT) from None
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    return library


def _in_child(reading: int, writing: int, work: Callable[[], bytes]) -> Any:
    """Write what ``work`` returns into the pipe and end this process, whatever happens."""
    code = 1
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(reading)
        with os.fdopen(writing, "wb") as stream:
            stream.write(work())
        code = 0
    finally:
        os._exit(code)


def _synthesise(library: ctypes.CDLL, voice: str, ssml: str) -> bytes:
    """The samples, as little-endian int16."""
    pieces: list[bytes] = []

    @_CALLBACK
    def collect(samples: Any, count: int, events: int) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    # Initialisation seeds the library's own generator with the time of day; C's may have been used.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    ctypes.CDLL(None).srand(1)
    library.espeak_SetSynthCallback(collect)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(voice)
    library.espeak_SetParameter(_VOLUME, _SAFE_VOLUME, 0)
    text = ssml.encode()
    flags = _CHARS_UTF8 | _SSML
    if library.espeak_Synth(text, len(text) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None) != 0:
        raise RuntimeError("espeak_Synth")
    return b"".join(pieces)
