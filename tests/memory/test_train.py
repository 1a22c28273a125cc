"""Training on conversations: killed and resumed, by several processes, in windows, and whether it learns."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ser.cli.main import dispatch
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.engine.resume import FILE as STATE
from ser.memory.config import (
    ConversationHeadConfig,
    ConversationOptimizerConfig,
    EncoderHostConfig,
    HistoryConfig,
    MalConfig,
    MemoryConfig,
)
from ser.memory.dialogues import in_random_batches
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.memory.fit import ConversationFit
from ser.memory.predict import predict_conversations
from ser.memory.train import train_conversations
from tests.memory.conftest import small_config
from tests.memory.corpus import CLASSES, KINDS, make_set
from tests.memory.test_conversation import CONVERSATIONS

MODEL = "seed0/fold0/model.safetensors"


def trained(folder: Path, sources: ConversationSources, config: MalConfig) -> Path:
    train_conversations(config, sources, ConversationExperiment(folder))
    return folder


def test_killed_and_resumed_is_uninterrupted(experiment, sources, tmp_path, monkeypatch) -> None:
    """Killed in the second epoch, and again in the third: the same bytes, and nothing left over."""
    step, calls = ConversationFit._step, 0

    def failing(self, batch):
        nonlocal calls
        calls += 1
        if calls in (5, 9):  # three batches an epoch: in the second, and (resumed after the first) the third
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(ConversationFit, "_step", failing)
    for epochs in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "exp", sources, small_config())
        state = torch.load(tmp_path / "exp" / "seed0" / "fold0" / STATE, weights_only=True)
        assert state["epoch"] == epochs
        assert not (tmp_path / "exp" / MODEL).exists()
    trained(tmp_path / "exp", sources, small_config())
    assert calls == 9 + 3
    assert (tmp_path / "exp" / MODEL).read_bytes() == (experiment.path / MODEL).read_bytes()
    assert not (tmp_path / "exp" / "seed0" / "fold0" / STATE).exists()
    one, two = (read_json(path / "seed0/fold0/fit.json") for path in (experiment.path, tmp_path / "exp"))
    assert one["curve"] == two["curve"]
    assert one["steps"] == two["steps"] == 9


def test_a_finished_fold_is_kept_and_a_changed_option_trains_again(sources, tmp_path) -> None:
    folder = trained(tmp_path / "exp", sources, small_config(epochs=1))
    stamp, first = (folder / MODEL).stat().st_mtime_ns, (folder / MODEL).read_bytes()
    trained(folder, sources, small_config(epochs=1))
    assert (folder / MODEL).stat().st_mtime_ns == stamp
    trained(folder, sources, small_config(epochs=1, lr=0.01))
    assert (folder / MODEL).read_bytes() != first


@pytest.mark.parametrize("truncation", [4, 100])
def test_truncation_of_the_whole_length_is_none(sources, tmp_path, truncation: int) -> None:
    """The longest training dialogue has four utterances."""
    one, two = (
        trained(tmp_path / str(span), sources, small_config(truncation=span, epochs=2))
        for span in (0, truncation)
    )
    assert (one / MODEL).read_bytes() == (two / MODEL).read_bytes()


def test_truncation_changes_gradients_and_not_the_loss(sources, tmp_path) -> None:
    """Cross-entropy of a batch is the same however it is cut; what is learnt through the state is not."""
    losses, models = [], []
    for span in (0, 1, 2):
        folder = trained(tmp_path / str(span), sources, small_config(truncation=span, epochs=1, dialogues=9))
        losses.append(read_json(folder / "seed0/fold0/fit.json")["curve"][0]["train_loss"])
        models.append((folder / MODEL).read_bytes())
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


def test_batches_follow_from_seed_and_epoch() -> None:
    expected = in_random_batches(CONVERSATIONS, 2, 0, 1)
    assert in_random_batches(CONVERSATIONS[::-1], 2, 0, 1) == expected
    assert [len(batch) for batch in expected] == [2, 2, 1]
    assert sorted(each.name for batch in expected for each in batch) == [each.name for each in CONVERSATIONS]
    assert all(len(batch[0]) == max(map(len, batch)) for batch in expected)
    others = [in_random_batches(CONVERSATIONS, 2, *at) for at in ((0, 2), (0, 3), (1, 1), (2, 1))]
    assert any(other != expected for other in others[:2])
    assert any(other != expected for other in others[2:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_epoch_is_what_is_saved_and_only_what_is_trained(sources, tmp_path, kind: str) -> None:
    folder = trained(tmp_path / "exp", sources, small_config(kind, epochs=2))
    fit, state = read_json(folder / "seed0/fold0/fit.json"), load_file(folder / MODEL)
    best = max(fit["curve"], key=lambda row: (row["validation_metric"], -row["epoch"]))
    assert (fit["epochs"], fit["validation_metric"]) == (best["epoch"], best["validation_metric"])
    numbers = sum(v.numel() for name, v in state.items() if not name.startswith("host.standardiser"))
    assert numbers == fit["trained_parameters"] > fit["history_parameters"] > 0
    assert fit["validation_dialogues"] == ["v0", "v1", "v2"]
    info = read_yaml(folder / "info.yaml")
    assert info["protocol"] == "the corpus's own sets, speakers shared between train and test"
    assert "state by speaker" in info["options"]


def learnt(folder: Path, sources: ConversationSources, kind: str) -> float:
    """Accuracy on the test utterances that have their speaker's level behind them."""
    config = MalConfig(
        history=HistoryConfig(kind=kind),
        memory=MemoryConfig(width=16, depth=1, persistent=0, kernel=1, step=0.4),
        optimizer=ConversationOptimizerConfig(
            lr=0.03, dialogues=24, truncation=0, epochs=9, patience=9, weight_decay=0.0
        ),
        encoder=EncoderHostConfig(layer=1, pooling="mean"),
        head=ConversationHeadConfig(hidden=16),
    )
    predict_conversations(ConversationExperiment(trained(folder, sources, config)))
    lines = (sources.test_data[0] / "utt2emo").read_text().splitlines()
    truth = dict(line.split() for line in lines)
    found = ArkReader(folder / "seed0/fold0/test/pred.scp")
    late = [utterance for utterance in truth if int(utterance.rsplit("-", 1)[1]) > 3]
    return float(np.mean([CLASSES[found[u].argmax()] == truth[u] for u in late]))


def test_memory_learns_a_planted_baseline_and_a_single_utterance_cannot(tmp_path) -> None:
    """A label is above or below the speaker's own level, which is drawn anew for every dialogue."""
    parts = (("train", 72), ("validation", 24), ("test", 60))
    made = {n: make_set(tmp_path, n, {f"{n}{i:03d}": "a" * 6 for i in range(c)}) for n, c in parts}
    test = made["test"]
    sources = ConversationSources(*made["train"], None, *made["validation"], [test[0]], [test[1]])
    accuracy = {kind: learnt(tmp_path / kind, sources, kind) for kind in ("memory", "none")}
    assert accuracy["memory"] > accuracy["none"] + 0.1, accuracy


@pytest.mark.slow
def test_two_processes_equal_one(sources, tmp_path) -> None:
    """They share every batch of dialogues; a batch of one leaves the second with none.

    Of classes: 1 - CCC has no gradient in a bias, and of its rounding Adam makes whole steps.
    """
    words = [
        *("-m", "ser.cli", "memory-train", "--data", sources.data, "--feats", sources.feats),
        *("--validation-data", sources.validation_data, "--validation-feats", sources.validation_feats),
        *("--test-data", f"[{sources.test_data[0]}]", "--test-feats", f"[{sources.test_feats[0]}]"),
        *("--memory.width", 4, "--memory.chunk", 4, "--optimizer.dialogues", 2, "--optimizer.truncation", 2),
        *("--optimizer.epochs", 2, "--optimizer.lr", 0.02),
    ]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launcher, name in (([sys.executable], "one"), (torchrun, "two")):
        command = [*launcher, *map(str, words), "--exp", str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=300, env=environment)
    one, two = (load_file(tmp_path / name / MODEL) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)
    fits = [read_json(tmp_path / name / "seed0/fold0/fit.json") for name in ("one", "two")]
    assert [fit["processes"] for fit in fits] == [1, 2]
    assert fits[0]["curve"] == [pytest.approx(row, abs=1e-5) for row in fits[1]["curve"]]


def test_cross_validation_of_whole_dialogues(tmp_path) -> None:
    scenes = {f"d{number}": "abab" for number in range(6)}
    folds = {name: f"f{int(name[1:]) % 2}" for name in scenes}
    data, feats = make_set(tmp_path, "all", scenes, folds)
    sources = ConversationSources(data, feats)
    folder = trained(tmp_path / "exp", sources, small_config(epochs=1))
    dispatch(["memory-predict", str(folder)])
    found = [dict(ArkReader(folder / f"seed0/foldf{n}/test/pred.scp").items()) for n in (0, 1)]
    assert [sorted({u.split("-")[2] for u in part}) for part in found] == [
        ["d0", "d2", "d4"],
        ["d1", "d3", "d5"],
    ]
    assert "validation shares speakers" in read_yaml(folder / "info.yaml")["protocol"]
