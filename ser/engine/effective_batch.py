"""Losses that want the whole batch (1 - CCC, BatchNorm), for encoders that only a part of it fits into.

CCC is no mean of micro-batches' CCC, and BatchNorm's statistics are the batch's. So the encoder f runs by
micro-batch m, and everything after it once, on the effective batch of B utterances:

    v_m = f(x_m; theta)                  pooled vectors; the activations are thrown away
    V   = [v_1; ...; v_M]                (B, D), gathered from all processes
    L   = loss(head(V; phi), y)          once, in every process alike
    dL/dtheta = sum_m (dv_m/dtheta)^T dL/dv_m        f(x_m) is replayed for it, with the same random numbers

Memory is that of one micro-batch, and gradients are those of one big batch. The replay is torch's own
(``torch.utils.checkpoint``); the last micro-batch keeps its activations, since it is the first to need them,
and one that holds all utterances is therefore never replayed. Where memory allows, the last few keep theirs:
what is kept is used up before anything is replayed, so memory is the larger of the kept ones' and of one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the encoder at once.

    Args:
        rows: places of its n utterances in the effective batch, ``(n,)``.
        inputs: what the encoder takes.
        seed: of what is random in the encoder. It belongs to the micro-batch, not to the process that
            runs it, so that a replay and any number of processes draw the same numbers.
    """

    rows: Tensor
    inputs: Any
    seed: int


def gather_vectors(
    encode: Callable[[Any], Tensor],
    mine: Sequence[MicroBatch],
    size: int,
    dim: int,
    accelerator: Accelerator,
    kept: int = 1,
) -> Tensor:
    """The pooled vectors V ``(B, D)`` of an effective batch, in its order, the same in every process.

    Gradients flow back into the rows that this process has encoded; the others are constants here, and
    variables in another process.

    Args:
        encode: inputs of a micro-batch to pooled vectors ``(n, D)``; it must not change the encoder
            (statistics of a BatchNorm inside it), since it may run twice.
        mine: this process's micro-batches; all processes' together hold every row once.
        size: B.
        dim: D.
        accelerator: knows the other processes.
        kept: so many of the last micro-batches keep their activations and are not replayed.
    """

    def run(micro: MicroBatch) -> Tensor:
        with random_numbers(micro.seed):
            return encode(micro.inputs).float()

    parts = [
        run(micro)
        if number >= len(mine) - kept or not torch.is_grad_enabled()
        else checkpoint(run, micro, use_reentrant=False, preserve_rng_state=False)
        for number, micro in enumerate(mine)
    ]
    device = accelerator.device
    own = torch.cat(parts) if parts else torch.zeros(0, dim, device=device)
    rows = torch.cat([micro.rows for micro in mine]) if mine else torch.zeros(0, dtype=torch.int64)
    return gather_rows(own, rows.to(device), size, accelerator)


def gather_rows(own: Tensor, rows: Tensor, size: int, accelerator: Accelerator) -> Tensor:
    """All processes' rows ``(B, D)``, the same in every process; gradients flow back into this one's.

    Args:
        own: this process's n rows, ``(n, D)``.
        rows: their places, ``(n,)``; all processes' together are 0 to B - 1, each once.
        size: B.
        accelerator: knows the other processes.
    """
    found = own.new_zeros(size, own.shape[1])
    if accelerator.num_processes > 1:
        found = _from_all(found.detach(), rows, own.detach(), accelerator)
    return found.index_copy(0, rows, own)


def backward(loss: Tensor, encoder: Sequence[nn.Parameter], accelerator: Accelerator) -> None:
    """Gradients of a loss of :func:`gather_vectors`, replaying the encoder micro-batch by micro-batch.

    A process holds its own rows' share of the encoder's gradients, so these are summed. The head saw all
    rows in every process: its gradients are whole already, and summing would count them twice.

    Args:
        loss: a scalar.
        encoder: the encoder's trained parameters; those of the head are left alone.
        accelerator: scales the loss where float16 wants it, and sums.
    """
    accelerator.backward(loss)
    if accelerator.num_processes > 1:
        for parameter in encoder:
            # A process without a micro-batch has no gradient, and must take part all the same.
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(own, reduction="sum")


@contextmanager
def random_numbers(seed: int) -> Iterator[None]:
    """Random numbers of their own for a block: generators of the CPU and of this GPU, put back afterwards."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def _from_all(vectors: Tensor, rows: Tensor, own: Tensor, accelerator: Accelerator) -> Tensor:
    """``vectors (B, D)`` with the rows of all processes; processes may have different numbers of them."""
    padded_rows = accelerator.pad_across_processes(rows, dim=0, pad_index=-1)
    padded_own = accelerator.pad_across_processes(own, dim=0)
    all_rows, all_vectors = accelerator.gather(padded_rows), accelerator.gather(padded_own)
    known = all_rows >= 0
    return vectors.index_copy(0, all_rows[known], all_vectors[known])
