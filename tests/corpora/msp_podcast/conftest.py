"""Copies of MSP-Podcast, built once a session."""

import shutil
from pathlib import Path

import pytest

from tests.fixtures import msp_podcast as fixture


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory):
    """Trees by release, built when asked for."""
    made: dict[str, Path] = {}

    def of(release: str) -> Path:
        if release not in made:
            made[release] = tmp_path_factory.mktemp("msp") / release
            fixture.build(made[release], release=release)
        return made[release]

    return of


@pytest.fixture
def tree(trees, tmp_path: Path) -> Path:
    """A copy of the newest tree, to be damaged."""
    return Path(shutil.copytree(trees("2.0"), tmp_path / "corpus"))
