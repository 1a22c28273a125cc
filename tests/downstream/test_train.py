"""Training and prediction of whole experiments on a small made-up corpus."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.downstream.config import ModelConfig, OptimizerConfig, TaskConfig, TrainConfig, ValidationConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.saved import SavedModel
from ser.downstream.train import train_experiment
from tests.downstream.corpus import CLASSES, make_set

SPEAKERS = list("abcdef")
FAST = OptimizerConfig(lr=0.02, epochs=12, patience=6)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return Sources(*make_set(tmp_path_factory.mktemp("corpus"), "all", SPEAKERS, folds=True))


def run(sources: Sources, folder: Path, config: TrainConfig, **options) -> Experiment:
    experiment = Experiment(folder)
    train_experiment(config, sources, experiment, **options)
    predict_experiment(experiment)
    return experiment


def predictions(experiment: Experiment, part: str = "test") -> dict[str, np.ndarray]:
    found = {}
    for scp in experiment.path.glob(f"seed*/fold*/{part}/pred.scp"):
        found.update(ArkReader(scp))
    return found


def labels_of(sources: Sources, table: str) -> dict[str, str]:
    return dict(line.split() for line in (sources.data / table).read_text().splitlines())


@pytest.mark.parametrize("method", ["held_out", "inner_folds"])
def test_leave_one_speaker_out_learns_what_is_there(corpus: Sources, tmp_path: Path, method: str) -> None:
    config = TrainConfig(
        task=TaskConfig(attributes=["arousal"]),
        optimizer=FAST,
        validation=ValidationConfig(method=method, folds=2),
    )
    experiment = run(corpus, tmp_path / "exp", config)
    found, truth = predictions(experiment), labels_of(corpus, "utt2emo")
    assert sorted(found) == sorted(truth)
    right = [CLASSES[int(vector[:3].argmax())] == truth[u] for u, vector in found.items()]
    assert np.mean(right) > 0.7  # chance is a third
    for vector in found.values():
        assert vector[:3].sum() == pytest.approx(1, abs=1e-5)
    arousal = labels_of(corpus, "utt2arousal")
    pairs = np.array([(float(arousal[u]), vector[3]) for u, vector in found.items()])
    assert np.corrcoef(pairs.T)[0, 1] > 0.5
    assert abs(pairs[:, 0].mean() - pairs[:, 1].mean()) < 1  # in the label's units
    for fold in experiment.fold_dirs():
        fit = read_json(fold / "fit.json")
        assert fit["fold"] not in fit["validation_speakers"]
        assert sum(fit["layer_weights"]) == pytest.approx(1)
        assert len(fit["curve"]) >= fit["epochs"] >= 1
    assert read_yaml(experiment.path / "info.yaml")["protocol"] == "leave-one-speaker-out, 6 folds"


def test_the_test_speaker_changes_nothing(corpus: Sources, tmp_path: Path) -> None:
    """Other labels and features of the test speaker leave the fold's model as it is, bit for bit."""
    data, feats = make_set(tmp_path / "other", "all", SPEAKERS, folds=True)
    emo = (data / "utt2emo").read_text().splitlines()
    emo = [f"{line.split()[0]} sad" if line.startswith("c-") else line for line in emo]
    (data / "utt2emo").write_text("\n".join(emo) + "\n")
    config = TrainConfig(optimizer=FAST, search={"optimizer.lr": [0.01, 0.02]})
    for sources, name in ((corpus, "one"), (Sources(data, feats), "two")):
        train_experiment(config, sources, Experiment(tmp_path / name), only_fold="c")
    one, two = (tmp_path / name / "seed0" / "foldc" / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_jobs_resume_and_order_give_the_same_models(corpus: Sources, tmp_path: Path) -> None:
    config = TrainConfig(optimizer=OptimizerConfig(lr=0.02, epochs=3))
    whole = Experiment(tmp_path / "whole")
    train_experiment(config, corpus, whole)
    parts = Experiment(tmp_path / "parts")
    train_experiment(config, corpus, parts, job=2, jobs=2)
    assert len(parts.fold_dirs()) == 3
    (parts.path / "seed0" / "foldb" / "fit.json").unlink()  # as if killed before it was finished
    train_experiment(config, corpus, parts)
    for fold in whole.fold_dirs():
        other = parts.path / fold.relative_to(whole.path)
        assert (fold / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_what_is_finished_is_kept_and_what_is_stale_is_not(corpus: Sources, tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "exp")
    config = TrainConfig(optimizer=OptimizerConfig(lr=0.02, epochs=2))
    train_experiment(config, corpus, experiment)
    stamps = {fold: (fold / "fit.json").stat().st_mtime_ns for fold in experiment.fold_dirs()}
    train_experiment(config, corpus, experiment)
    assert stamps == {fold: (fold / "fit.json").stat().st_mtime_ns for fold in experiment.fold_dirs()}
    changed = TrainConfig(optimizer=OptimizerConfig(lr=0.01, epochs=2))
    train_experiment(changed, corpus, experiment, only_fold="a")
    with pytest.raises(UserError, match=r"trained on other data, features or options.*Run stage 8"):
        predict_experiment(experiment)


def test_seeds_differ_and_repeat(corpus: Sources, tmp_path: Path) -> None:
    config = TrainConfig(model=ModelConfig(head="mlp", hidden=4), optimizer=OptimizerConfig(epochs=2))
    for seed in (0, 1):
        train_experiment(config, corpus, Experiment(tmp_path / "exp"), seed=seed, only_fold="a")
    first, second = sorted((tmp_path / "exp").glob("seed*/folda/model.safetensors"))
    assert first.read_bytes() != second.read_bytes()


def test_fixed_sets_and_missing_attributes(tmp_path: Path) -> None:
    train = make_set(tmp_path, "train", list("abcd"), without_arousal=20)
    validation = make_set(tmp_path, "validation", list("ef"))
    tests = [make_set(tmp_path, "test1", list("gh")), make_set(tmp_path, "test2", list("ij"))]
    sources = Sources(*train, *validation, [data for data, _ in tests], [feats for _, feats in tests])
    config = TrainConfig(task=TaskConfig(emotion=False, attributes=["arousal"]), optimizer=FAST)
    experiment = run(sources, tmp_path / "exp", config)
    fold = experiment.path / "seed0" / "fold0"
    assert read_json(fold / "fit.json")["validation_speakers"] == ["e", "f"]
    assert read_yaml(fold / "test2" / "columns.yaml") == {"classes": [], "attributes": ["arousal"]}
    assert (fold / "test1" / "pred.txt").read_text().splitlines()[0].startswith("g-test1000 arousal=")
    assert (
        read_yaml(experiment.path / "info.yaml")["protocol"] == "the corpus's own sets, speaker-independent"
    )
    predict_experiment(experiment, ["train", "validation"])
    assert len(ArkReader(fold / "train" / "emb.scp")) == 48
    assert next(iter(ArkReader(fold / "validation" / "emb.scp").values())).shape == (6,)


def test_functionals_have_no_deviation(tmp_path: Path) -> None:
    """One vector an utterance: std_per_layer falls back to the mean, so no parameter is wasted."""
    sources = Sources(*make_set(tmp_path, "all", SPEAKERS, folds=True, frame_rate=0.0))
    config = TrainConfig(model=ModelConfig(pooling="std_per_layer"), optimizer=OptimizerConfig(epochs=1))
    train_experiment(config, sources, Experiment(tmp_path / "exp"), only_fold="a")
    saved = SavedModel.load(tmp_path / "exp" / "seed0" / "folda" / "model.safetensors")
    assert saved.shape == (1, 3, 6)
    assert read_yaml(tmp_path / "exp" / "info.yaml")["name"] == "layer weights, functionals, linear"
    name, _ = TrainConfig(model=ModelConfig(pooling="std_per_layer")).describe(num_layers=1, frame_rate=100.0)
    assert name == "mean+std, linear"  # of one layer, exactly that


def test_speaker_standardisation_is_named(corpus: Sources, tmp_path: Path) -> None:
    config = TrainConfig(model=ModelConfig(standardise="speaker"), optimizer=OptimizerConfig(epochs=1))
    experiment = run(corpus, tmp_path / "exp", config)
    assert "per-speaker standardisation (transductive)" in read_yaml(experiment.path / "info.yaml")["options"]


def test_utterance_vectors_do_not_depend_on_their_neighbours(corpus: Sources, tmp_path: Path) -> None:
    experiment = run(
        corpus, tmp_path / "exp", TrainConfig(optimizer=OptimizerConfig(epochs=1)), only_fold="a"
    )
    fold = experiment.path / "seed0" / "folda"
    predict_experiment(experiment, ["train"])
    again = SavedModel.load(fold / "model.safetensors")
    means = ArkReader(corpus.feats / "pooled_mean.scp")
    vectors = ArkReader(fold / "train" / "emb.scp")
    import torch

    for utterance in list(vectors)[:3]:
        alone = again.model.embed(torch.tensor(means[utterance])[None, None])[0].detach()
        np.testing.assert_allclose(vectors[utterance], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.poling", "mean"], "nearest known name is 'model.pooling'"),
        (["--model.pooling", "mean+std"], "exact for one layer only"),
        (["--model.layer", "9", "--model.pooling", "mean"], "the upstream has 3 layers: '9'"),
        (["--task.attributes", "[valence]"], "declares no such attribute: 'valence'. Declared: arousal"),
        (["--optimizer.lr", "-1"], "optimizer.lr must be positive"),
        (["--search", '{"optimizer.rate": [1]}'], "nearest known name is 'optimizer.lr"),
        (["--search", '{"optimizer.lr": 1}'], "list"),
        (["--fold", "z"], "no such fold: 'z'. There are: a, b"),
        (["--job", "3", "--nj", "2"], "--job counts from 1 to --nj"),
        (["--feats", "nowhere"], "Run stage 3"),
        (["--optimizer.lr", "1e30", "--model.head", "mlp"], "not finite.*Lower optimizer.lr"),
    ],
)
def test_bad_input_is_one_message(corpus: Sources, tmp_path: Path, options: list[str], message: str) -> None:
    argv = ["train", "--data", corpus.data, "--feats", corpus.feats, "--exp", tmp_path / "exp", *options]
    with pytest.raises(UserError, match=message):
        dispatch([str(word) for word in argv])
    assert not list((tmp_path / "exp").glob("seed*/fold*/fit.json"))


def test_missing_features_are_named(corpus: Sources, tmp_path: Path) -> None:
    feats = tmp_path / "feats"
    shutil.copytree(corpus.feats, feats)
    lines = (feats / "pooled_mean.scp").read_text().splitlines(keepends=True)
    (feats / "pooled_mean.scp").write_text("".join(lines[1:]))
    with pytest.raises(UserError, match=r"1 utterances .*no features: 'a-all000'"):
        train_experiment(TrainConfig(), Sources(corpus.data, feats), Experiment(tmp_path / "exp"))


def test_prediction_without_training_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        dispatch(["predict", str(tmp_path / "exp")])


def test_a_broken_checkpoint_is_named(corpus: Sources, tmp_path: Path) -> None:
    experiment = run(
        corpus, tmp_path / "exp", TrainConfig(optimizer=OptimizerConfig(epochs=1)), only_fold="a"
    )
    model = experiment.path / "seed0" / "folda" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:50])
    with pytest.raises(UserError, match="not a safetensors file"):
        predict_experiment(experiment)


def test_fit_json_is_plain(corpus: Sources, tmp_path: Path) -> None:
    experiment = run(
        corpus, tmp_path / "exp", TrainConfig(optimizer=OptimizerConfig(epochs=1)), only_fold="a"
    )
    text = (experiment.path / "seed0" / "folda" / "fit.json").read_text()
    assert json.loads(text)["seed"] == 0


def test_features_of_two_shapes_are_named(corpus: Sources, tmp_path: Path) -> None:
    feats = Path(shutil.copytree(corpus.feats, tmp_path / "feats"))
    found = dict(ArkReader(feats / "pooled_mean.scp"))
    found[sorted(found)[7]] = np.zeros((2, 6), np.float32)
    with ArkWriter(feats / "pooled_mean") as writer:
        for utterance, value in found.items():
            writer.write(utterance, value)
    with pytest.raises(UserError, match=r"pooled_mean.scp: features of a-all007 have another shape"):
        train_experiment(TrainConfig(), Sources(corpus.data, feats), Experiment(tmp_path / "exp"))
