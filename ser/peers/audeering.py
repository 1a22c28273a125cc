"""audEERING's dimensional wav2vec 2.0 (Wagner et al. 2023, arXiv 2203.07378).

    y = W_2 tanh(W_1 mean_t x_t + b_1) + b_2

of the last hidden state x of a wav2vec2-large-robust that was cut to 12 layers and fine-tuned on MSP-Podcast
1.7. Labels of 1 to 7 were learnt as 0 to 1, and nothing keeps outputs inside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.pooling import masked_mean
from ser.peers.base import Peer, split_outputs
from ser.peers.config import PeerConfig
from ser.peers.files import PeerFiles
from ser.upstream import load_upstream
from ser.upstream.base import Upstream


class Audeering(Peer):
    """Mean over time, one hidden layer.

    Args:
        encoder: wav2vec 2.0.
        classes: empty, as published.
        attributes: names of the outputs.
    """

    def __init__(self, encoder: Upstream, classes: list[str], attributes: list[str]) -> None:
        super().__init__(encoder, classes, attributes)
        dim = encoder.info.dim
        self.dense, self.out_proj = nn.Linear(dim, dim), nn.Linear(dim, len(classes) + len(attributes))

    def head(self, x: Tensor, frames: Tensor) -> Tensor:
        """See :meth:`Peer.head`."""
        return self.out_proj(torch.tanh(self.dense(masked_mean(x, frames))))


def load_audeering(config: PeerConfig) -> Audeering:
    """Read ``config.json``, ``preprocessor_config.json`` and weights ``wav2vec2.*``, ``classifier.*``.

    Raises:
        UserError: naming the file and the key.
    """
    files = PeerFiles(config.model)
    settings = files.settings("config.json")
    settings.expect("model_type", "wav2vec2")
    outputs = split_outputs(settings.labels(), config, settings.path)
    encoder = load_upstream(f"hf:{config.model}")
    peer = Audeering(encoder, *outputs)
    for name in ("dense", "out_proj"):
        files.tensors.fill(getattr(peer, name), f"classifier.{name}.")
    if not encoder.settings["preprocessor"].get("do_normalize"):
        raise UserError(
            "preprocessor_config.json with do_normalize off: these weights want it on", file=config.model
        )
    return peer
