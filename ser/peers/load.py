"""From a peer's configuration to the peer: one module a family."""

from __future__ import annotations

import torch

from ser.core.seed import preserved_random_state
from ser.peers.audeering import load_audeering
from ser.peers.base import Peer
from ser.peers.config import PeerConfig
from ser.peers.emotion2vec import load_emotion2vec
from ser.peers.odyssey import load_odyssey
from ser.upstream.registry import resolve_device

FAMILIES = {"audeering": load_audeering, "emotion2vec": load_emotion2vec, "odyssey": load_odyssey}


def load_peer(config: PeerConfig, device: str = "auto") -> Peer:
    """Load a peer, in evaluation mode, frozen, on ``device``.

    Raises:
        UserError: its files are not to be had, or are not what the family's are.
    """
    device = resolve_device(device)
    with preserved_random_state():
        peer = FAMILIES[config.family](config)
    peer = peer.to(torch.float32).eval().requires_grad_(False)
    return peer.to(device)
