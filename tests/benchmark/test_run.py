"""A grid is resumable; a failure keeps back only what needs it; the recipes' own marks are all it goes by."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ser.benchmark.run import run_plan
from ser.benchmark.summary import show_plan, show_summary
from ser.core.errors import UserError
from tests.recipes.conftest import is_alive, wait_until

BOTH = {"fbank_emotion": "done", "mfcc_emotion": "done"}


def states(outcomes) -> dict[str, str]:
    return {name: outcome.state for name, outcome in outcomes.items()}


def test_from_nothing_each_thing_is_made_once(bench):
    assert set(bench.states().values()) == {"missing"}
    outcomes = bench.run()
    assert list(states(outcomes)) == ["data", "fbank", "mfcc", "fbank_emotion", "mfcc_emotion"]
    assert set(states(outcomes).values()) == {"done"}
    calls = bench.recipe.calls()
    assert [call[0] for call in calls].count("prepare") == 1
    extracted = [call[2] for call in calls if call[0] == "extract"]
    assert sorted(extracted) == ["feats/fbank/all", "feats/mfcc/all"]
    assert not (bench.recipe.path / "RESULTS.md").exists(), "the recipe's own table is left alone"
    assert bench.states() == BOTH
    assert states(bench.run()) == dict.fromkeys(outcomes, "skipped") and not bench.recipe.calls()
    assert show_summary(list(bench.run().values())) == "done 0, skipped 2, failed 0"


def test_what_was_run_by_hand_is_done(done):
    assert done.states() == BOTH
    assert "2 cells: done 2, stale 0, missing 0" in show_plan(done.plan())


def test_another_configuration_makes_its_cells_stale_and_features_stay(done):
    (done.recipe.path / "conf" / "emotion.yaml").write_text("a: 2\n")
    plan = done.plan()
    assert {each.cell.name: each.state for each in plan.cells} == dict.fromkeys(BOTH, "stale")
    assert "conf/emotion.yaml changed" in show_plan(plan)
    outcomes = done.run("*/mfcc_*")
    assert states(outcomes) == {"data": "skipped", "mfcc": "skipped", "mfcc_emotion": "done"}
    assert done.recipe.verbs() == ["train", "predict", "score"]
    assert done.states() == {"fbank_emotion": "stale", "mfcc_emotion": "done"}


def test_a_further_seed_is_trained_alone(done):
    plan = done.plan(seeds=[0, 1])
    assert [(each.state, each.trained) for each in plan.cells] == [("missing", 1), ("missing", 1)]
    done.run("*/fbank_*", seeds=[0, 1])
    trained = [call[call.index("--seed") + 1] for call in done.recipe.calls() if call[0] == "train"]
    assert trained == ["1"]
    assert done.states() == {"fbank_emotion": "done", "mfcc_emotion": "missing"}


def test_a_changed_corpus_makes_everything_stale(done):
    (done.recipe.corpus / "a.wav").write_bytes(b"z" * 9000)
    assert done.states() == dict.fromkeys(BOTH, "stale")


def test_a_failure_keeps_back_only_what_needs_it(bench, monkeypatch):
    monkeypatch.setenv("FAKE_EXTRACT", "disk")
    monkeypatch.setenv("FAKE_WHEN", "feats/mfcc")
    outcomes = bench.run()
    assert states(outcomes) == {
        "data": "done", "fbank": "done", "mfcc": "failed", "fbank_emotion": "done", "mfcc_emotion": "blocked",
    }  # fmt: skip
    failed = outcomes["mfcc"]
    assert failed.line == "the disk is full" and "No space left" in failed.log.read_text()
    told = show_summary(list(outcomes.values()))
    assert told.startswith(
        "done 1, skipped 0, failed 1\n\nfailed: toy/ser1/mfcc\n    the disk is full\n    log: "
    )
    assert told.endswith("keeps back: toy/ser1/mfcc_emotion")
    monkeypatch.delenv("FAKE_EXTRACT")
    assert states(bench.run()) == {
        "data": "skipped", "fbank": "skipped", "mfcc": "done", "fbank_emotion": "skipped",
        "mfcc_emotion": "done",
    }  # fmt: skip


def test_a_failed_cell_tells_its_last_line(done, monkeypatch):
    (done.recipe.path / "conf" / "emotion.yaml").write_text("a: 2\n")
    monkeypatch.setenv("FAKE_TRAIN", "fail")
    monkeypatch.setenv("FAKE_WHEN", "exp/fbank_emotion")
    outcomes = done.run()
    assert states(outcomes)["fbank_emotion"] == "failed" and states(outcomes)["mfcc_emotion"] == "done"
    assert outcomes["fbank_emotion"].line == "data/all/utt2emo:3: no such class: 'joy'. Mend it."


def test_an_item_of_another_run_is_left_to_it(done):
    """By hand and by grid at once: the engine's lock says so, and the cell is told as failed."""
    (done.recipe.path / "conf" / "emotion.yaml").write_text("a: 2\n")
    with open(done.recipe.path / ".marks" / ".train.fbank_emotion.seed0.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcomes = done.run("*/fbank_*")
    assert "another run is working on stage 8" in outcomes["fbank_emotion"].line
    assert outcomes["fbank_emotion"].log.parent == done.file.with_suffix("") / "log"


def test_stopped_and_run_again(done, monkeypatch):
    (done.recipe.path / "conf" / "emotion.yaml").write_text("a: 2\n")
    environment = {**os.environ, "FAKE_TRAIN": "hang", "FAKE_WHEN": "exp/mfcc", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ser.cli", "benchmark", "run", str(done.file)]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    pid_file = done.recipe.path / "hanging.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", 300)
    run.send_signal(signal.SIGTERM)
    assert run.wait(120) == 128 + signal.SIGTERM
    assert not is_alive(int(pid_file.read_text())), "nothing goes on behind"
    assert done.states() == {"fbank_emotion": "done", "mfcc_emotion": "missing"}, "begun and not finished"
    assert states(done.run())["mfcc_emotion"] == "done"
    assert done.states() == BOTH


@pytest.mark.parametrize("jobs", [1, 2])
def test_never_more_at_once_than_asked_for(bench, monkeypatch, jobs):
    monkeypatch.setenv("MEET", str(jobs))
    outcomes = bench.run(upstreams=["fbank", "mfcc", "mel"], jobs=jobs)
    assert set(states(outcomes).values()) == {"done"}
    under_way, most = 0, 0
    for word in (bench.recipe.home / "trace").read_text().split():
        under_way += 1 if word == "begin" else -1
        most = max(most, under_way)
    assert most == jobs


def test_two_calls_of_one_benchmark_exclude_each_other(done):
    plan = done.plan()
    plan.grid.out.mkdir(exist_ok=True)
    with open(plan.grid.out / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another call runs this benchmark"):
            run_plan(plan)
