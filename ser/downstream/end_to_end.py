"""The end-to-end model: an encoder that is trained, the time-mean of its frames, the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.finetune_config import EncoderConfig, InterpreterConfig, OptimizerConfig
from ser.downstream.heads import make_interpreter
from ser.downstream.layers import LayerWeights, SingleLayer
from ser.downstream.pooling import masked_mean
from ser.downstream.trainable import choose, measure_depths, parameter_groups
from ser.upstream.base import Upstream
from ser.upstream.replay import checkpointed_layers


class Waves(NamedTuple):
    """Audio of n utterances.

    Args:
        wave: ``(n, T)``, zero beyond ``lengths``.
        lengths: ``(n,)`` samples.
        speakers: ``n`` names.
    """

    wave: Tensor
    lengths: Tensor
    speakers: tuple[str, ...]


class EndToEnd(nn.Module):
    """Predicts classes and attributes of an utterance from its audio.

        f^p = encoder(u, e_i)            frames (B, F, D) of the chosen layer, e_i where it is personalised
        v   = mean over time of f^p      (B, D), the vectors of emb.scp
        y   = interpreter(v)             (B, K + A)

    The encoder stays in evaluation mode (see ``Upstream``), so that an utterance has the same frames alone
    and in any batch, while training as well; only its dropout can be switched on.

    Args:
        upstream: the encoder, on its device; which of its parameters want gradients is decided here.
        encoder: what of it is trained.
        interpreter: the head.
        outputs: K + A, number of classes plus attributes.
        speakers: one speaker whom a personalised encoder knows.

    Raises:
        UserError: for an upstream that cannot be trained, or not as ``encoder`` says.
    """

    def __init__(
        self,
        upstream: Upstream,
        encoder: EncoderConfig,
        interpreter: InterpreterConfig,
        outputs: int,
        speakers: Sequence[str],
    ) -> None:
        super().__init__()
        info, self.config = upstream.info, encoder
        self.layers = (
            LayerWeights(info.num_layers)
            if encoder.layer == "weighted"
            else SingleLayer(info.num_layers, encoder.layer)
        )
        self.last_layer = info.num_layers - 1 if encoder.layer == "weighted" else self.layers.layer
        self.head = make_interpreter(interpreter.hidden, interpreter.dropout, info.dim, outputs)
        self.upstream = upstream
        depths = measure_depths(upstream, self.last_layer, speakers[:1])
        self.chosen = choose(depths, encoder.trainable, self.last_layer, encoder.speakers)
        for name, parameter in upstream.named_parameters():
            parameter.requires_grad_(name in self.chosen)
        self._dropouts = [m for m in upstream.modules() if isinstance(m, nn.Dropout)]
        if encoder.dropout and not self._dropouts:
            raise UserError(f"{info.tag} has no dropout to switch on", value=encoder.dropout,
                            hint="Use encoder.dropout: 0")  # fmt: skip
        for module in self._dropouts:
            module.p = encoder.dropout
        self.to(upstream.device)

    def embed(self, waves: Waves) -> Tensor:
        """The utterance vectors v ``(n, D)``."""
        device = self.upstream.device
        with checkpointed_layers(self.config.checkpointing and self.training):
            states = self.upstream(
                waves.wave.to(device),
                waves.lengths.to(device),
                self.upstream.vectors_of(waves.speakers),
                last_layer=self.last_layer,
            )
        if isinstance(self.layers, SingleLayer):
            return masked_mean(states.layers[-1], states.lengths)
        # The mean of the merged frames is the merged means: both are affine.
        return self.layers(torch.stack([masked_mean(x, states.lengths) for x in states.layers], dim=1))

    def forward(self, waves: Waves) -> Tensor:
        """Class scores, then attribute values: ``(n, K + A)``."""
        return self.head(self.embed(waves))

    def train(self, mode: bool = True) -> EndToEnd:
        """Training mode for the head, and for the encoder's dropout where there is some to be had."""
        super().train(mode)
        for module in self._dropouts:
            module.train(mode and self.config.dropout > 0)
        return self

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The parameters whose gradients come through the pooled vectors, layer weights included."""
        trained = [p for p in self.upstream.parameters() if p.requires_grad]
        return [*trained, *self.layers.parameters()]

    def parameter_groups(self, options: OptimizerConfig) -> list[dict]:
        """Optimiser groups; see ``trainable.parameter_groups``."""
        rest = nn.ModuleList([self.layers, self.head])
        return parameter_groups(self.upstream, self.chosen, self.last_layer, rest, options)

    def trained_parameters(self) -> int:
        """How many numbers training sets."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def trained_state(self) -> dict[str, Tensor]:
        """What training sets: trained parameters of the encoder, and all of the head, BatchNorm included."""
        encoder = {f"upstream.{name}" for name in self.chosen}
        return {
            name: value for name, value in self.state_dict().items()
            if name in encoder or not name.startswith("upstream.")
        }  # fmt: skip

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """Fill in what ``trained_state`` gave; the rest of the encoder stays as it is.

        Raises:
            RuntimeError: for other names or shapes.
        """
        expected = self.trained_state().keys()
        if state.keys() != expected:
            raise RuntimeError(f"other parameters, first {sorted(state.keys() ^ expected)[0]}")
        self.load_state_dict(state, strict=False)
