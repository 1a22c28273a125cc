"""The loop: it learns, it resumes to the bit, it is one run however it is divided, it stops when it must."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from ser.papt.config import OptimizerConfig
from ser.papt.pretrain import pretrain
from ser.papt.trainer import Trainer, rate
from tests.papt.conftest import small
from tests.papt.corpus import write_data, write_units
from tests.papt.models import write_hubert


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "encoder" / "model.safetensors")


def curve(out: Path) -> list[dict[str, str]]:
    with open(out / "curve.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_what_it_leaves(pretrained):
    out = pretrained()
    assert {path.name for path in out.iterdir()} == {
        "config.yaml", "env.yaml", "train.log", "curve.csv", "encoder",
    }  # fmt: skip
    about = read_yaml(out / "encoder" / "config.yaml")
    assert (about["family"], about["fusion"], about["protocol"]) == ("hubert", "last", "transductive")
    assert about["source"] == {"upstream": "scratch:tiny", "checkpoint": None}
    assert about["frame_rate"] == 50.0 and about["units"]["name"] == "tones" and about["seed"] == 0
    assert (out / "encoder" / "speakers.txt").read_text() == "s0\ns1\ns2\ns3\n"
    assert list(ArkReader(out / "encoder" / "spk_vectors.scp")) == ["s0", "s1", "s2", "s3"]
    names = set(weights(out))
    assert {"encoder.speaker.embedding.weight", "final_proj.weight", "label_embeddings"} < names
    rows = curve(out)
    assert [row["step"] for row in rows] == [str(step) for step in range(len(rows))]
    assert rows[0]["validation_loss"] and rows[-1]["validation_loss"] and not rows[0]["train_loss"]
    assert float(rows[-1]["lr"]) < float(rows[1]["lr"])
    assert read_yaml(out / "config.yaml")["optimizer"]["epochs"] == 2


def test_it_learns_what_can_be_learnt(task, tmp_path):
    config = small(40, lr=5e-3)
    config.validation.share = 0.2
    config.log_every, config.batches.per_step = 1000, 1
    pretrain(config, task.sources(), tmp_path / "x")
    ended = [row for row in curve(tmp_path / "x") if row["validation_loss"]]
    first, last = float(ended[0]["validation_loss"]), min(float(row["validation_loss"]) for row in ended)
    assert first > np.log(6) - 0.1  # at chance, or worse
    assert last < first - 0.25


def test_rate_rises_to_the_peak_and_falls_to_the_end():
    config = OptimizerConfig(warmup=0.1)
    shares = [rate(step, 200, config) for step in range(1, 201)]
    assert np.argmax(shares) == 19 and max(shares) == 1.0
    assert (np.diff(shares[:20]) > 0).all() and (np.diff(shares[19:]) < 0).all()
    assert shares[-1] > 0


def test_the_same_seed_gives_the_same_weights_and_another_does_not(task, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pretrain(small(1), task.sources(), tmp_path / name, seed)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


KILLED = """
import os, signal, sys
from ser.papt import trainer
step, left = trainer.Trainer._step, [int(sys.argv[1])]
def dying_step(self, *arguments):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)
trainer.Trainer._step = dying_step
from ser.cli.main import dispatch
dispatch(sys.argv[2:])
"""


def arguments(task, out: Path, *more: str) -> list[str]:
    return [
        "papt", "--upstream", "scratch:tiny", "--data", str(task.train), "--units", str(task.units),
        "--validation-data", str(task.validation), "--validation-units", str(task.validation_units),
        "--out", str(out), "--optimizer.epochs", "3", "--optimizer.lr", "1e-3", "--batches.seconds", "4",
        "--speaker.width", "8", "--save_every", "2", "--log_every", "3", *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}


@pytest.mark.parametrize("steps", [5, pytest.param(11, marks=pytest.mark.slow)])
def test_killed_and_resumed_is_the_uninterrupted_run_to_the_bit(task, tmp_path, steps, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    dispatch(arguments(task, whole))
    command = [sys.executable, "-c", KILLED, str(steps), *arguments(task, killed)]
    died = subprocess.run(command, check=False, capture_output=True, env=environment())
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert (killed / "checkpoint.pt").is_file() and not (killed / "encoder").exists()
    saved = torch.load(killed / "checkpoint.pt", weights_only=True)["step"]
    assert steps - 2 < saved <= steps

    done, step = [], Trainer._step
    monkeypatch.setattr(Trainer, "_step", lambda *arguments: done.append(1) or step(*arguments))
    dispatch(arguments(task, killed))
    assert len(done) == int(curve(whole)[-1]["step"]) - saved
    first, second = weights(whole), weights(killed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    columns = [name for name in curve(whole)[0] if name != "seconds"]
    assert [[row[name] for name in columns] for row in curve(whole)] == [
        [row[name] for name in columns] for row in curve(killed)
    ]
    assert not (killed / "checkpoint.pt").exists()


def test_what_is_done_is_not_done_again_and_never_replaced_in_silence(task, tmp_path, monkeypatch):
    out = tmp_path / "x"
    pretrain(small(1), task.sources(), out)
    before = (out / "encoder" / "model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr("ser.papt.trainer.Trainer.run", lambda _: pytest.fail("trained again"))
    pretrain(small(1), task.sources(), out)
    with pytest.raises(UserError, match=r"made with other settings.*--restart"):
        pretrain(small(2), task.sources(), out)
    monkeypatch.undo()
    assert (out / "encoder" / "model.safetensors").stat().st_mtime_ns == before
    pretrain(small(2), task.sources(), out, restart=True)
    assert read_yaml(out / "encoder" / "config.yaml")["epochs"] == 2


def test_a_checkpoint_of_something_else_is_refused(task, tmp_path, monkeypatch):
    out, step, left = tmp_path / "x", Trainer._step, [3]

    def interrupted(*parts):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return step(*parts)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dispatch(arguments(task, out))
    with pytest.raises(UserError, match="begun with other settings"):
        dispatch(arguments(task, out, "--optimizer.lr", "2e-3"))
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    state["model"].pop("mask_embedding")
    torch.save(state, out / "checkpoint.pt")
    with pytest.raises(UserError, match="checkpoint of another architecture"):
        dispatch(arguments(task, out))
    (out / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a checkpoint of a pre-training"):
        dispatch(arguments(task, out))


def test_accumulated_batches_are_one_large_batch(task, tmp_path):
    found = []
    for seconds, per_step in ((1000.0, 1), (4.0, 1000)):
        config = small(1, clip=0.0, eps=1e-3)
        config.masking.same_number = False  # otherwise a mask follows from the rows beside it
        config.batches.seconds, config.batches.per_step = seconds, per_step
        out = tmp_path / f"{per_step}"
        pretrain(config, task.sources(), out)
        found.append((weights(out), curve(out)[-1]))
    (large, row), (small_ones, other) = found
    assert float(row["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-5)
    assert float(row["grad_norm"]) == pytest.approx(float(other["grad_norm"]), rel=1e-4)
    assert float(row["feature_penalty"]) == pytest.approx(float(other["feature_penalty"]), rel=1e-5)
    for name, value in large.items():
        torch.testing.assert_close(value, small_ones[name], atol=2e-6, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_are_one(task, tmp_path):
    # Three batches a step: the last step of an epoch may leave a process with nothing.
    more = ("--batches.per_step", "3", "--optimizer.eps", "1e-3")
    dispatch(arguments(task, tmp_path / "one", *more))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29517",
        "-m", "ser.cli", *arguments(task, tmp_path / "two", *more),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300,
        env={**environment(), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=2e-6, rtol=1e-4)
    for ours, theirs in zip(curve(tmp_path / "one"), curve(tmp_path / "two"), strict=True):
        for column in ("train_loss", "grad_norm", "validation_loss", "validation_accuracy"):
            if ours[column]:
                assert float(ours[column]) == pytest.approx(float(theirs[column]), rel=1e-3), column


@pytest.mark.parametrize("fusion", ["first", "prefix", "none"])
def test_every_fusion_trains(pretrained, fusion):
    out = pretrained(fusion)
    trained = weights(out)
    assert ("encoder.speaker.embedding.weight" in trained) == (fusion != "none")
    assert all(torch.isfinite(value).all() for value in trained.values())


def test_all_speakers_and_all_parameters_move(task, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    pretrain(small(1, lr=1e-12), task.sources(), before)
    pretrain(small(3), task.sources(), after)
    first, last = weights(before), weights(after)
    moved = (last["encoder.speaker.embedding.weight"] - first["encoder.speaker.embedding.weight"]).norm(dim=1)
    assert (moved > 1e-4).all()
    # A key's bias adds the same to all scores of a query, and has no gradient.
    still = [n for n in first if torch.equal(first[n], last[n]) and not n.endswith("k_proj.bias")]
    assert not still


@pytest.fixture
def fresh_accelerator():
    """accelerate keeps its precision for the life of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_bf16(task, tmp_path, fresh_accelerator):
    config = small(2)
    config.precision = "bf16"
    pretrain(config, task.sources(), tmp_path / "x")
    trained = weights(tmp_path / "x")
    assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in trained.values())
    if not torch.cuda.is_available():
        config.precision = "fp16"
        with pytest.raises(UserError, match="fp16 needs a GPU"):
            pretrain(config, task.sources(), tmp_path / "y")


def test_a_loss_that_is_no_number_stops_and_names_the_utterances(task, tmp_path, monkeypatch):
    from ser.papt import batches

    original, bad = batches.Collator._wave, "s1-u005"

    def poisoned(self, utterance):
        wave = original(self, utterance).copy()
        if utterance == bad:
            wave[100] = np.nan
        return wave

    monkeypatch.setattr(batches.Collator, "_wave", poisoned)
    with pytest.raises(UserError, match=rf"loss of step \d+ is not finite, in a batch of .*{bad}"):
        pretrain(small(), task.sources(), tmp_path / "x")
    assert not (tmp_path / "x" / "encoder").exists()


def test_broken_audio_is_named(task, tmp_path):
    data = write_data(tmp_path / "train", 4, 2)
    units = write_units(tmp_path / "u" / "train", data)
    soundfile.write(data.wav_scp["s1-u001"], np.zeros(0), 16000)
    sources = task.sources()
    sources.data, sources.units = [data.path], [units]
    with pytest.raises(UserError, match="s1-u001"):
        pretrain(small(), sources, tmp_path / "x")


def test_one_speaker_is_allowed_and_said(tmp_path, task, monkeypatch):
    data = write_data(tmp_path / "train", 5, 1)
    sources = task.sources()
    sources.data, sources.units = [data.path], [write_units(tmp_path / "u" / "train", data)]
    said = []
    monkeypatch.setattr("ser.papt.start.log.warning", lambda text, *values: said.append(text % values))
    pretrain(small(1), sources, tmp_path / "x")
    assert len(said) == 1 and said[0].startswith("one speaker")


def test_unseen_validation_speakers_can_be_refused(task, tmp_path):
    config = small()
    config.validation.unseen = "refuse"
    with pytest.raises(UserError, match="validation speaker without an embedding"):
        pretrain(config, task.sources(validation=True), tmp_path / "x")
    config.validation.unseen, config.validation.share = "zero", 0.2
    with pytest.raises(UserError, match=r"validation data and validation\.share"):
        pretrain(config, task.sources(validation=True), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer.warmup", "2"], r"optimizer\.warmup must be between 0 and 1"),
        (["--speaker.fusion", "middle"], "middle"),
        (["--batches.secnds", "3"], r"nearest known name is .*batches\.seconds"),
        (["--objective.temperature", "0"], r"objective\.temperature must be above 0"),
        (["--upstream", "fbank"], "can be pre-trained"),
        (["--objective.heads", "checkpoint"], "has no heads"),
        (["--data", "no/such"], "no such data directory"),
        (["--units", "no/such"], "no such file"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(task, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as caught:
        dispatch(arguments(task, tmp_path / "x", *options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x").exists()


def test_a_configuration_file_and_a_checkpoint_with_heads(task, tmp_path):
    hubert = write_hubert(tmp_path / "hubert.pt", large=True)
    (tmp_path / "papt.yaml").write_text(
        yaml.safe_dump(
            {"objective": {"heads": "checkpoint"}, "optimizer": {"epochs": 1, "lr": 1e-12, "lr_new": 1e-2}}
        )
    )
    out = tmp_path / "x"
    dispatch(
        ["papt", "--config", str(tmp_path / "papt.yaml"), "--upstream", f"s3prl:hubert_local:{hubert}",
         "--data", str(task.train), "--units", str(task.units), "--out", str(out), "--seed", "3"]
    )  # fmt: skip
    about = read_yaml(out / "encoder" / "config.yaml")
    assert about["seed"] == 3 and about["source"]["checkpoint"] and about["normalise_epsilon"] == 1e-5
    state, trained = torch.load(hubert, weights_only=True)["model_weight"], weights(out)
    # Only what is new has a rate of its own.
    torch.testing.assert_close(trained["label_embeddings"], state["label_embs_concat"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(trained["final_proj.weight"], state["final_proj.weight"], atol=1e-6, rtol=1e-5)
    assert trained["encoder.speaker.embedding.weight"].shape == (4, 256)
