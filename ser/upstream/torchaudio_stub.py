"""Lets torchaudio import beside a CPU-only torch.

torchaudio has no CPU build on PyPI: its compiled extension wants CUDA's libraries and raises where
there are none, and then transformers, which imports torchaudio when it is installed, fails as well.
Without the extension torchaudio works in pure Python (resample, MFCC, Kaldi features). This module
is imported before anything that may import torchaudio; where the extension loads, it does nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import NoReturn

EXTENSION = "torchaudio._extension"


def import_torchaudio() -> types.ModuleType:
    """Import torchaudio, with a stub in place of its extension when the extension cannot load.

    Raises:
        ImportError: when torchaudio is not installed, or fails for another reason as well.
    """
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torchaudio":
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[EXTENSION] = _stub()
        return importlib.import_module("torchaudio")


def _stub() -> types.ModuleType:
    """An extension that says it is absent, with the names that torchaudio takes from it."""
    stub = types.ModuleType(
        EXTENSION, "Stands in for torchaudio's compiled extension, which cannot load here."
    )
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub._IS_ALIGN_AVAILABLE = False
    stub._check_cuda_version = lambda: None
    stub.fail_if_no_align = _fails_when_called
    return stub


def _fails_when_called(function: Callable) -> Callable:
    """Replace a function of the extension by one that says why it cannot run."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(f"{function.__name__} needs torchaudio's extension, which cannot load here")

    return fail


import_torchaudio()
