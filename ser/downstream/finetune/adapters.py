"""Small trained parts in a frozen encoder, in every layer of any family: LoRA and bottleneck adapters.

    LoRA (Hu et al. 2022)          y = W x + (alpha / r) B A x              B = 0 at first
    bottleneck (Houlsby 2019)      h = h + U act(D LayerNorm(h))            U = 0 at first

So an encoder with untrained adapters gives what it gave before, bit for bit. LoRA is that of ``peft``; the
bottleneck's form is that of Suresh et al. (ICASSP 2024, arXiv 2406.14747). Behind which parts of a layer
theirs stands, how wide it is and its activation are open in what we know of the paper, and options here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from ser.core.errors import UserError
from ser.upstream.base import Upstream

Projection = Literal["query", "key", "value", "output"]
Place = Literal["attention", "feed_forward"]
# The modules of a layer by their names in HuBERT, WavLM, wav2vec2, data2vec and Whisper; in w2v-BERT.
PROJECTIONS = {
    "query": ("q_proj", "linear_q"), "key": ("k_proj", "linear_k"),
    "value": ("v_proj", "linear_v"), "output": ("out_proj", "linear_out"),
}  # fmt: skip
PLACES = {"attention": PROJECTIONS["output"], "feed_forward": ("feed_forward", "fc2", "ffn1", "ffn2")}
IN_LAYER = re.compile(r"(?:^|\.)encoder\.layers\.(\d+)\.(?:.+\.)?(\w+)$")
ADAPTER = re.compile(r"\.(lora_[AB]|lora_dropout|bottleneck)\.")
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass
class AdapterConfig:
    """Which adapters an encoder gets, in each of its layers.

    Args:
        kind: ``lora`` beside projections of self-attention, ``bottleneck`` behind its parts, or ``none``.
        projections: of LoRA.
        rank: of LoRA, r.
        alpha: of LoRA: what it adds is weighed by alpha / r.
        places: of the bottleneck: behind self-attention, behind the feed-forward part (w2v-BERT has two), or
            behind both (Houlsby et al. 2019), before the residual connection.
        width: of the bottleneck.
        activation: of the bottleneck.
        dropout: of LoRA's input, or behind the bottleneck's activation.
    """

    kind: Literal["none", "lora", "bottleneck"] = "none"
    projections: list[Projection] = field(default_factory=lambda: ["query", "key", "value", "output"])
    rank: int = 8
    alpha: float = 16.0
    places: list[Place] = field(default_factory=lambda: ["attention", "feed_forward"])
    width: int = 64
    activation: Literal["relu", "gelu"] = "gelu"
    dropout: float = 0.0

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            UserError: naming the option and its value.
        """
        for name in ("rank", "width"):
            if getattr(self, name) < 1:
                raise UserError(f"encoder.adapter.{name} must be at least 1", value=getattr(self, name))
        for name in ("projections", "places"):
            chosen = getattr(self, name)
            if not chosen or len(set(chosen)) < len(chosen):
                raise UserError(f"encoder.adapter.{name} must be names, each once", value=chosen)
        if not 0 < self.alpha < math.inf:
            raise UserError("encoder.adapter.alpha must be above 0", value=self.alpha)
        if not 0 <= self.dropout < 1:
            raise UserError("encoder.adapter.dropout must be at least 0 and less than 1", value=self.dropout)

    def describe(self) -> str:
        """For tables."""
        if self.kind == "lora":
            every = len(self.projections) == len(PROJECTIONS)
            return f"LoRA {self.rank}" + ("" if every else f" on {', '.join(self.projections)}")
        every = len(self.places) == len(PLACES)
        return f"adapters {self.width}" + ("" if every else f" behind {self.places[0].replace('_', '-')}")


class Bottleneck(nn.Module):
    """h + U act(D LayerNorm(h)), with U and its bias 0 at first.

    Args:
        dim: of h.
        width: of the bottleneck.
        activation: ``relu`` or ``gelu``.
        dropout: behind it.
    """

    def __init__(self, dim: int, width: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        self.activation, self.dropout = ACTIVATIONS[activation](), nn.Dropout(dropout)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h: Tensor) -> Tensor:
        """``(..., D)`` to ``(..., D)``."""
        return h + self.up(self.dropout(self.activation(self.down(self.norm(h)))))


def insert_adapters(upstream: Upstream, config: AdapterConfig) -> None:
    """Give every layer of an encoder its adapters, with random numbers of torch's generator.

    LoRA renames what it stands beside: ``q_proj.weight`` becomes ``q_proj.base_layer.weight``.

    Args:
        upstream: changed in place, on its device.
        config: which.

    Raises:
        UserError: when its layers have no such modules.
    """
    if config.kind == "none":
        return
    lora = config.kind == "lora"
    wanted, known = (config.projections, PROJECTIONS) if lora else (config.places, PLACES)
    targets = []
    for part in wanted:
        found = [name for name, _ in upstream.named_modules() if _part(name) in known[part]]
        if not found:
            raise UserError(
                f"the layers of {upstream.info.tag} have no {part.replace('_', '-')} module",
                value=f"encoder.adapter.kind: {config.kind}",
                hint="Use an encoder of the families of hf:<folder> or papt:<folder>",
            )  # fmt: skip
        targets += found
    if lora:
        _insert_lora(upstream, config, targets)
        return
    for name in targets:
        module = upstream.get_submodule(name)
        adapter = Bottleneck(upstream.info.dim, config.width, config.activation, config.dropout)
        module.add_module("bottleneck", adapter.to(upstream.device))
        module.register_forward_hook(_apply_bottleneck)


def _insert_lora(upstream: Upstream, config: AdapterConfig, targets: Sequence[str]) -> None:
    """LoRA beside the projections ``targets``."""
    # Not above: peft takes seconds to import, and only who asks for LoRA needs it.
    from ser.upstream import torchaudio_stub  # noqa: F401  (before peft, which imports torchaudio)

    from peft import LoraConfig, inject_adapter_in_model  # isort: skip

    options = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=list(targets)
    )
    inject_adapter_in_model(options, upstream)


def merge_lora(upstream: Upstream) -> None:
    """Add every LoRA to the weight beside it, W + (alpha / r) B A: the same but for rounding, and faster."""
    from ser.upstream import torchaudio_stub  # noqa: F401  (before peft, which imports torchaudio)

    from peft.tuners.tuners_utils import BaseTunerLayer  # isort: skip

    for module in upstream.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()


def adapter_names(names: Collection[str]) -> set[str]:
    """Those parameters or modules that belong to adapters."""
    return {name for name in names if ADAPTER.search(f"{name}.")}


def check_adapters(upstream: Upstream, depths: Mapping[str, int], last_layer: int) -> None:
    """See that the encoder runs its adapters: some compute with a module's weights and never call it.

    Args:
        upstream: with adapters.
        depths: of ``measure_depths``.
        last_layer: the last hidden state that is used.

    Raises:
        UserError: for adapters of a used layer on which no hidden state depends.
    """
    for name in sorted(adapter_names([name for name, _ in upstream.named_parameters()])):
        layer = IN_LAYER.search(name)
        if name not in depths and layer is not None and int(layer[1]) < last_layer:
            raise UserError(
                f"{upstream.info.tag} does not run its adapters: it never calls the module", value=name,
                hint="Load it as hf:<folder>",
            )  # fmt: skip


def _part(name: str) -> str | None:
    """What a module of a layer is called in it; None for any other module."""
    found = IN_LAYER.search(name)
    return found[2] if found else None


def _apply_bottleneck(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """What comes out of a module, through the adapter that stands behind it."""
    return module.bottleneck(output)
