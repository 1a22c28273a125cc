"""Rows of different lengths as one tensor, with their lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def pad(rows: Sequence[np.ndarray], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Rows ``(T_i,)`` as ``(B, T)``, zero beyond their ends, and their lengths ``(B,)``."""
    lengths = torch.tensor([len(row) for row in rows])
    out = torch.zeros(len(rows), int(lengths.max()), dtype=dtype)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = torch.from_numpy(np.ascontiguousarray(row))
    return out, lengths
