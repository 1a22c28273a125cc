"""Fine-tuning of whole experiments: small random encoders on tones."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from accelerate.state import AcceleratorState

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.config import TaskConfig
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.config import (
    BatchConfig,
    EncoderConfig,
    FinetuneConfig,
    InterpreterConfig,
    OptimizerConfig,
    PoolingConfig,
)
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.finetune.trainable import CNN
from ser.downstream.predict import predict_experiment
from ser.metrics.categorical import confusion, uar
from ser.metrics.continuous import ccc
from ser.upstream import load_upstream
from tests.downstream.finetune.experiments import BOTH, model_of, quick, run
from tests.downstream.tones import CLASSES, write_tones


def test_it_learns_what_is_there(encoder, tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, speakers="abcdef", utterances=12)
    config = FinetuneConfig(
        task=BOTH,
        encoder=EncoderConfig("no_cnn"),
        interpreter=InterpreterConfig([16], 0.0),
        batches=BatchConfig(12, 8.0, 0.0),
        optimizer=OptimizerConfig(lr=3e-3, head_lr=1e-2, epochs=20, patience=20),
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


def test_a_personalised_encoder_hears_who_speaks(pretrained, tmp_path: Path) -> None:
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
