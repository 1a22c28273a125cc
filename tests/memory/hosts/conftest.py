"""Tiny audio language models, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memory.hosts.models import save


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory):
    """``lm_folder(family)``: a folder with a tiny random audio language model."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = save(family, tmp_path_factory.mktemp("hosts") / family)
        return made[family]

    return make
