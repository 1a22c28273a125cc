"""Tiny random peers, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser.peers.base import Peer
from ser.peers.config import read_config
from ser.peers.load import load_peer
from tests.peers import models

SAVE = {
    "audeering-dim": models.save_audeering,
    "odyssey-categorical": models.save_odyssey,
    "odyssey-attributes": lambda folder: models.save_odyssey(folder, models.ATTRIBUTES, hidden_layers=2),
    "emotion2vec-plus-base": models.save_emotion2vec,
    "emotion2vec-plus-seed": lambda folder: models.save_emotion2vec(
        folder, models.TOKENS_SEED, prefix="", heads=4
    ),
}


@pytest.fixture(scope="session")
def peer_folder(tmp_path_factory: pytest.TempPathFactory):
    """``peer_folder(name)``: the folder of a tiny random peer with the layout of the published one."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = SAVE[name](tmp_path_factory.mktemp("peers") / name)
        return made[name]

    return make


@pytest.fixture(scope="session")
def peer_of(peer_folder):
    """``peer_of(name)``: the loaded peer."""
    made: dict[str, Peer] = {}

    def make(name: str) -> Peer:
        if name not in made:
            made[name] = load_peer(read_config(name, model=str(peer_folder(name))), "cpu")
        return made[name]

    return make
