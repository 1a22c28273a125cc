"""The end-to-end model: an encoder that is trained, its layers merged, its frames pooled, the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_branch import widen
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.finetune.adapters import adapter_names, check_adapters, insert_adapters, merge_lora
from ser.downstream.finetune.attm import AttentiveMerge
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig, OptimizerConfig, PoolingConfig
from ser.downstream.finetune.frame_pooling import FramePooling
from ser.downstream.finetune.normalisation import GlobalNormalisation
from ser.downstream.finetune.side import FrameReader, VectorSide
from ser.downstream.finetune.trainable import choose, measure_depths, parameter_groups
from ser.downstream.finetune.unfreezing import UnfreezeConfig
from ser.downstream.heads import make_interpreter
from ser.downstream.layers import LayerWeights, SingleLayer
from ser.downstream.pooling import masked_mean
from ser.upstream.base import Upstream, UpstreamInfo
from ser.upstream.masking import FeatureMask, masked_features
from ser.upstream.replay import checkpointed_layers


class Waves(NamedTuple):
    """Audio of n utterances.

    Args:
        wave: ``(n, T)``, zero beyond ``lengths``.
        lengths: ``(n,)`` samples.
        speakers: ``n`` names.
        masks: on the encoder's input features; None for none.
        text: ``(n, E)`` embeddings of their words, for a model whose words read frames.
    """

    wave: Tensor
    lengths: Tensor
    speakers: tuple[str, ...]
    masks: FeatureMask | None = None
    text: Tensor | None = None


class EndToEnd(nn.Module):
    """Predicts classes and attributes of an utterance from its audio.

        f^p = encoder(u, e_i)            frames (B, F, D), layers merged, e_i where it is personalised
        v   = pooling over time of f^p   (B, dim), the vectors of emb.scp; the mean, unless options say more
        y   = interpreter(v)             (B, K + A); with gender and words where it is told of them

    The encoder stays in evaluation mode (see ``Upstream``), so that an utterance has the same frames alone
    and in any batch, while training as well; only its dropout can be switched on.

    Args:
        upstream: the encoder, on its device; which of its parameters want gradients is decided here.
        encoder: what of it is trained.
        interpreter: the head.
        outputs: K + A, number of classes plus attributes.
        speakers: one speaker whom a personalised encoder knows.
        pooling: from frames to v; the mean by default.
        side: what the model is told of gender and words; nothing by default.

    Attributes:
        dim: of v, what the words have read included.

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
        pooling: PoolingConfig | None = None,
        side: SideOptions | None = None,
    ) -> None:
        super().__init__()
        info, self.config = upstream.info, encoder
        self.layers, self.last_layer = make_merging(encoder, info)
        self.pooling = FramePooling(pooling or PoolingConfig(), info.dim)
        self.dim = self.pooling.dim
        self.head = make_interpreter(
            interpreter.hidden, interpreter.dropout, self.dim, outputs,
            interpreter.norm, interpreter.input_dropout, interpreter.start, interpreter.input_norm,
        )  # fmt: skip
        self.reader = self.side = None
        if side:
            self._told(side, info.dim)
        self.upstream = upstream
        self.normalisation = None
        if encoder.normalise == "global":
            upstream.take_as_given()
            self.normalisation = GlobalNormalisation()
        self._dropouts = [m for m in upstream.modules() if isinstance(m, nn.Dropout)]
        insert_adapters(upstream, encoder.adapter)
        modules = dict(upstream.named_modules())
        self._adapter_dropouts = [
            modules[name] for name in sorted(adapter_names(modules)) if isinstance(modules[name], nn.Dropout)
        ]
        depths = measure_depths(upstream, self.last_layer, speakers[:1])
        check_adapters(upstream, depths, self.last_layer)
        self.chosen = choose(depths, encoder.trainable, self.last_layer, encoder.speakers)
        for name, parameter in upstream.named_parameters():
            parameter.requires_grad_(name in self.chosen)
        if encoder.dropout not in (0, "own") and not self._dropouts:
            raise UserError(f"{info.tag} has no dropout to switch on", value=encoder.dropout,
                            hint="Use encoder.dropout: 0")  # fmt: skip
        if encoder.dropout != "own":
            for module in self._dropouts:
                module.p = encoder.dropout
        self.to(upstream.device)

    def embed(self, waves: Waves) -> Tensor:
        """The utterance vectors v ``(n, dim)``."""
        device = self.upstream.device
        wave = waves.wave.to(device)
        if self.normalisation is not None:
            wave = self.normalisation(wave)
        replayed = self.config.checkpointing and self.training
        with checkpointed_layers(replayed), masked_features(waves.masks):
            states = self.upstream(
                wave,
                waves.lengths.to(device),
                self.upstream.vectors_of(waves.speakers),
                last_layer=self.last_layer,
            )
        if isinstance(self.layers, LayerWeights) and self.pooling.linear and self.reader is None:
            # The mean of the merged frames is the merged means: both are affine.
            return self.layers(torch.stack([masked_mean(x, states.lengths) for x in states.layers], dim=1))
        f = self.layers.merge(states.layers, states.lengths)
        v = self.pooling(f, states.lengths)
        if self.reader is None:
            return v
        return torch.cat([v, self.reader(waves.text.to(device), f, states.lengths)], dim=1)

    def inputs(self, v: Tensor, side: Side | None = None) -> Tensor:
        """What the interpreter reads: vectors ``(n, dim)``, with gender and words where it is told."""
        return v if self.side is None or side is None else self.side(v, side)

    def side_loss(self, v: Tensor, side: Side | None) -> Tensor | float:
        """The side task's weighted loss; 0 for models without."""
        return 0.0 if self.side is None or side is None else self.side.loss(v, side)

    def forward(self, waves: Waves, side: Side | None = None) -> Tensor:
        """Class scores, then attribute values: ``(n, K + A)``."""
        return self.head(self.inputs(self.embed(waves), side))

    def train(self, mode: bool = True) -> EndToEnd:
        """Training mode for the head, and for the encoder's dropout where there is some to be had."""
        super().train(mode)
        for module in self._dropouts:
            module.train(mode and self.config.dropout != 0)
        for module in self._adapter_dropouts:
            module.train(mode)
        return self

    def merge_adapters(self) -> None:
        """Take LoRA into the weights beside it, for a model that is not trained further."""
        if self.config.adapter.kind == "lora":
            merge_lora(self.upstream)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The parameters whose gradients come through the pooled vectors, merging and pooling included."""
        trained = [p for p in self.upstream.parameters() if p.requires_grad]
        reading = () if self.reader is None else self.reader.parameters()
        return [*trained, *self.layers.parameters(), *self.pooling.parameters(), *reading]

    def parameter_groups(
        self, options: OptimizerConfig, unfreeze: UnfreezeConfig | None = None
    ) -> list[dict]:
        """Optimiser groups; see ``trainable.parameter_groups``."""
        rest = nn.ModuleList(self._beside_encoder())
        return parameter_groups(self.upstream, self.chosen, self.last_layer, rest, options, unfreeze)

    def trained_parameters(self) -> int:
        """How many numbers training sets, those included whose turn has not come yet."""
        encoder = sum(p.numel() for name, p in self.upstream.named_parameters() if name in self.chosen)
        return encoder + sum(p.numel() for module in self._beside_encoder() for p in module.parameters())

    def _beside_encoder(self) -> list[nn.Module]:
        """All parts but the encoder."""
        parts = (self.layers, self.pooling, self.head, self.reader, self.side)
        return [part for part in parts if part is not None]

    def _told(self, side: SideOptions, frame_dim: int) -> None:
        """Make room for gender and words; the interpreter's weights on them are zero at first."""
        self.side = VectorSide(side, self.pooling.dim)
        widths = list(self.side.widths)
        if side.text.fusion == "cross_attention":
            self.reader = FrameReader(side, frame_dim)
            self.dim += self.reader.dim
            widths.insert(0, self.reader.dim)
        if widths:
            widen(self.head, widths)

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


def make_merging(
    encoder: EncoderConfig, info: UpstreamInfo
) -> tuple[SingleLayer | LayerWeights | AttentiveMerge, int]:
    """What makes one sequence of frames of the hidden states, and the last state that it wants.

    Raises:
        UserError: when the upstream has no such layer.
    """
    if isinstance(encoder.layer, int):
        single = SingleLayer(info.num_layers, encoder.layer)
        return single, single.layer
    last = encoder.merge_up_to or info.num_layers - 1
    if last >= info.num_layers:
        raise UserError(
            f"{info.tag} has {info.num_layers - 1} layers", value=f"encoder.merge_up_to: {last}",
            hint="Use 0 for all of them",
        )  # fmt: skip
    return (LayerWeights(last + 1) if encoder.layer == "weighted" else AttentiveMerge(last, info.dim)), last
