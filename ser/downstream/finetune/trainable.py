"""Which parameters of an encoder are trained, and how deep each of them lies.

Depth is measured, not read off names: a parameter lies at l when hidden state l is the first that depends on
it. So position embeddings and projections are at 0 (the input of layer 1), layer k at k, a closing norm at L;
and what no hidden state depends on (a mask embedding, layers above the one that is used) is not trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn

from ser.core.errors import UserError
from ser.downstream.finetune.adapters import adapter_names
from ser.downstream.finetune.config import OptimizerConfig
from ser.downstream.finetune.unfreezing import UnfreezeConfig
from ser.upstream.base import Upstream

# Convolutional front ends: of HuBERT, WavLM and wav2vec2, wherever they stand; of Whisper.
CNN = re.compile(r"(^|\.)feature_extractor\.|^encoder\.conv[12]\.")
# The speaker network of ser.upstream.papt, and Whisper's sinusoids, which are no parameters to learn.
SPEAKERS = re.compile(r"^encoder\.speaker\.")
FIXED = re.compile(r"^encoder\.embed_positions\.")
PROBE_SECONDS = 0.5


def measure_depths(upstream: Upstream, last_layer: int, speakers: Sequence[str]) -> dict[str, int]:
    """Parameter -> the first hidden state that depends on it, of those that some state depends on.

    Args:
        upstream: any; which of its parameters want gradients is changed.
        last_layer: the last hidden state that is used.
        speakers: one speaker, for encoders that are personalised.

    Raises:
        UserError: when no hidden state gives a gradient.
    """
    left = dict(upstream.requires_grad_(True).named_parameters())
    rate, device = upstream.info.sample_rate, upstream.device
    samples = max(upstream.min_samples, int(PROBE_SECONDS * rate))
    noise = 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    depths: dict[str, int] = {}
    with torch.enable_grad():
        lengths = torch.tensor([samples], device=device)
        vectors = upstream.vectors_of(speakers)
        states = upstream(noise.to(device), lengths, vectors, last_layer=last_layer).layers
        for depth, state in enumerate(states):
            if not left or not state.requires_grad:
                continue
            found = torch.autograd.grad(
                state.sum(), list(left.values()), retain_graph=True, allow_unused=True
            )
            reached = [name for name, value in zip(left, found, strict=True) if value is not None]
            depths |= dict.fromkeys(reached, depth)
            left = {name: parameter for name, parameter in left.items() if name not in depths}
    upstream.requires_grad_(False)
    if not depths:
        raise UserError(
            f"{upstream.info.tag} has nothing that can be fine-tuned", value=upstream.info.name,
            hint="Choose an encoder (hf:<folder>, papt:<folder>), or use 'ser train' on its features",
        )  # fmt: skip
    return depths


def choose(depths: dict[str, int], trainable: str, last_layer: int, speakers: bool) -> dict[str, int]:
    """The parameters that are trained, with their depths; adapters always are.

    Not every layer's adapters lie in ``top:<n>``: that is of the encoder's own weights.

    Args:
        depths: of ``measure_depths``.
        trainable: ``all``, ``no_cnn``, ``top:<n>`` or ``none``.
        last_layer: L, the deepest.
        speakers: whether a speaker network is trained.

    Raises:
        UserError: when there are fewer than n layers.
    """
    adapters = adapter_names(depths)
    if adapters:
        own = {name: depth for name, depth in depths.items() if name not in adapters}
        chosen = choose(own, trainable, last_layer, speakers)
        return chosen | {name: depths[name] for name in depths if name in adapters}
    kept = {name: depth for name, depth in depths.items() if not FIXED.search(name)}
    if not speakers:
        kept = {name: depth for name, depth in kept.items() if not SPEAKERS.search(name)}
    if trainable == "all":
        return kept
    if trainable == "none":
        return {}
    kept = {name: depth for name, depth in kept.items() if not CNN.search(name)}
    if trainable == "no_cnn":
        return kept
    count = int(trainable.removeprefix("top:"))
    if count > last_layer:
        raise UserError(
            f"the encoder has {last_layer} layers up to the one that is used", value=f"top:{count}",
            hint="Use encoder.trainable: no_cnn",
        )  # fmt: skip
    return {name: depth for name, depth in kept.items() if depth > last_layer - count}


def parameter_groups(
    upstream: Upstream,
    chosen: dict[str, int],
    last_layer: int,
    others: nn.Module,
    options: OptimizerConfig,
    unfreeze: UnfreezeConfig | None = None,
) -> list[dict]:
    """Optimiser groups, each with its ``peak_lr``: lr * decay^(L - l) at depth l, ``head_lr`` for the rest.

    ``begins`` is the number of units after which a group is trained.

    Args:
        upstream: the encoder.
        chosen: of ``choose``.
        last_layer: L.
        others: the modules with ``head_lr``.
        options: rates and decay.
        unfreeze: when the encoder begins to learn; None for at once.
    """
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    phases = unfreeze or UnfreezeConfig()

    def add(parameter: nn.Parameter, lr: float, begins: int = 0) -> None:
        decay = options.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((lr, decay, begins), []).append(parameter)

    for name, parameter in upstream.named_parameters():
        if name in chosen:
            lr = options.lr * options.layer_decay ** (last_layer - chosen[name])
            add(parameter, lr, phases.begins(chosen[name], last_layer))
    for parameter in others.parameters():
        add(parameter, options.head_lr)
    return [
        {"params": parameters, "lr": lr, "peak_lr": lr, "weight_decay": decay, "begins": begins}
        for (lr, decay, begins), parameters in groups.items()
    ]


def schedule(step: int, steps: int, warmup: float, shape: str) -> float:
    """The share of the peak learning rate at a step: up linearly, then down to 0 linearly, or constant.

    Args:
        step: from 0.
        steps: of the whole training.
        warmup: share of the steps on the way up.
        shape: ``linear`` or ``constant``.

    >>> [schedule(step, 6, 0.5, "linear") for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    rising = int(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 1.0 if shape == "constant" else (steps - step) / (steps - rising)


def set_rates(
    groups: list[dict],
    step: int,
    epoch_steps: int,
    epochs: int,
    unfreeze: UnfreezeConfig,
    options: OptimizerConfig,
) -> None:
    """Learning rates of a step, and which parameters it trains at all.

    What begins late has a warm-up of its own, since Adam knows nothing of its gradients yet, and falls to 0
    with the others.

    Args:
        groups: of ``parameter_groups``; ``begins`` says after how many units a group learns.
        step: from 0.
        epoch_steps: steps of an epoch.
        epochs: of the whole training.
        unfreeze: the unit.
        options: warm-up and schedule.
    """
    steps = epoch_steps * epochs
    for group in groups:
        start = unfreeze.steps(group["begins"], epoch_steps)
        learns = step >= start
        share = schedule(step - start, steps - start, options.warmup, options.schedule) if learns else 0.0
        group["lr"] = share * group["peak_lr"]
        for parameter in group["params"]:
            _set_trained(parameter, learns)


def _set_trained(parameter: nn.Parameter, learns: bool) -> None:
    """Whether a parameter gets gradients; without one the optimiser leaves it, and its moments, alone."""
    if parameter.requires_grad != learns:
        parameter.requires_grad_(learns)
        parameter.grad = None
