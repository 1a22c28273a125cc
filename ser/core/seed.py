"""Seeds: always set, always saved, and kept from libraries that reset them."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np


def derive_seed(seed: int, *names: object) -> int:
    """A seed for a part of the work that does not depend on what ran before it.

    >>> derive_seed(0, "split", 1) == derive_seed(0, "split", 1) != derive_seed(0, "split", 2)
    True
    """
    text = ":".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextlib.contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore the state of Python's, NumPy's and torch's CPU generators when the block ends.

    Building an ``S3PRLUpstream`` sets the seeds to 0; this keeps that from the caller.
    """
    import torch

    python, numpy, torch_cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_cpu)
