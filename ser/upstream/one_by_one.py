"""Any other audio encoder of transformers, one utterance at a time, as transformers has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.core.errors import UserError
from ser.upstream.base import Upstream, UpstreamInfo
from ser.upstream.model_folder import hub_errors, load_model, quiet_transformers

# Seconds of the two noises off which shapes and frame rate are read.
SHORT, LONG = 1, 2


class OneByOneUpstream(Upstream):
    """An encoder that never sees two utterances at once, so that no padding can reach a frame.

    Args:
        model: gives ``hidden_states`` from the features of ``extractor``.
        info: what it is.
        extractor: its feature extractor.
    """

    min_samples = 800

    def __init__(self, model: nn.Module, info: UpstreamInfo, extractor: Any) -> None:
        super().__init__()
        self.model, self.info, self.extractor = model, info, extractor

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        rows = [
            hidden_states(self.model, self.extractor, row[:length], self.info.sample_rate)[: last_layer + 1]
            for row, length in zip(wave, lengths.tolist(), strict=True)
        ]
        return stack_rows(rows, wave.device)


def load_one_by_one(
    where: str, family: str, rate: int, info: Callable[..., UpstreamInfo]
) -> OneByOneUpstream:
    """Load with ``AutoModel``; layers, width and frame rate are read off two noises.

    Args:
        where: folder or hub name.
        family: its ``model_type``.
        rate: sampling rate, in Hz.
        info: makes the info from model, samples a frame, layers, width and batching.

    Raises:
        UserError: no audio encoder, or one whose frames do not follow the audio.
    """
    import transformers

    model = load_model(transformers.AutoModel, where)
    if getattr(model, "main_input_name", "") not in ("input_values", "input_features"):
        raise UserError("not an audio encoder", file=where, value=family)
    with quiet_transformers(), hub_errors(where):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(where)
    noise = torch.randn(LONG * rate, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            short, long = (hidden_states(model, extractor, noise[: n * rate], rate) for n in (SHORT, LONG))
    except Exception as error:  # an architecture of which nothing is known may raise anything
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise UserError(f"{family} cannot be used as an encoder", file=where, value=reason) from None
    # A second more of audio gives a second's frames more, whatever is lost at the edges.
    frames = long[0].shape[1] - short[0].shape[1]
    if frames <= 0 or len({state.shape for state in long}) > 1:
        raise UserError(f"{family} cannot be used: its frames do not follow the audio", file=where)
    about = info(model, (LONG - SHORT) * rate / frames, len(long) - 1, long[0].shape[2], "one by one")
    return OneByOneUpstream(model, about, extractor)


def hidden_states(model: nn.Module, extractor: Any, wave: Tensor, rate: int) -> list[Tensor]:
    """Hidden states ``(1, F, D)`` of one utterance ``(T,)``."""
    inputs = extractor(wave.cpu().numpy(), sampling_rate=rate, return_tensors="pt")
    features = inputs[model.main_input_name].to(wave.device)
    return list(model(features, output_hidden_states=True).hidden_states)


def stack_rows(rows: list[list[Tensor]], device: torch.device) -> tuple[list[Tensor], Tensor]:
    """Hidden states ``(1, F_i, D)`` of single utterances as layers ``(B, F, D)`` and frames ``(B,)``."""
    layers = [
        pad_sequence([state[0] for state in states], batch_first=True) for states in zip(*rows, strict=True)
    ]
    return layers, torch.tensor([row[0].shape[1] for row in rows], device=device)
