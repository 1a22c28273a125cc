"""The same model however training was run: interrupted, killed, by two processes, as one job of several."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ser.core.files import read_json
from ser.downstream.experiment import Experiment
from ser.downstream.finetune.config import EncoderConfig
from tests.downstream.finetune.experiments import bytes_of, interrupted, one_and_two_processes, quick, run


def test_resumed_equals_uninterrupted(corpus: Path, encoder, tmp_path: Path) -> None:
    """Stopped within the second epoch: the first one's state is there, and the end is the same."""
    config = quick(3, encoder=EncoderConfig("no_cnn", dropout=0.2))
    whole = run(corpus, encoder(), tmp_path / "whole", config, only_fold="a")
    with interrupted(4):
        run(corpus, encoder(), tmp_path / "parts", config, only_fold="a")
    state = tmp_path / "parts" / "seed0" / "folda" / "resume.pt"
    assert torch.load(state, weights_only=True)["epoch"] == 1
    parts = run(corpus, encoder(), tmp_path / "parts", config, only_fold="a")
    assert bytes_of(whole) == bytes_of(parts) and not state.exists()
    one, two = (read_json(each.fold_dir(0, "a") / "fit.json") for each in (whole, parts))
    assert one["curve"] == two["curve"] and one["steps"] == two["steps"]


@pytest.mark.slow
def test_killed_by_the_system_and_started_again(corpus: Path, encoder, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "ser.cli", "finetune", "--data", str(corpus), "--upstream", encoder(),
        "--fold", "a", "--optimizer.epochs", "12", "--optimizer.patience", "12", "--batches.size", "8",
    ]  # fmt: skip
    subprocess.run([*command, "--exp", str(tmp_path / "whole")], check=True, timeout=120)
    state = tmp_path / "killed" / "seed0" / "folda" / "resume.pt"
    process = subprocess.Popen([*command, "--exp", str(tmp_path / "killed")])
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists() and not (state.parent / "fit.json").exists()
    subprocess.run([*command, "--exp", str(tmp_path / "killed")], check=True, timeout=120)
    assert bytes_of(Experiment(tmp_path / "whole")) == bytes_of(Experiment(tmp_path / "killed"))
    assert sorted(path.name for path in state.parent.iterdir()) == [
        "fit.json",
        "model.safetensors",
        "train.log",
        "validation",
    ]


@pytest.mark.slow
def test_two_processes_equal_one(corpus: Path, encoder, tmp_path: Path) -> None:
    experiments = one_and_two_processes(corpus, encoder(), tmp_path)
    fits = [read_json(experiment.fold_dir(0, "a") / "fit.json") for experiment in experiments]
    assert [fit["processes"] for fit in fits] == [1, 2]
    losses = [[row["train_loss"] for row in fit["curve"]] for fit in fits]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_seed_and_jobs(corpus: Path, encoder, tmp_path: Path) -> None:
    config = quick(1)
    whole = run(corpus, encoder(), tmp_path / "whole", config)
    part = run(corpus, encoder(), tmp_path / "part", config, job=2, jobs=2)
    assert [fold.name for fold in part.fold_dirs()] == ["foldb", "foldd"]
    assert bytes_of(whole, "d") == bytes_of(part, "d")  # whatever was trained before it in the same call
    stamp = (whole.fold_dir(0, "a") / "fit.json").stat().st_mtime_ns
    run(corpus, encoder(), tmp_path / "whole", config)
    assert (whole.fold_dir(0, "a") / "fit.json").stat().st_mtime_ns == stamp
    run(corpus, encoder(), tmp_path / "whole", config, seed=1, only_fold="a")
    assert (whole.fold_dir(1, "a") / "model.safetensors").read_bytes() != bytes_of(whole)
