"""Hashes of weights, so that features can say what they were made with."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from ser.core.files import sha256


def hash_files(paths: Iterable[Path]) -> str | None:
    """SHA-256 of one file, or of the names and hashes of several; None of none.

    A file is read once a process, as long as its size and time do not change.
    """
    hashes = []
    for path in paths:
        status = os.stat(path)
        hashes.append((path.name, _hash_once(str(path), status.st_size, status.st_mtime_ns)))
    if len(hashes) <= 1:
        return hashes[0][1] if hashes else None
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in hashes).encode()).hexdigest()


@functools.lru_cache(maxsize=64)
def _hash_once(path: str, _size: int, _time: int) -> str:
    """SHA-256 of a file, remembered."""
    return sha256(path)


def hash_parameters(module: nn.Module) -> str | None:
    """SHA-256 of a module's parameters by name, for weights whose file is not known; None without any."""
    digest = hashlib.sha256()
    parameters = sorted(module.named_parameters())
    for name, parameter in parameters:
        value = parameter.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest() if parameters else None
