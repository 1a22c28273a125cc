"""An encoder with speakers in it, as a module: what pre-training trains and the upstream runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ser.core.errors import UserError
from ser.upstream.convolution import convolve
from ser.upstream.speaker import Fusion, SpeakerNetwork, fuse
from ser.upstream.wav2vec2 import project

FAMILIES = ("hubert", "wavlm", "wav2vec2")
# Off in pre-training and in use: SpecAugment, layer drop, dropout, and the modules after the encoder.
SWITCHED_OFF = {
    "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "apply_spec_augment": False, "layerdrop": 0.0,
    "hidden_dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0,
    "final_dropout": 0.0, "feat_quantizer_dropout": 0.0, "add_adapter": False,
}  # fmt: skip


class PersonalisedEncoder(nn.Module):
    """A wav2vec2-shaped encoder E and a speaker embedding network S, exact in padded batches.

    Args:
        model: transformers' ``HubertModel``, ``WavLMModel`` or ``Wav2Vec2Model``.
        fusion: where speakers enter.
        speakers: number of training speakers.
        width: of the speaker table.
    """

    def __init__(self, model: nn.Module, fusion: Fusion, speakers: int, width: int) -> None:
        super().__init__()
        self.model, self.fusion = model, fusion
        self.speaker = None if fusion == "none" else SpeakerNetwork(speakers, width, model.config.hidden_size)

    @property
    def num_layers(self) -> int:
        """Layers of the Transformer."""
        return len(self.model.encoder.layers)

    def convolve(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms ``(B, T)``, normalised where that is wanted, to ``(B, F, C)`` and frames ``(B,)``."""
        return convolve(self.model.feature_extractor.conv_layers, wave, lengths)

    def project(self, features: Tensor, frames: Tensor) -> Tensor:
        """Features ``(B, F, C)`` to the Transformer's input ``(B, F, D)``."""
        return project(self.model, features, frames)

    def transform(
        self, x: Tensor, frames: Tensor, speaker: Tensor | None, last_layer: int | None = None
    ) -> list[Tensor]:
        """The Transformer on ``x (B, F, D)`` with speaker vectors ``(B, D)`` or None; see :func:`fuse`."""
        last = self.num_layers if last_layer is None else last_layer
        return fuse(self.model, x, frames, speaker, self.fusion, last)


def build_model(family: str, architecture: dict[str, Any]) -> nn.Module:
    """A model with random weights, in evaluation mode: nothing in it is random when it runs.

    Args:
        family: ``hubert``, ``wavlm`` or ``wav2vec2``.
        architecture: fields of transformers' configuration; what :data:`SWITCHED_OFF` names is set to that.

    Raises:
        UserError: another family.
    """
    from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)

    import transformers  # isort: skip

    if family not in FAMILIES:
        raise UserError(
            f"an encoder of the family '{family}' cannot be pre-trained here", hint=f"Known are {FAMILIES}"
        )
    name = {"hubert": "Hubert", "wavlm": "WavLM", "wav2vec2": "Wav2Vec2"}[family]
    config = getattr(transformers, f"{name}Config").from_dict(architecture | SWITCHED_OFF)
    return getattr(transformers, f"{name}Model")(config).eval()
