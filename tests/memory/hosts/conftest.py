"""Tiny audio language models, written once a session, and speech for them to hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ser.memory.hosts.audio_lm import load_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig
from tests.memory.hosts.models import save

CLASSES = ["angry", "happy", "sad", "sadder"]


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory):
    """``lm_folder(family)``: a folder with a tiny random audio language model."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = save(family, tmp_path_factory.mktemp("hosts") / family)
        return made[family]

    return make


@pytest.fixture(scope="session")
def load(lm_folder):
    """``load(family, **options of AudioLMConfig)``: a host of its own on the CPU."""

    def make(family: str, **options):
        torch.manual_seed(0)
        return load_audio_lm(str(lm_folder(family)), AudioLMConfig(**options), CLASSES, device="cpu")

    return make


@pytest.fixture(scope="session")
def waves() -> list[np.ndarray]:
    """Utterances of .56 s, 2 s (a whole window) and .31 s."""
    random = np.random.default_rng(0)
    return [(0.1 * random.standard_normal(n)).astype(np.float32) for n in (9000, 32000, 5001)]
