"""The most memory that a training has held."""

from __future__ import annotations

import resource
import sys

import torch


def start_peak(device: torch.device) -> None:
    """Forget the GPU memory of what ran before; a process on a CPU remembers all its life."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """MiB: of the GPU's tensors since ``start_peak``, or of the whole process, libraries too, on a CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
