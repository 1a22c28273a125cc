"""The neural memory once more, slowly: loops over tokens, written from the equations of Titans, and autograd.

For one dialogue, without padding and without anything of ``ser.memory`` but the parameters' values.
"""

from __future__ import annotations

import torch
from torch import Tensor

Layers = list[Tensor]


def recall(layers: Layers, key: Tensor) -> Tensor:
    """M(k) of one key ``(W,)``: SiLU and length 1 between the layers."""
    x = key @ layers[0]
    for layer in layers[1:]:
        x = x / (1 + torch.exp(-x))
        x = x / torch.sqrt((x * x).sum()).clamp_min(1e-3)
        x = x @ layer
    return x


def gradient(layers: Layers, key: Tensor, value: Tensor) -> Layers:
    """grad || M(k) - v ||^2."""
    difference = recall(layers, key) - value
    return list(torch.autograd.grad((difference * difference).sum(), layers, create_graph=True))


def write(
    memory: Layers,
    surprise: Layers,
    keys: Tensor,
    values: Tensor,
    rates: tuple[Tensor, Tensor, Tensor],
    chunk: int = 1,
) -> tuple[Layers, Layers]:
    """(M, S) after N tokens, chunk by chunk.

    S_t = eta_t S_{t-1} - theta_t g_t and M_t = (1 - alpha_t) M_{t-1} + S_t, with g_t at the memory before the
    chunk of token t, and the step divided among the chunk's tokens.
    """
    theta, eta, alpha = rates
    for t in range(len(keys)):
        begin = t - t % chunk
        if t == begin:
            first = [m if m.requires_grad else m.clone().requires_grad_() for m in memory]
            memory = first
        size = min(chunk, len(keys) - begin)
        found = gradient(first, keys[t], values[t])
        surprise = [eta[t] * s - theta[t] / size * g for s, g in zip(surprise, found, strict=True)]
        memory = [(1 - alpha[t]) * m + s for m, s in zip(memory, surprise, strict=True)]
    return memory, surprise


def projected(state: dict[str, Tensor], name: str, z: Tensor) -> Tensor:
    """SiLU of the causal depthwise convolution of z W, token by token: ``(N, W)``."""
    x = z @ state[f"{name}.linear.weight"].T
    kernel = state.get(f"{name}.convolution.weight")
    if kernel is not None:
        size = kernel.shape[-1]
        rows = []
        for t in range(len(x)):
            seen = [kernel[:, 0, size - 1 - back] * x[t - back] for back in range(min(size, t + 1))]
            rows.append(torch.stack(seen).sum(0))
        x = torch.stack(rows)
    return x / (1 + torch.exp(-x))


def of_length_one(x: Tensor) -> Tensor:
    """Rows divided by their lengths."""
    return x / torch.sqrt((x * x).sum(-1, keepdim=True))


def rates_of(state: dict[str, Tensor], z: Tensor, chunk: int, gates: str) -> tuple[Tensor, Tensor, Tensor]:
    """theta, eta and alpha of every token, ``(N,)`` each; 0 where the memory has no such gate."""
    if gates == "chunk":
        z = torch.cat([part.mean(0, keepdim=True).expand_as(part) for part in z.split(chunk)])
    found = []
    for name in ("step", "momentum", "forgetting"):
        if f"{name}.linear.weight" in state:
            score = z @ state[f"{name}.linear.weight"][0] + state[f"{name}.linear.bias"][0]
            found.append(1 / (1 + torch.exp(-score)))
        else:
            found.append(torch.zeros_like(z[:, 0]))
    return found[0], found[1], found[2]


def utterance(
    state: dict[str, Tensor], inside: Tensor, memory: Layers, surprise: Layers, chunk: int, gates: str
) -> tuple[Tensor, Layers, Layers]:
    """(r, M, S): read one utterance ``(N, W)`` at the memory before it, then write it."""
    z = torch.cat([state["persistent"], inside])
    queries = of_length_one(projected(state, "queries", z))[len(state["persistent"]) :]
    read = torch.stack([recall(memory, query) for query in queries])
    keys, values = of_length_one(projected(state, "keys", z)), projected(state, "values", z)
    memory, surprise = write(memory, surprise, keys, values, rates_of(state, z, chunk, gates), chunk)
    return read, memory, surprise
