"""Logging to standard error, one line a message, and progress with the time left."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def setup(level: int = logging.INFO) -> None:
    """Send this package's messages to standard error as ``12:34:56 message``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger("ser")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; pass ``__name__``."""
    return logging.getLogger(name)


@contextlib.contextmanager
def log_to_file(path: str | os.PathLike[str], append: bool = False) -> Iterator[None]:
    """Write this package's messages to a file as well, anew or at its end, while the block runs."""
    handler = logging.FileHandler(path, mode="a" if append else "w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    root = logging.getLogger("ser")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Progress of a known amount of work, with the time left, one line every few seconds.

    The line starts with ``progress``, which is what the dispatchers of utils/ look for in a
    job's log when they show the state of all jobs.

    Args:
        total: the amount of work, in any unit (utterances, seconds of audio).
        label: what is being done.
        every: seconds between two lines.
    """

    def __init__(self, total: float, label: str, every: float = 2.0) -> None:
        self.total, self.label, self.every = total, label, every
        self.done = 0.0
        self.resumed = 0.0
        self.start = self.last = time.monotonic()

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did: done, but no measure of this run's speed."""
        self.done += amount
        self.resumed += amount

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Count work as done and, when it is time, say so."""
        self.done += amount
        now = time.monotonic()
        if now - self.last >= self.every or self.done >= self.total:
            self.last = now
            fresh = max(self.done - self.resumed, 1e-9)
            left = (self.total - self.done) * (now - self.start) / fresh
            share = 100 * self.done / max(self.total, 1e-9)
            note = f", {note}" if note else ""
            print(
                f"progress {self.label}: {share:.0f} %, {clock(now - self.start)} gone,"
                f" {clock(max(left, 0))} left{note}",
                file=sys.stderr,
                flush=True,
            )


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Iterate with a ``Progress`` that counts items."""
    state = Progress(total, label)
    for item in items:
        yield item
        state.advance()
