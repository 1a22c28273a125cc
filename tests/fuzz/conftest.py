"""Each test in a folder of its own, with little memory: a file that asks for a terabyte must not get it."""

import resource
from pathlib import Path

import pytest

SPARE = 3 << 30  # bytes beyond what the process has


@pytest.fixture(autouse=True)
def confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    wanted = used + SPARE if hard == resource.RLIM_INFINITY else min(used + SPARE, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
