"""LoRA in the decoder layers of a frozen language model, by ``peft``: untrained, it changes no bit."""

from __future__ import annotations

from torch import nn

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm_config import LoraOptions


def insert_lora(decoder: nn.Module, options: LoraOptions) -> None:
    """Give the linear modules of every decoder layer their LoRA, float32, with torch's random numbers.

    Args:
        decoder: with ``layers``; changed in place.
        options: rank 0 changes nothing.

    Raises:
        UserError: when the layers have no module of a name.
    """
    if options.rank == 0:
        return
    # Not above: peft takes seconds to import, and only who asks for LoRA needs it.
    from ser.upstream import torchaudio_stub  # noqa: F401  (before peft, which imports torchaudio)

    from peft import LoraConfig, inject_adapter_in_model  # isort: skip

    linear = [name for name, part in decoder.layers.named_modules() if isinstance(part, nn.Linear)]
    for target in options.targets:
        if not any(name.endswith(f".{target}") for name in linear):
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise UserError(
                "the decoder layers have no such linear module: language_model.lora.targets", value=target,
                hint=f"Known are: {', '.join(known)}",
            )  # fmt: skip
    chosen = [f"layers.{name}" for name in linear if name.rpartition(".")[2] in options.targets]
    inject_adapter_in_model(
        LoraConfig(
            r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=chosen
        ),
        decoder,
    )  # fmt: skip
    for name, part in decoder.named_modules():
        # peft takes the precision of the weight beside it; small steps would be lost in bf16.
        if name.rpartition(".")[2] in ("lora_A", "lora_B"):
            part.float().requires_grad_(True)


def lora_dropouts(decoder: nn.Module) -> list[nn.Module]:
    """The only modules of a host that know training from inference."""
    return [part for name, part in decoder.named_modules() if ".lora_dropout." in name]
