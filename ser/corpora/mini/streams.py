"""Random streams by name, so that one draw more in one place changes no draw in another."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str, index: int = 0) -> np.random.Generator:
    """The generator of one named purpose and one item of it (an utterance, a dialogue).

    The same ``(seed, name, index)`` gives the same draws whatever else is drawn, in whatever order,
    for however many items.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), index])
