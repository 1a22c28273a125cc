"""kill -9 of a recipe at random moments of its stages; run again, it leaves the undisturbed result."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.faults.pipeline import CONFIG, different, make_corpus, results

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("data", "lint", "extract", "train", "predict", "score", "benchmark")
PATIENCE = 900  # seconds, for a run on a machine that has other things to do
RUN_SH = """#!/usr/bin/env bash
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ./ser.sh --local-data "ser prepare csv tones.csv --db-root wav --range arousal=-1:1" --data-sets all \\
  --upstreams fbank --train-configs conf/tones.yaml --score-options "--draws 20" --nj 2 -- "$@"
"""


def make_recipe(folder: Path) -> Path:
    """A recipe on the real engine and the real ``ser``, with its corpus."""
    folder.mkdir(parents=True)
    make_corpus(folder)
    (folder / "conf").mkdir()
    (folder / "conf" / "tones.yaml").write_text(CONFIG)
    (folder / "conf.yaml").unlink()
    for name in ("ser.sh", "path.sh", "cmd.sh"):
        (folder / name).symlink_to(ROOT / "egs/TEMPLATE/ser1" / name)
    (folder / "utils").symlink_to(ROOT / "utils")
    (folder / "run.sh").write_text(RUN_SH)
    (folder / "run.sh").chmod(0o755)
    return folder


class Run:
    """One ``run.sh``, in a session of its own; its lines are read as they come."""

    def __init__(self, recipe: Path) -> None:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "SER_VENV": sys.prefix, "SER_INSTALL": "false",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [str(recipe / "run.sh")], env=environment, cwd=recipe, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def reaches(self, stage: str) -> bool:
        """Wait until a stage begins to work; False when the run ends without it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if any(
                line.startswith("stage ")
                and line.split()[2].rstrip(":") == stage
                and "up to date" not in line
                for line in self.lines
            ):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        said = "".join(self.lines[-20:])
        raise AssertionError(f"stage {stage} was not reached: {said}")

    def kill(self) -> bool:
        """SIGKILL for all processes of the session (jobs have own groups); False when it had ended."""
        running = self.process.poll() is None
        while members := session(self.process.pid):
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.poll()
            time.sleep(0.01)
        self.process.wait()
        return running

    def finish(self) -> str:
        """Wait for the end; what it said."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert code == 0, "".join(self.lines[-40:])
        return "".join(self.lines)


def session(leader: int) -> list[int]:
    """Living processes of a session that this test has begun."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except (OSError, IndexError):
            continue
        if int(number) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A recipe that was never run, its folder, and what its run leaves."""
    home = tmp_path_factory.mktemp("kills")
    recipe, fresh = make_recipe(home / "recipe"), home / "fresh"
    shutil.copytree(recipe, fresh, symlinks=True)
    began = time.monotonic()
    Run(recipe).finish()
    return recipe, fresh, results(recipe), time.monotonic() - began


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_and_run_again(kills, undisturbed):
    recipe, fresh, wanted, seconds = undisturbed
    assert "RESULTS.md" in wanted and any(name.endswith("pred.ark") for name in wanted)
    moments, done = random.Random(0), 0
    # In the order of the stages: some of them once, or all of them several times.
    count = len(STAGES)
    plan = (
        sorted(moments.sample(range(count), kills))
        if kills < count
        else [n * count // kills for n in range(kills)]
    )
    shutil.rmtree(recipe)
    shutil.copytree(fresh, recipe, symlinks=True)
    while done < kills:
        stage = STAGES[plan[done]]
        run = Run(recipe)
        if not run.reaches(stage):
            run.finish()
            shutil.rmtree(recipe)
            shutil.copytree(fresh, recipe, symlinks=True)
            run = Run(recipe)
            assert run.reaches(stage)
        time.sleep(moments.uniform(0, seconds / len(STAGES)))
        done += run.kill()
    said = Run(recipe).finish()
    assert not different(results(recipe), wanted), said
    assert "up to date" in Run(recipe).finish()
