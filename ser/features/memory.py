"""Memory of a long run: fast within a stretch of work, and the same after a thousand of them.

Tensors come and go by the hundred, of a new size with every batch. glibc maps and unmaps the large
ones, and clearing fresh pages costs HuBERT a tenth of its speed; kept instead, they leave gaps
that grow with the corpus, unless the gaps are given back now and then. oneDNN keeps its work for 1024
shapes of batch, which is hundreds of MB. Elsewhere than on glibc the calls do nothing.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEEP_EVERYTHING = 2**31 - 1
SECONDS_BETWEEN_RELEASES = 10.0


def reuse_memory() -> None:
    """Keep freed memory for the next batch, and little of oneDNN's work; to be called before any is done."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEEP_EVERYTHING)


class MemoryRelease:
    """Gives unused memory back to the system, at most once in ten seconds."""

    def __init__(self) -> None:
        self.trim = _glibc("malloc_trim")
        self.last = time.monotonic()

    def __call__(self) -> None:
        """Give back, if it is time."""
        if self.trim is not None and time.monotonic() - self.last > SECONDS_BETWEEN_RELEASES:
            self.trim(0)
            self.last = time.monotonic()


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc, or None under another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
