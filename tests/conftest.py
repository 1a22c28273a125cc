"""Fixtures that all tests share.

``../shared`` (or ``$SER_SHARED``) holds real data and weights; where it is absent, tests that want it skip.
"""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Under nohup, or in the background, signals come to us ignored, and so they would to the programs
# whose stopping is tested: a child starts with the default for whatever its parent handles.
for caught in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(caught) == signal.SIG_IGN:
        signal.signal(caught, signal.default_int_handler if caught == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    folder = Path(os.environ.get("SER_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder with real data and weights (set SER_SHARED)")
    return folder


@pytest.fixture(scope="session")
def emodb_dir(shared_dir: Path) -> Path:
    folder = shared_dir / "data" / "emodb"
    if not folder.is_dir():
        pytest.skip(f"EmoDB is not in {folder}")
    return folder


@pytest.fixture(scope="session")
def whisper_dir(shared_dir: Path) -> Path:
    folder = shared_dir / "models" / "whisper-base-encoder"
    if not folder.is_dir():
        pytest.skip(f"no Whisper encoder in {folder}")
    return folder


@pytest.fixture(scope="session")
def text_encoder_dir(shared_dir: Path) -> Path:
    folder = shared_dir / "models" / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        pytest.skip(f"no text encoder in {folder}")
    return folder
