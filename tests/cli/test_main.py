"""The console script: one clear line and an exit code for every kind of failure, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ser
from ser.cli.main import VERBS


def ser_command(*argv: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ser.cli", *argv], capture_output=True, text=True, timeout=120, **options
    )


def test_help_names_every_verb() -> None:
    done = ser_command("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)
    assert ser_command("--version").stdout.strip() == ser.__version__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = ser_command(verb, "--help")
    assert done.returncode == 0
    assert f"ser {verb}" in done.stdout


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["dance"], 2, "no such verb: 'dance'"),
        (["train", "--lr", "1"], 2, "ser: error:"),
        (["score", "nowhere"], 2, "ser: error:"),
        (["predict", "nowhere"], 2, "nowhere"),
        (["benchmark", "table", "nowhere", "--out", "."], 2, "nowhere"),
        (["extract", "nowhere", "feats", "--upstream", "fbank"], 2, "nowhere"),
    ],
)
def test_mistakes_end_with_one_line(argv: list[str], code: int, message: str, tmp_path: Path) -> None:
    done = ser_command(*argv, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("ser: error:")]) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    program = (
        "import ser.cli.main as m, sys\n"
        "def full(argv): open('/dev/full', 'w').write('x' * 100000)\n"
        "m.dispatch = full\nm.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip() == "ser: error: No space left on device"
