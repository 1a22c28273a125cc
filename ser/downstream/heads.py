"""From an utterance vector to class scores and attribute values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.downstream.config import ModelConfig
from ser.downstream.transformer import TransformerInterpreter

# Widths of the paper's interpreter.
INTERPRETER = (128, 32)


def make_head(config: ModelConfig, tokens: Sequence[int], outputs: int) -> nn.Module:
    """The head named in the configuration.

    ``linear`` and ``superb`` are affine, so they may be applied to frames and averaged, or to the
    average of frames: the result is the same (that is why training on pooled arks is exact).

    Args:
        config: names the head, its width and dropout.
        tokens: widths of the parts of the utterance vector; a Transformer reads each as a token.
        outputs: number of classes plus attributes.
    """
    inputs = sum(tokens)
    if config.head == "interpreter":
        return make_interpreter(INTERPRETER, config.dropout, inputs, outputs)
    if config.head == "transformer":
        return TransformerInterpreter(tokens, config.hidden, config.depth, config.dropout, outputs)
    if config.head == "linear":
        layers = [nn.Dropout(config.dropout), nn.Linear(inputs, outputs)]
    elif config.head == "superb":
        layers = [
            nn.Linear(inputs, config.hidden),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, outputs),
        ]
    else:
        layers = [
            nn.Dropout(config.dropout),
            nn.Linear(inputs, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, outputs),
        ]
    # All scores start at zero: no class preferred, every attribute at its mean. SUPERB's start at random, as
    # S3PRL's do: at its learning rate a start at zero is behind for thousands of steps.
    if config.head != "superb":
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)


def make_interpreter(
    hidden: Sequence[int],
    dropout: float,
    inputs: int,
    outputs: int,
    norm: str = "batch",
    input_dropout: float = 0.0,
    start: str = "zero",
    input_norm: str = "none",
) -> nn.Sequential:
    """The interpreter of PAPT: FC 128, ReLU, dropout, BatchNorm, FC 32, ReLU, dropout, BatchNorm, FC out.

    Source: Tran, Yin and Soleymani, Interspeech 2023, arXiv 2309.02418. Dropout and initial values are open
    there; the last layer starts at zero, as in the other heads. With ``layer``, and dropout before it, it is
    the head of the Odyssey 2024 baseline: dropout, FC 1024, LayerNorm, ReLU, dropout, FC out.

    Args:
        hidden: widths, ``(128, 32)`` in the paper.
        dropout: after each ReLU.
        inputs: size of the utterance vector.
        outputs: number of classes plus attributes.
        norm: ``batch``, ``layer`` (before the ReLU) or ``none``.
        input_dropout: of the utterance vector.
        start: of the last FC, ``zero`` or ``random``.
        input_norm: ``batch`` for a BatchNorm without weights before all else.
    """
    layers: list[nn.Module] = [nn.BatchNorm1d(inputs, affine=False)] if input_norm == "batch" else []
    layers += [nn.Dropout(input_dropout)] if input_dropout else []
    for width in hidden:
        layers.append(nn.Linear(inputs, width))
        layers += [nn.LayerNorm(width)] if norm == "layer" else []
        layers += [nn.ReLU(), nn.Dropout(dropout)]
        layers += [nn.BatchNorm1d(width)] if norm == "batch" else []
        inputs = width
    last = nn.Linear(inputs, outputs)
    if start == "zero":
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def has_batchnorm(head: nn.Module) -> bool:
    """Whether a head has statistics to settle."""
    return any(isinstance(module, nn.BatchNorm1d) for module in head.modules())


@torch.no_grad()
def settle_batchnorm(head: nn.Module, vectors: Tensor) -> None:
    """Give the BatchNorms of a head the statistics of ``vectors (N, D)``, as they are when it predicts.

    Running averages lag behind an encoder that moves, and start at mean 0 and variance 1, while time-means
    of an encoder vary by far less than 1 over utterances: on a small corpus they are wrong for epochs. So
    the statistics are taken anew with the weights as they are, without dropout (Wu and Johnson 2021,
    "Rethinking Batch in BatchNorm", call it PreciseBN).
    """
    head.eval()
    norms = [module for module in head.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    head(vectors)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
