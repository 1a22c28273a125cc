"""The WavLM baselines of the Odyssey 2024 speech emotion recognition challenge (Goncalves et al. 2024).

The waveform is brought to the training set's mean and deviation, WavLM-large hears it, and attentive
statistics pooling (Okabe et al. 2018) takes weights, mean and deviation of the last hidden state x over time:

    a_t = softmax_t(v . tanh(W x_t + b)),   m = sum_t a_t x_t,   s = sqrt(max(sum_t a_t x_t^2 - m^2, 1e-5))

Then come layers of Linear, LayerNorm and ReLU, and a linear one. Attributes of 1 to 7 were learnt as 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.pooling import frame_mask
from ser.peers.base import Peer, split_outputs
from ser.peers.config import PeerConfig
from ser.peers.files import PeerFiles, Settings, Tensors
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.convolution import hop_of
from ser.upstream.registry import tag_of
from ser.upstream.wav2vec2 import Wav2Vec2Upstream

RATE = 16000
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # WavLM's; no tensor has them
MAX_DISTANCE = 800  # of relative positions, in frames: WavLM's
DEVIATION_EPSILON, VARIANCE_FLOOR = 1e-6, 1e-5
# Of pre-training: no hidden state depends on it, and it is set to 0.
UNUSED = "masked_spec_embed"


class Odyssey(Peer):
    """Attentive statistics pooling and a few layers.

    Args:
        encoder: WavLM.
        classes: names of the outputs of a classifier.
        attributes: names of the outputs of a regressor.
        hidden_layers: layers before the last.
        mean: of the training set's samples.
        deviation: their standard deviation.
    """

    def __init__(
        self,
        encoder: Upstream,
        classes: Sequence[str],
        attributes: Sequence[str],
        hidden_layers: int,
        mean: float,
        deviation: float,
    ) -> None:
        super().__init__(encoder, classes, attributes)
        dim, self.mean, self.deviation = encoder.info.dim, mean, deviation
        self.attention = nn.Linear(dim, dim)
        self.direction = nn.Parameter(torch.empty(dim, 1))
        widths = [2 * dim] + [dim] * hidden_layers
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Linear(above, dim), nn.LayerNorm(dim), nn.ReLU()) for above in widths[:-1]
        )
        self.out = nn.Linear(widths[-1], len(classes) + len(attributes))

    def prepare(self, wave: Tensor) -> Tensor:
        """See :meth:`Peer.prepare`."""
        return (wave - self.mean) / (self.deviation + DEVIATION_EPSILON)

    def head(self, x: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Peer.head`."""
        scores = torch.tanh(self.attention(x)) @ self.direction
        outside = ~frame_mask(frames, x.shape[1])[..., None]
        weights = scores.masked_fill(outside, float("-inf")).softmax(dim=1)
        mean = (weights * x).sum(1)
        variance = (weights * x.square()).sum(1) - mean.square()
        pooled = torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=-1)
        for layer in self.hidden:
            pooled = layer(pooled)
        return self.out(pooled)


def load_odyssey(config: PeerConfig) -> Odyssey:
    """Read ``config.json`` and weights ``ssl_model.*``, ``pool_model.*``, ``ser_model.*``.

    Raises:
        UserError: naming the file and the key.
    """
    files = PeerFiles(config.model)
    settings, tensors = files.settings("config.json"), files.tensors
    settings.expect("model_type", "ser")
    settings.expect("sampling_rate", RATE)
    if "wavlm" not in settings.get("ssl_type", str):
        raise UserError(
            "another encoder than WavLM: ssl_type", file=settings.path, value=settings.content["ssl_type"]
        )
    classes, attributes = split_outputs(settings.labels(), config, settings.path)
    peer = Odyssey(
        load_wavlm(files, settings, config.model), classes, attributes,
        hidden_layers=settings.get("classifier_hidden_layers", int),
        mean=float(settings.get("mean", (int, float))), deviation=float(settings.get("std", (int, float))),
    )  # fmt: skip
    tensors.fill(peer.attention, "pool_model.sap_linear.")
    peer.direction.data.copy_(tensors.get("pool_model.attention", peer.direction.shape))
    for place, layer in enumerate(peer.hidden):
        tensors.fill(layer, f"ser_model.fc.{place}.")
    tensors.fill(peer.out, "ser_model.out.0.")
    return peer


def load_wavlm(files: PeerFiles, settings: Settings, name: str) -> Wav2Vec2Upstream:
    """The WavLM inside: config.json and its tensors tell its sizes, so that no other model is asked for.

    Raises:
        UserError: naming the tensor that is missing, of another shape, or left over.
    """
    import transformers

    tensors = Tensors(files.weight_file, {_today(key): value for key, value in files.tensors.state.items()})
    sizes = wavlm_sizes(tensors, settings)
    model = transformers.WavLMModel(transformers.WavLMConfig(**sizes))
    own = {key: value for key, value in tensors.below("ssl_model.").items() if key != UNUSED}
    for key, parameter in model.state_dict().items():
        if key != UNUSED:
            tensors.get(f"ssl_model.{key}", parameter.shape)
    if left_over := sorted(own.keys() - model.state_dict().keys()):
        raise UserError("weights of another WavLM", file=tensors.path, value=f"ssl_model.{left_over[0]}")
    model.load_state_dict(own | {UNUSED: torch.zeros(sizes["hidden_size"])}, strict=False)
    info = UpstreamInfo(
        name=name, tag=tag_of(f"hf:{name}"), family="wavlm", sample_rate=RATE,
        frame_rate=RATE / hop_of(model.feature_extractor.conv_layers),
        num_layers=sizes["num_hidden_layers"] + 1, dim=sizes["hidden_size"],
        parameters=count_parameters(model), checkpoint=hash_files([files.weight_file]),
    )  # fmt: skip
    # The waveform comes normalised by the training set, not by itself.
    return Wav2Vec2Upstream(model, info, normalise=False)


def wavlm_sizes(tensors: Tensors, settings: Settings) -> dict:
    """The fields of WavLM's configuration.

    Raises:
        UserError: a tensor that tells a size is missing.
    """
    dim = settings.get("hidden_size", int)
    first = "ssl_model.feature_extractor.conv_layers.{}.{}"
    convolutions = [
        tensors.get(first.format(i, "conv.weight"), (None,) * 3).shape for i in range(len(STRIDES))
    ]
    position = tensors.get(
        "ssl_model.encoder.pos_conv_embed.conv.parametrizations.weight.original1", (dim, None, None)
    )
    layer = "ssl_model.encoder.layers.0."
    heads = settings.get("num_attention_heads", int)
    buckets = tensors.get(f"{layer}attention.rel_attn_embed.weight", (None, heads))
    # Of WavLM's releases, large alone normalises every convolution, and before its halves of a layer.
    large = first.format(1, "layer_norm.weight") in tensors.state
    return {
        "hidden_size": dim,
        "num_hidden_layers": settings.get("num_hidden_layers", int),
        "num_attention_heads": heads,
        "intermediate_size": tensors.get(f"{layer}feed_forward.intermediate_dense.weight", (None, dim)).shape[
            0
        ],
        "conv_dim": tuple(shape[0] for shape in convolutions),
        "conv_kernel": tuple(shape[2] for shape in convolutions),
        "conv_stride": STRIDES,
        "conv_bias": first.format(0, "conv.bias") in tensors.state,
        "num_conv_pos_embeddings": position.shape[2],
        "num_conv_pos_embedding_groups": dim // position.shape[1],
        "num_buckets": buckets.shape[0],
        "max_bucket_distance": MAX_DISTANCE,
        "feat_extract_norm": "layer" if large else "group",
        "do_stable_layer_norm": large,
    }


def _today(key: str) -> str:
    """The name of a weight-normalised convolution's tensors since torch 2.1: these weights are older."""
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        key = key.replace(f"pos_conv_embed.conv.{old}", f"pos_conv_embed.conv.parametrizations.weight.{new}")
    return key
