"""Adapted experiments: they are like any other, what is planted is found, and mistakes are one message."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_text
from ser.data.arks import ArkReader, ArkWriter
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.saved import SavedModel
from ser.downstream.train import train_experiment
from ser.metrics.continuous import ccc
from ser.personalise.adaptation import AdaptationConfig
from ser.personalise.adapted import adapt_experiment
from ser.personalise.similar import Selection
from ser.scoring.score import score_experiment
from tests.downstream.corpus import DIM, LAYERS, make_set
from tests.personalise.experiments import CONFIG, QUICK, adapted_to, functionals_of, trained


def test_global_and_per_speaker_experiments_are_like_any_other(fixed: Experiment):
    dispatch(["adapt", str(fixed.path), "--functionals", str(functionals_of(fixed)), "--strategy", "unique",
              "--epochs", "2", "--selection.neighbours", "2"])  # fmt: skip
    dispatch(["adapt", str(fixed.path), "--functionals", str(functionals_of(fixed)), "--per-speaker",
              "--weight", "0.5", "--epochs", "2"])  # fmt: skip
    one, each = (fixed.path.with_name(f"toy_adapt_{name}") for name in ("unique", "weighting_speaker"))
    data = fixed.path.parent.parent / "data"
    for out in (one, each):
        for part, speakers in (("one", "hi"), ("two", "ij")):
            names = [f"{speaker}-{part}{number:03d}" for speaker in speakers for number in range(12)]
            assert list(ArkReader(out / "seed0" / "fold0" / part / "pred.scp")) == names
            assert list(ArkReader(out / "seed0" / "fold0" / part / "emb.scp")) == names
            assert score_experiment(out, data / part, part).scores is not None
        lines = (out / "seed0" / "fold0" / "similar.tsv").read_text().splitlines()[1:]
        assert [line.split("\t")[0] for line in lines] == ["h", "i", "j"]
        counts = read_json(out / "seed0" / "fold0" / "fit.json")["adaptation"]["counts"]
        named = [word.split(":")[0] for line in lines for word in line.split("\t")[1].split()]
        assert {speaker: named.count(speaker) for speaker in "abcd"} == counts
    words = read_yaml(one / "info.yaml")["options"][-1]
    assert words.startswith(
        "adapted by unique (after Sridhar & Busso), one model for all test speakers, 2 sim"
    )
    assert words.endswith("by toy, PCA 0.95, GMM 5, lr x 0.1, at most 2 epochs (transductive)")
    assert "lambda 0.5, one model a test speaker, 10 sim" in read_yaml(each / "info.yaml")["options"][-1]
    assert read_yaml(each / "info.yaml")["transductive"] is True
    pooled = ArkReader(functionals_of(fixed) / "two" / "pooled_mean.scp")
    for speaker in "ij":
        saved = SavedModel.load(each / "seed0" / "fold0" / "speakers" / f"{speaker}.safetensors")
        utterance = f"{speaker}-two003"
        with torch.inference_mode():
            expected = saved.predict(saved.model.embed(torch.tensor(pooled[utterance])[None, None]))[0]
        found = ArkReader(each / "seed0" / "fold0" / "two" / "pred.scp")[utterance]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # One model for all: the other parts can be predicted, and PLDC comes on top.
    dispatch(["predict", str(one), "--parts", "[train,validation,test]"])
    dispatch(["calibrate", str(one), "--k", "2"])
    assert len(read_yaml(one.with_name(f"{one.name}_pldc_sigma") / "info.yaml")["options"]) == len(
        read_yaml(one / "info.yaml")["options"]) + 1  # fmt: skip


def test_one_test_set_alone(fixed: Experiment, tmp_path: Path):
    out = adapted_to(fixed, tmp_path / "out", test_sets=["two"])
    fold = out.fold_dir(0, "0")
    assert (fold / "two" / "pred.scp").is_file() and not (fold / "one").exists()
    assert [line[0] for line in (fold / "similar.tsv").read_text().splitlines()[1:]] == ["i", "j"]


def test_cross_validated_fold_by_fold_resumed_and_kept(crossed: Experiment, tmp_path: Path):
    out = adapted_to(crossed, tmp_path / "out")
    models = {path: path.read_bytes() for path in sorted(out.path.rglob("model.safetensors"))}
    assert len(models) == 6
    predicted = [u for each in out.path.glob("seed0/fold*/test/pred.scp") for u in ArkReader(each)]
    assert len(set(predicted)) == len(predicted) == 72
    for fold in "abcdef":
        report = read_json(out.fold_dir(0, fold) / "fit.json")["adaptation"]
        assert fold not in report["counts"] and sum(report["counts"].values()) == 2
    (out.fold_dir(0, "b") / "fit.json").unlink()  # as if killed before it was finished
    stamps = {path: path.stat().st_mtime_ns for path in models}
    adapted_to(crossed, out.path)
    assert models == {path: path.read_bytes() for path in models}
    changed = [path.parent.name for path in models if path.stat().st_mtime_ns != stamps[path]]
    assert changed == ["foldb"]
    adapted_to(crossed, out.path, dataclasses.replace(QUICK, strategy="unique"))
    assert all(path.read_bytes() != models[path] for path in models)


def test_nobodys_voice_is_adapted_to_nobody(tmp_path: Path):
    experiment = trained(tmp_path)
    data = tmp_path / "data" / "two"
    for table in ("utt2spk", "spk2utt"):
        text = (data / table).read_text()
        renamed = (
            text.replace(" j\n", " unknown-j\n") if table == "utt2spk" else text.replace("j j", "unknown-j j")
        )
        assert renamed != text
        write_text(data / table, renamed)
    shutil.rmtree(experiment.path)
    train_experiment(*_as_saved(tmp_path), experiment)
    predict_experiment(experiment)
    out = adapted_to(experiment, tmp_path / "out", dataclasses.replace(QUICK, per_speaker=True))
    before, after = (ArkReader(each.fold_dir(0, "0") / "two" / "pred.scp") for each in (experiment, out))
    for utterance in before:
        assert np.array_equal(before[utterance], after[utterance]) == utterance.startswith("j")
    assert [path.stem for path in sorted(out.path.rglob("speakers/*"))] == ["h", "i"]


def _as_saved(folder: Path) -> tuple[TrainConfig, Sources]:
    data, feats = folder / "data", folder / "feats" / "toy"
    tests = [data / "one", data / "two"], [feats / "one", feats / "two"]
    return CONFIG, Sources(data / "train", feats / "train", data / "validation", feats / "validation", *tests)


def planted_gain(folder: Path, strength: float, seed: int, strategy: str) -> float:
    """Gain in CCC on speakers of one family; the other half of the training speakers say it otherwise.

    Two features tell arousal in both families, but with weights that differ by ``strength``; functionals
    tell the families apart.
    """
    rng = np.random.default_rng([seed, 17])
    mixtures = np.array([[1.0, strength], [1.0, -strength]])
    sets, functionals = {}, folder / "feats" / "heard"
    members = {"train": "abcdef", "validation": "ghij", "test": "klmn"}
    for name, speakers in members.items():
        data, feats = make_set(folder, name, list(speakers), utterances=30, seed=seed)
        arousal = dict(line.split() for line in (data / "utt2arousal").read_text().splitlines())
        (functionals / name).mkdir(parents=True)
        with (
            ArkWriter(feats / "pooled_mean") as pooled,
            ArkWriter(functionals / name / "pooled_mean") as heard,
        ):
            for utterance, value in arousal.items():
                family = members[name].index(utterance[0]) % 2 if name == "train" else 0
                cues = rng.normal(size=2)
                # The cue is the arousal's part that the family's weights pick out, and noise beside it.
                cues += ((float(value) - 4) - mixtures[family] @ cues) * mixtures[family] / (
                    mixtures[family] @ mixtures[family])  # fmt: skip
                layers = rng.normal(size=(LAYERS, DIM))
                layers[:, :2] += cues
                pooled.write(utterance, layers)
                heard.write(utterance, rng.normal(size=(1, DIM)) + 3 * family)
        shutil.copy(feats / "meta.yaml", functionals / name / "meta.yaml")
        sets[name] = data, feats
    sources = Sources(*sets["train"], *sets["validation"], *([each] for each in sets["test"]))
    config = TrainConfig(task=TaskConfig(emotion=False, attributes=["arousal"]),
                         optimizer=OptimizerConfig(lr=0.05, epochs=15, patience=15))  # fmt: skip
    experiment = Experiment(folder / "exp" / "toy")
    train_experiment(config, sources, experiment)
    predict_experiment(experiment)
    how = AdaptationConfig(strategy=strategy, weight=3.0, lr_factor=0.3, epochs=15, patience=5,
                           selection=Selection(neighbours=3, components=1))  # fmt: skip
    adapt_experiment(experiment, Experiment(folder / "exp" / "adapted"), functionals, how)
    truth = dict(line.split() for line in (sets["test"][0] / "utt2arousal").read_text().splitlines())
    scores = []
    for name in ("toy", "adapted"):
        found = ArkReader(folder / "exp" / name / "seed0" / "fold0" / "test" / "pred.scp")
        pairs = np.array([(float(truth[u]), found[u][0]) for u in found])
        scores.append(ccc(pairs[:, 0], pairs[:, 1]))
    counts = read_json(folder / "exp" / "adapted" / "seed0" / "fold0" / "fit.json")["adaptation"]["counts"]
    assert counts == {"a": 4, "b": 0, "c": 4, "d": 0, "e": 4, "f": 0}
    return scores[1] - scores[0]


@pytest.mark.parametrize("strategy", ["unique", "oversampling", "weighting"])
def test_the_planted_family_is_adapted_to(tmp_path: Path, strategy: str):
    gains = {
        strength: [
            planted_gain(tmp_path / f"{strength}{seed}", strength, seed, strategy) for seed in range(2)
        ]
        for strength in (0.0, 1.0)
    }
    assert min(gains[1.0]) > 0.05
    assert np.abs(gains[0.0]).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weight", "-1"], "--weight must be at least 0"),
        (["--lr_factor", "0"], "--lr_factor must be above 0"),
        (["--selection.variance", "2"], "must be between 0 and 1"),
        (["--selection.neighbours", "0"], "--selection.neighbours must be at least 1"),
        (["--strategy", "best"], "strategy"),
        (["--test-sets", "[three]"], "no such test set: 'three'. There are: one, two"),
        (["--functionals", "nowhere"], "no such functionals. Run 'ser extract"),
        (["--out", "{exp}"], "something else than an adapted experiment"),
    ],
)
def test_mistakes_are_one_line(fixed: Experiment, tmp_path: Path, arguments: list[str], message: str):
    given = ["--functionals", str(functionals_of(fixed)), "--out", str(tmp_path / "out")]
    arguments = [each.format(exp=fixed.path) for each in arguments]
    with pytest.raises(UserError) as caught:
        dispatch(["adapt", str(fixed.path), *given, *arguments])
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_no_longer_what_was_trained_on_is_refused(tmp_path: Path):
    experiment = trained(tmp_path)
    table = tmp_path / "data" / "train" / "utt2arousal"
    lines = table.read_text().splitlines()
    write_text(table, "\n".join([f"{lines[0].split()[0]} 1.0", *lines[1:]]) + "\n")
    with pytest.raises(UserError, match="trained on other data"):
        adapted_to(experiment, tmp_path / "out")


def test_test_speakers_must_be_others(tmp_path: Path):
    sets = [make_set(tmp_path, name, list("abc")) for name in ("train", "validation", "test")]
    experiment = Experiment(tmp_path / "exp" / "leak")
    train_experiment(CONFIG, Sources(*sets[0], *sets[1], [sets[2][0]], [sets[2][1]]), experiment)
    with pytest.raises(UserError, match="3 test speakers among the training speakers: a, b, c"):
        adapted_to(experiment, tmp_path / "out")


def test_a_fine_tuned_experiment_is_sent_elsewhere(tmp_path: Path, fixed: Experiment):
    copy = Experiment(tmp_path / "tuned")
    shutil.copytree(fixed.path, copy.path)
    write_text(copy.path / "config.yaml", "finetune: {}\nsources: {}\n")
    with pytest.raises(UserError, match="goes on from features"):
        adapt_experiment(copy, Experiment(tmp_path / "out"), functionals_of(fixed), QUICK)
