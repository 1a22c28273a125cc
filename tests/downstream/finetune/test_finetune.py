"""Fine-tuning of whole experiments: small random encoders on tones."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.config import TaskConfig, ValidationConfig
from ser.downstream.examples import load_labels
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune import fit as finetune_fit
from ser.downstream.finetune.batches import AudioSet, crop, divide, plan_epoch
from ser.downstream.finetune.config import (
    BatchConfig,
    EncoderConfig,
    FinetuneConfig,
    InterpreterConfig,
    OptimizerConfig,
    PoolingConfig,
)
from ser.downstream.finetune.fit import FineTuning
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.finetune.trainable import CNN
from ser.downstream.fit import Task
from ser.downstream.predict import predict_experiment
from ser.metrics.categorical import confusion, uar
from ser.metrics.continuous import ccc
from ser.upstream import load_upstream
from tests.downstream.tones import CLASSES, write_tones
from tests.papt.conftest import pretrained, task  # noqa: F401  (fixtures)
from tests.upstream.models import save

BOTH = TaskConfig(attributes=["arousal"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory):
    """``encoder(kind)``: name of a small random upstream."""
    made: dict[str, str] = {}

    def make(kind: str = "hubert-large") -> str:
        if kind not in made:
            made[kind] = f"hf:{save(kind, tmp_path_factory.mktemp('models') / kind)}"
        return made[kind]

    return make


def quick(epochs: int = 2, **options) -> FinetuneConfig:
    """A configuration that is done in a second."""
    given = {
        "task": BOTH,
        "interpreter": InterpreterConfig([8], 0.2),
        "batches": BatchConfig(8, 1.0, 0.3),
        "optimizer": OptimizerConfig(lr=1e-3, head_lr=1e-2, epochs=epochs),
        "validation": ValidationConfig(share=0.3),
    }
    return FinetuneConfig(**(given | options))


def run(corpus: Path, upstream: str, folder: Path, config: FinetuneConfig, **options) -> Experiment:
    experiment = Experiment(folder)
    finetune_experiment(config, AudioSources(corpus, upstream), experiment, **options)
    return experiment


def model_of(experiment: Experiment, fold: str = "a") -> dict[str, torch.Tensor]:
    return load_file(experiment.fold_dir(0, fold) / "model.safetensors")


def bytes_of(experiment: Experiment, fold: str = "a") -> bytes:
    return (experiment.fold_dir(0, fold) / "model.safetensors").read_bytes()


def test_it_learns_what_is_there(encoder, tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, speakers="abcdef", utterances=12)
    config = FinetuneConfig(
        task=BOTH,
        encoder=EncoderConfig("no_cnn"),
        interpreter=InterpreterConfig([16], 0.0),
        batches=BatchConfig(12, 8.0, 0.0),
        optimizer=OptimizerConfig(lr=3e-3, head_lr=1e-2, epochs=12, patience=12),
    )
    experiment = run(corpus, encoder("whisper-encoder"), tmp_path / "exp", config, only_fold="a")
    predict_experiment(experiment, ["train", "validation", "test"])
    fold = experiment.fold_dir(0, "a")
    found, data = ArkReader(fold / "test" / "pred.scp"), DataDir.load(corpus)
    right = [CLASSES[int(found[u][:2].argmax())] == data.classes_of()[u] for u in found]
    assert len(right) == 12 and np.mean(right) > 0.8
    arousal = data.attribute("arousal")
    assert np.corrcoef([(arousal[u], found[u][2]) for u in found], rowvar=False)[0, 1] > 0.5
    fit = read_json(fold / "fit.json")
    assert fit["curve"][-1]["train_loss"] < 0.7 * fit["curve"][0]["train_loss"]
    assert (
        "a" not in fit["validation_speakers"] and fit["trained_parameters"] > 0 and fit["peak_memory_mb"] > 0
    )
    info = read_yaml(experiment.path / "info.yaml")
    assert info["protocol"] == "leave-one-speaker-out, 6 folds" and info["upstream"]["family"] == "whisper"
    assert not (fold / "resume.pt").exists()
    chose = ArkReader(fold / "validation" / "pred.scp")
    assert sorted({data.utt2spk[u] for u in chose}) == fit["validation_speakers"]
    truth = np.array([CLASSES.index(data.classes_of()[u]) for u in chose])
    counts = confusion(truth, np.array([chose[u][:2].argmax() for u in chose]), 2)
    concordance = ccc(np.array([arousal[u] for u in chose]), np.array([chose[u][2] for u in chose]))
    assert (uar(counts) + concordance) / 2 == pytest.approx(fit["validation_metric"], abs=1e-5)


def test_pldc_calibrates_it(corpus: Path, encoder, tmp_path: Path) -> None:
    experiment = run(
        corpus, encoder(), tmp_path / "exp", quick(task=TaskConfig(False, ["arousal"])), only_fold="a"
    )
    dispatch(["predict", str(experiment.path), "--parts", "[train,validation,test]"])
    dispatch(["calibrate", str(experiment.path), "--k", "1", "--out", str(tmp_path / "pldc")])
    calibrated = ArkReader(tmp_path / "pldc" / "seed0" / "folda" / "test" / "pred.scp")
    assert len(calibrated) == 8


@pytest.mark.parametrize("kind", ["hubert-base", "whisper-encoder", "w2v-bert-relative"])
def test_micro_batches_change_no_gradient(corpus: Path, encoder, kind: str) -> None:
    """Real encoders, utterances of different lengths: padding, replay, BatchNorm and dropout in the head."""
    found = []
    for seconds in (0.1, 1.0, 100.0):
        config = quick(batches=BatchConfig(8, seconds, 0.3), encoder=EncoderConfig("all"))
        fit = make_fit(corpus, encoder(kind), config)
        gradients, count = gradients_of(fit)
        assert count == {0.1: 8, 100.0: 1}.get(seconds, count)
        found.append(gradients)
    for other in found[1:]:
        assert_same_gradients(found[0], other)


@pytest.mark.parametrize(
    ("encoding", "pooling"),
    [
        (EncoderConfig("all", layer="attm", merge_up_to=2), PoolingConfig(lstm=5)),
        (EncoderConfig("all", layer="weighted"), PoolingConfig("attentive")),
        (EncoderConfig("all"), PoolingConfig("attention", width=3)),
        (EncoderConfig("all"), PoolingConfig("mean+std", lstm=4)),
    ],
)
def test_micro_batches_change_no_gradient_of_merging_and_pooling(
    corpus: Path, encoder, encoding: EncoderConfig, pooling: PoolingConfig
) -> None:
    """One big batch against replayed, kept, sorted and unsorted micro-batches, BatchNorm in the head."""
    plans = [BatchConfig(8, 100.0), BatchConfig(8, 0.1), BatchConfig(8, 1.0, kept_seconds=2.0)]
    plans += [BatchConfig(8, 1.0, order="shuffle")]
    found, counts = [], []
    for batches in plans:
        batches.max_seconds = 0.4
        config = quick(batches=batches, encoder=encoding, pooling=pooling)
        gradients, count = gradients_of(make_fit(corpus, encoder("wavlm-base"), config))
        found.append(gradients)
        counts.append(count)
    assert counts[:2] == [1, 8] and 1 < counts[2] <= counts[3]
    own = [value for name, value in found[0].items() if name.startswith(("pooling.", "layers."))]
    assert own and all(bool(value.any()) for value in own)
    for other in found[1:]:
        assert_same_gradients(found[0], other)


def gradients_of(fit: FineTuning) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients of the first eight utterances' effective batch, and its number of micro-batches."""
    torch.nn.init.normal_(fit.model.head[-1].weight, generator=torch.Generator().manual_seed(0))
    fit.model.train()
    batch, micro, told = fit._read(fit.learn[:8], 1)
    # Gradients before the step changes the model: a learning rate of 0 leaves all as it is.
    for group in fit.optimizer.param_groups:
        group["lr"] = 0.0
    fit.config.optimizer.clip = 0.0
    fit._step(batch, micro, 1, told)
    return {n: p.grad.clone() for n, p in fit.model.named_parameters() if p.requires_grad}, len(micro)


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    largest = max(float(value.norm()) for value in one.values())
    for name, value in one.items():
        scale = max(float(value.norm()), 1e-3 * largest)  # a key's bias has no gradient but rounding
        assert float((value - other[name]).norm()) / scale < 1e-4, name


def make_fit(corpus: Path, upstream: str, config: FinetuneConfig) -> FineTuning:
    data = DataDir.load(corpus)
    audio = AudioSet.load([data], load_upstream(upstream))
    learn = [u for u in data.utterances if not u.startswith("a")]
    held = [u for u in data.utterances if u.startswith("a")]
    labels, outputs = load_labels([data], CLASSES, ["arousal"]), Task(CLASSES, ["arousal"])
    return FineTuning(config, outputs, labels, audio, learn, held, 0, Accelerator(cpu=True))


def test_only_what_is_trained_moves_and_is_kept(corpus: Path, encoder, tmp_path: Path) -> None:
    base = dict(load_upstream(encoder()).named_parameters())
    for trainable in ("no_cnn", "top:1", "none"):
        config = quick(1, encoder=EncoderConfig(trainable))
        state = model_of(run(corpus, encoder(), tmp_path / trainable, config, only_fold="a"))
        kept = {name.removeprefix("upstream."): value for name, value in state.items() if name[0] == "u"}
        assert not any(CNN.search(name) for name in kept)
        assert bool(kept) == (trainable != "none")
        # Where the loss is flat (a key's bias) weights move by rounding, or not at all.
        moved = [name for name in kept if not torch.equal(kept[name], base[name].detach())]
        assert len(moved) >= 0.8 * len(kept)
        assert any(name.startswith("head.") and "running_mean" in name for name in state)


def test_utterance_vectors_are_the_mean_of_its_own_frames(corpus: Path, encoder, tmp_path: Path) -> None:
    """emb.scp of a fold is the time-mean of the fine-tuned encoder's frames, computed here alone."""
    experiment = run(corpus, encoder("hubert-base"), tmp_path / "exp", quick(1), only_fold="a")
    predict_experiment(experiment, ["test", "train"])
    fold = experiment.fold_dir(0, "a")
    upstream = load_upstream(encoder("hubert-base"))
    state = {n.removeprefix("upstream."): v for n, v in model_of(experiment).items() if n[0] == "u"}
    upstream.load_state_dict(state, strict=False)
    vectors, data = ArkReader(fold / "test" / "emb.scp"), DataDir.load(corpus)
    for utterance in list(vectors)[:3]:
        wave = torch.from_numpy(soundfile.read(data.wav_scp[utterance], dtype="float32")[0])[None]
        with torch.inference_mode():
            frames = upstream(wave, torch.tensor([wave.shape[1]])).layers[-1][0]
        np.testing.assert_allclose(vectors[utterance], frames.mean(0), rtol=1e-4, atol=1e-5)
    assert len(ArkReader(fold / "train" / "emb.scp")) == 24


@pytest.mark.parametrize(
    ("layer", "pooling", "dim"),
    [
        ("attm", PoolingConfig(lstm=5), 5),
        ("weighted", PoolingConfig("mean+std"), 64),
        (-1, PoolingConfig("attentive", width=4), 64),
    ],
)
def test_merging_and_pooling_are_learnt_kept_and_predicted_with(
    corpus: Path, encoder, tmp_path: Path, layer: str | int, pooling: PoolingConfig, dim: int
) -> None:
    """emb.scp holds the pooled vector of the fold's own weights, whatever batch an utterance came in."""
    config = quick(2, encoder=EncoderConfig("top:1", layer=layer), pooling=pooling)
    experiment = run(corpus, encoder("wavlm-base"), tmp_path / "exp", config, only_fold="a")
    predict_experiment(experiment, ["test"])
    fold, data = experiment.fold_dir(0, "a"), DataDir.load(corpus)
    vectors = ArkReader(fold / "test" / "emb.scp")
    model = EndToEnd(load_upstream(encoder("wavlm-base")), config.encoder, config.interpreter, 3, [], pooling)
    model.load_trained_state(model_of(experiment))
    utterance = next(iter(vectors))
    wave = torch.from_numpy(soundfile.read(data.wav_scp[utterance], dtype="float32")[0])[None]
    with torch.inference_mode():
        alone = model.eval().embed(Waves(wave, torch.tensor([wave.shape[1]]), ("a",)))[0]
    assert vectors[utterance].shape == (dim,)
    np.testing.assert_allclose(vectors[utterance], alone, rtol=1e-4, atol=1e-5)
    weights = read_json(fold / "fit.json")["layer_weights"]
    assert weights is None if layer == "attm" else sum(weights) == pytest.approx(1)


def test_layer_weights_are_learnt(corpus: Path, encoder, tmp_path: Path) -> None:
    config = quick(2, encoder=EncoderConfig("top:1", layer="weighted"))
    experiment = run(corpus, encoder(), tmp_path / "exp", config, only_fold="a")
    weights = read_json(experiment.fold_dir(0, "a") / "fit.json")["layer_weights"]
    assert sum(weights) == pytest.approx(1) and len(set(weights)) > 1
    predict_experiment(experiment)


def test_resumed_equals_uninterrupted(corpus: Path, encoder, tmp_path: Path, monkeypatch) -> None:
    """Stopped within the second epoch: the first one's state is there, and the end is the same."""
    config = quick(3, encoder=EncoderConfig("no_cnn", dropout=0.2))
    whole = run(corpus, encoder(), tmp_path / "whole", config, only_fold="a")
    step, calls = FineTuning._step, 0

    def dying(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(finetune_fit.FineTuning, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, encoder(), tmp_path / "parts", config, only_fold="a")
    state = tmp_path / "parts" / "seed0" / "folda" / "resume.pt"
    assert torch.load(state, weights_only=True)["epoch"] == 1
    monkeypatch.undo()
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
    words = [
        "-m", "ser.cli", "finetune", "--data", str(corpus), "--upstream", encoder(), "--fold", "a",
        "--optimizer.epochs", "2", "--batches.size", "8", "--batches.micro_seconds", "1",
    ]  # fmt: skip
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launcher, name in (([sys.executable], "one"), (torchrun, "two")):
        command = [*launcher, *words, "--exp", str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=180, env=environment)
    one, two = (model_of(Experiment(tmp_path / name)) for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-5)
    fits = [read_json(tmp_path / name / "seed0" / "folda" / "fit.json") for name in ("one", "two")]
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


def test_fixed_sets_are_scored_like_any_experiment(encoder, tmp_path: Path) -> None:
    sets = [("train", "abc"), ("dev", "de"), ("test1", "fg"), ("test2", "hi")]
    train, dev, *tests = [write_tones(tmp_path, name, speakers, 4, folds=False) for name, speakers in sets]
    sources = AudioSources(train, encoder(), dev, tests)
    finetune_experiment(quick(1), sources, Experiment(tmp_path / "exp"))
    predict_experiment(Experiment(tmp_path / "exp"), ["train", "validation", "test"])
    fold = tmp_path / "exp" / "seed0" / "fold0"
    assert read_json(fold / "fit.json")["validation_speakers"] == ["d", "e"]
    counts = {
        name: len(ArkReader(fold / name / "pred.scp")) for name in ("train", "validation", "test1", "test2")
    }
    assert counts == {"train": 12, "validation": 8, "test1": 8, "test2": 8}


def test_a_personalised_encoder_hears_who_speaks(pretrained, tmp_path: Path) -> None:  # noqa: F811
    """e_i enters in training and prediction, is not trained unasked, and a stranger is refused beforehand."""
    folder = pretrained("last")
    corpus = write_tones(tmp_path, speakers="012", prefix="s", utterances=6)
    experiment = run(corpus, f"papt:{folder}", tmp_path / "exp", quick(1), only_fold="s0")
    predict_experiment(experiment, ["test"])
    state = model_of(experiment, "s0")
    assert not any("encoder.speaker" in name for name in state) and any("layers.0" in name for name in state)
    upstream = load_upstream(f"papt:{folder}")
    trained = {n.removeprefix("upstream."): v for n, v in state.items() if n[0] == "u"}
    upstream.load_state_dict(trained, strict=False)
    found = ArkReader(experiment.fold_dir(0, "s0") / "test" / "emb.scp")
    data = DataDir.load(corpus)
    utterance = next(iter(found))
    wave = torch.from_numpy(soundfile.read(data.wav_scp[utterance], dtype="float32")[0])[None]
    with torch.inference_mode():
        plain = upstream(wave, torch.tensor([wave.shape[1]])).layers[-1][0].mean(0)
        personal = plain + upstream.vectors_of(["s0"])[0]
    np.testing.assert_allclose(found[utterance], personal, rtol=1e-4, atol=1e-5)
    assert read_yaml(experiment.path / "info.yaml")["transductive"] is True

    everything = quick(1, encoder=EncoderConfig("top:1", speakers=True))
    state = model_of(run(corpus, f"papt:{folder}", tmp_path / "speakers", everything, only_fold="s0"), "s0")
    assert any("encoder.speaker.embedding" in name for name in state)

    stranger = write_tones(tmp_path / "other", speakers="019", prefix="s", utterances=2)
    with pytest.raises(UserError, match=r"no embedding of this speaker: 's9'.*ser speakers"):
        run(stranger, f"papt:{folder}", tmp_path / "none", quick(1))
    assert not (tmp_path / "none").exists()
    mixtures = tmp_path / "spk2papt"
    mixtures.write_text("s9 s0:0.5 s1:0.5\n")
    sources = AudioSources(stranger, f"papt:{folder}", speakers=mixtures)
    finetune_experiment(quick(1), sources, Experiment(tmp_path / "mixed"), only_fold="s9")
    predict_experiment(Experiment(tmp_path / "mixed"))


def test_mixed_precision_runs(corpus: Path, encoder, tmp_path: Path) -> None:
    AcceleratorState._reset_state()  # it is of one precision a process
    experiment = run(corpus, encoder(), tmp_path / "exp", quick(1, precision="bf16"), only_fold="a")
    predict_experiment(experiment)
    assert read_yaml(experiment.path / "info.yaml")["upstream"]["precision"] == "bf16"
    assert all(value.dtype != torch.bfloat16 for value in model_of(experiment).values())
    AcceleratorState._reset_state()


def test_batches_follow_from_the_seed() -> None:
    names = [f"u{i}" for i in range(9)]
    epochs = [plan_epoch(names, 4, 0, epoch) for epoch in (1, 2, 1)]
    assert epochs[0] == epochs[2] != epochs[1]
    assert [len(batch) for batch in epochs[0]] == [4, 5]  # one left over joins the one before
    assert sorted(name for batch in epochs[0] for name in batch) == names
    wave = np.arange(100, dtype=np.float32)
    cuts = [crop(wave, 10, 0, epoch, name) for epoch, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))]
    assert np.array_equal(cuts[0], cuts[1])
    assert len({cut[0] for cut in cuts}) > 1 and all(len(cut) == 10 and np.ptp(cut) == 9 for cut in cuts)
    assert crop(wave, 0, 0, 1, "a") is wave and crop(wave, 100, 0, 1, "a") is wave


def test_micro_batches_are_bounded_and_dealt_out(corpus: Path, encoder) -> None:
    data = DataDir.load(corpus)
    audio = AudioSet.load([data], load_upstream(encoder()))

    class Process:
        num_processes = 2

        def __init__(self, index: int) -> None:
            self.process_index = index

    parts = [divide(audio, data.utterances, 1.0, 0.3, Process(index)) for index in (0, 1)]
    together = parts[0] | parts[1]
    assert not parts[0].keys() & parts[1].keys()
    assert sorted(u for part in together.values() for u in part) == data.utterances
    for part in together.values():
        assert len(part) * max(min(audio.seconds[u], 0.3) for u in part) <= 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--upstream", "fbank"], r"fbank has nothing that can be fine-tuned"),
        (["--encoder.trainable", "top"], r"all, no_cnn, top:<n> or none: 'top'"),
        (["--encoder.trainable", "top:9"], r"has 3 layers .*'top:9'"),
        (["--validation.method", "inner_folds"], r"one validation part: .*Use held_out"),
        (["--batches.size", "1"], r"batches.size must be at least 2: BatchNorm"),
        (["--optimizer.lr", "0"], r"optimizer.lr must be above 0"),
        (["--batches.micro", "1"], r"nearest known name is 'batches"),
        (["--encoder.merge_up_to", "2"], r"encoder.layer is one: '-1'"),
        (["--encoder.layer", "attm", "--encoder.merge_up_to", "9"], r"3 layers: 'encoder.merge_up_to: 9'"),
        (["--pooling.width", "4"], r"pooling.width is attention's.*'mean'"),
        (["--pooling.method", "max"], r"pooling.method"),
        (["--batches.order", "long"], r"batches.order"),
        (["--task.attributes", "[valence]"], r"declares no such attribute: 'valence'"),
        (["--fold", "z"], r"no such fold: 'z'"),
        (["--precision", "fp16"], r"does not have the precision: 'fp16'"),
        (["--speakers", "nowhere"], r"not personalised"),
        (["--optimizer.lr", "1e30"], r"the (loss|gradient) of step \d+ .*batch of .-all.*Lower"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(
    corpus: Path, encoder, tmp_path: Path, options: list[str], message: str
) -> None:
    argv = [
        "finetune",
        "--data",
        corpus,
        "--upstream",
        encoder(),
        "--exp",
        tmp_path / "exp",
        "--batches.size",
        "8",
    ]
    if not torch.cuda.is_available() or "fp16" not in options:
        with pytest.raises(UserError, match=message):
            dispatch([str(word) for word in [*argv, *options]])
    assert not list((tmp_path / "exp").glob("seed*/fold*/fit.json"))


def broken_corpus(corpus: Path, folder: Path) -> Path:
    """The corpus with a missing file, and one whose samples are not numbers, which no header tells."""
    data = folder / "data" / "all"
    shutil.copytree(corpus, data)
    lines = (data / "wav.scp").read_text().splitlines()
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    lines[9] = f"{lines[9].split()[0]} {folder / 'nan.wav'}"
    (data / "wav.scp").write_text(
        "\n".join([f"{lines[0].split()[0]} {folder / 'gone.wav'}", *lines[1:]]) + "\n"
    )
    return data


def test_broken_audio_is_named_or_left_out(corpus: Path, encoder, tmp_path: Path) -> None:
    data = broken_corpus(corpus, tmp_path)
    argv = [
        "finetune",
        "--data",
        str(data),
        "--upstream",
        encoder(),
        "--exp",
        str(tmp_path / "exp"),
        "--fold",
        "c",
    ]
    with pytest.raises(UserError, match=r"1 of 32 utterances cannot be used: .*a-all00.*--skip-broken"):
        dispatch(argv)
    dispatch([*argv, "--skip-broken", "--optimizer.epochs", "1", "--batches.size", "8"])
    left_out = read_json(tmp_path / "exp" / "seed0" / "foldc" / "fit.json")["left_out"]
    assert sorted(left_out) == ["a-all00", "b-all01"]
    predict_experiment(Experiment(tmp_path / "exp"), ["train"])
    assert len(ArkReader(tmp_path / "exp" / "seed0" / "foldc" / "train" / "pred.scp")) == 22


def test_audio_that_breaks_while_training_is_named(corpus: Path, encoder, tmp_path: Path) -> None:
    data = broken_corpus(corpus, tmp_path)
    lines = (corpus / "wav.scp").read_text().splitlines()
    wrong = (data / "wav.scp").read_text().splitlines()
    (data / "wav.scp").write_text("\n".join([lines[0], *wrong[1:]]) + "\n")
    with pytest.raises(UserError, match=r"b-all01.*not finite.*--skip-broken"):
        run(data, encoder(), tmp_path / "exp", quick(1), only_fold="c")


def test_a_loss_that_is_not_finite_names_the_batch(
    corpus: Path, encoder, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(finetune_fit, "task_loss", lambda outputs, *_, **__: outputs.sum() * float("nan"))
    with pytest.raises(UserError, match=r"loss of step 1 \(epoch 1\) is nan, on the batch of [b-d]-all\d\d"):
        run(corpus, encoder(), tmp_path / "exp", quick(1), only_fold="a")
    log = (tmp_path / "exp" / "seed0" / "folda" / "train.log").read_text()
    assert sum(f"-all0{number}" in log for number in range(8)) >= 3


def test_too_little_to_learn_from(encoder, tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, speakers="abc", utterances=1)
    with pytest.raises(UserError, match=r"effective batch of one utterance"):
        run(corpus, encoder(), tmp_path / "exp", quick(1), only_fold="a")


def test_what_changed_is_not_predicted(corpus: Path, encoder, tmp_path: Path) -> None:
    """Another upstream under the same name, or other labels: no number is made of them."""
    data, model = tmp_path / "data" / "all", tmp_path / "model"
    shutil.copytree(corpus, data)
    save("hubert-large", model)
    experiment = run(data, f"hf:{model}", tmp_path / "exp", quick(1), only_fold="a")
    text = (data / "utt2emo").read_text()
    (data / "utt2emo").write_text(text.replace("hoarse", "clear", 1))
    with pytest.raises(UserError, match=r"trained on other data"):
        predict_experiment(experiment)
    (data / "utt2emo").write_text(text)
    predict_experiment(experiment)
    shutil.rmtree(model)
    save("wav2vec2-base", model)
    with pytest.raises(UserError, match=r"another upstream"):
        predict_experiment(experiment)
