"""An experiment on another corpus: predicted, mapped, scored, set in the matrix."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_yaml, write_text, write_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.table import read_table
from ser.downstream.config import ModelConfig, OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.examples import load_examples
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.saved import SavedModel
from ser.downstream.train import train_experiment
from ser.scoring.schema import Scores
from ser.scoring.tables.matrix import write_matrix
from tests.downstream.corpus import make_set

FAST = OptimizerConfig(lr=0.02, epochs=20)


def relabel(data: Path, corpus: str, names: dict[str, str], attribute: str, low: float, high: float) -> Path:
    """Another corpus with the same utterances: its own names of classes and attribute, its own range."""
    labels = read_yaml(data / "labels.yaml")
    labels |= {"corpus": corpus, "classes": sorted({names[name] for name in labels["classes"]})}
    labels["attributes"] = {attribute: {"min": low, "max": high}}
    write_yaml(data / "labels.yaml", labels)
    emo, arousal = read_table(data / "utt2emo"), read_table(data / "utt2arousal")
    moved = {u: low + (float(value) - 1) * (high - low) / 6 for u, value in arousal.items()}
    (data / "utt2arousal").unlink()
    write_text(data / f"utt2{attribute}", "".join(f"{u} {value:.6f}\n" for u, value in moved.items()))
    write_text(data / "utt2emo", "".join(f"{u} {names[name]}\n" for u, name in emo.items()))
    return data


@pytest.fixture(scope="module")
def exp(tmp_path_factory) -> Path:
    """Two seeds of three folds on classes and arousal of the corpus 'toy'."""
    folder = tmp_path_factory.mktemp("toy")
    sources = Sources(*make_set(folder, "all", list("abc"), folds=True))
    config = TrainConfig(task=TaskConfig(attributes=["arousal"]), optimizer=FAST)
    for seed in (0, 1):
        train_experiment(config, sources, Experiment(folder / "exp" / "tag"), seed=seed)
    predict_experiment(Experiment(folder / "exp" / "tag"))
    dispatch(["score", str(folder / "exp" / "tag"), "--data", str(sources.data), "--draws", "50"])
    return folder / "exp" / "tag"


def make_other(folder: Path, corpus: str = "other", **changes) -> tuple[Path, Path]:
    data, feats = make_set(folder, "test", list("uvwxyz"))
    same = {"calm": "calm", "happy": "happy", "sad": "sad"}
    how = {"names": same, "attribute": "arousal", "low": 1, "high": 7} | changes
    return relabel(data, corpus, **how), feats


def score(exp: Path, data: Path, feats: Path, *words: object) -> Scores:
    command = ["score", "--model", exp, "--data", data, "--feats", feats, "--draws", 50, *words]
    dispatch([str(word) for word in command])
    corpus = read_yaml(data / "labels.yaml")["corpus"]
    return Scores.read(exp / "cross" / corpus / data.name / "scores.json")


def test_each_seed_is_the_mean_of_its_folds(exp: Path, tmp_path: Path) -> None:
    data, feats = make_other(tmp_path)
    scores = score(exp, data, feats)
    assert scores.seeds == [0, 1] and scores.folds == ["mean of 3 folds"]
    found = dict(ArkReader(exp / "cross" / "other" / "test" / "seed1" / "pred.scp"))
    examples = load_examples([(DataDir.load(data), feats)], [], [], 1, "global")
    members = [SavedModel.load(path) for path in sorted(exp.glob("seed1/fold*/model.safetensors"))]
    pooled = examples.pooled.take(examples.rows(examples.utterances))
    expected = np.mean([m.predict(m.model.embed(pooled)).detach().numpy() for m in members], axis=0)
    np.testing.assert_allclose(np.stack([found[u] for u in examples.utterances]), expected, atol=1e-6)
    assert scores.classification.metrics["UAR"].value > 0.6  # it is the same kind of data
    assert scores.attributes["arousal"].metrics["PCC"].value > 0.3
    assert scores.info["protocol"] == "cross-corpus, trained on toy"


def test_other_names_and_ranges_change_no_score(exp: Path, tmp_path: Path) -> None:
    plain = score(exp, *make_other(tmp_path / "plain"))
    renamed = score(
        exp,
        *make_other(
            tmp_path / "renamed", "renamed", names={"calm": "calm", "happy": "Joy", "sad": "SAD"},
            attribute="act", low=-1, high=1,
        ),
    )  # fmt: skip
    assert renamed.classification.classes == ["calm", "happiness", "sadness"]
    assert renamed.classification.confusion == plain.classification.confusion
    assert renamed.classification.metrics == plain.classification.metrics
    assert renamed.attributes["arousal"].range == [-1, 1]
    for metric, factor in (("O-CCC", 1), ("A-CCC", 1), ("PCC", 1), ("MAE", 3)):
        ours, theirs = (each.attributes["arousal"].metrics[metric] for each in (plain, renamed))
        for end in ("value", "low", "high"):
            assert getattr(ours, end) == pytest.approx(factor * getattr(theirs, end), abs=1e-4)
    assert renamed.info["cross"]["attributes"]["arousal"] == {
        "model": "arousal", "data": "act", "from": [1, 7], "to": [-1, 1],
    }  # fmt: skip


def test_classes_that_one_side_has_are_left_out_and_counted(exp: Path, tmp_path: Path, capsys) -> None:
    names = {"calm": "pride", "happy": "happiness", "sad": "sadness"}
    data, feats = make_other(tmp_path, "proud", names=names)
    emo = read_table(data / "utt2emo")
    scores = score(exp, data, feats)
    lost = sum(name == "pride" for name in emo.values())
    assert scores.classification.classes == ["happiness", "sadness"]
    assert scores.classification.unlabelled == lost and scores.classification.scored == len(emo) - lost
    assert scores.info["cross"]["left_out"] == {"pride": lost}
    assert scores.info["cross"]["classes"]["model_only"] == ["calm"]
    assert scores.attributes["arousal"].scored == len(emo)  # an attribute is scored on all
    # Of two classes the more probable one wins, however probable the third is.
    raw = ArkReader(exp / "cross" / "proud" / "test" / "seed0" / "pred.scp")
    expected = [int(raw[u][2] > raw[u][1]) for u in scores.utterances.ids]
    assert scores.utterances.seeds[0].predicted == expected
    said = capsys.readouterr().out
    assert f"Of the data only, left out of the classes: pride {lost}." in said
    assert "Of the model only: calm; probabilities are those given a shared class." in said


def test_a_mapping_of_one_s_own(exp: Path, tmp_path: Path) -> None:
    names = {"calm": "serene", "happy": "happiness", "sad": "sadness"}
    data, feats = make_other(tmp_path, "serene", names=names)
    write_yaml(
        tmp_path / "m.yaml", {"classes": {"calm": ["serene"], "happiness": ["happy"], "sadness": ["sad"]}}
    )
    scores = score(exp, data, feats, "--mapping", tmp_path / "m.yaml")
    assert scores.classification.classes == ["calm", "happiness", "sadness"]
    assert scores.classification.unlabelled == 0


def test_a_speaker_s_other_audio_is_used_where_it_was_in_training(tmp_path: Path) -> None:
    sources = Sources(*make_set(tmp_path / "toy", "all", list("abc"), folds=True))
    experiment = Experiment(tmp_path / "exp")
    train_experiment(
        TrainConfig(model=ModelConfig(standardise="speaker"), optimizer=FAST), sources, experiment
    )
    scores = score(experiment.path, *make_other(tmp_path / "other"))
    assert "per-speaker standardisation (transductive)" in scores.info["options"]


def test_mistakes(exp: Path, tmp_path: Path) -> None:
    data, feats = make_other(tmp_path)
    with pytest.raises(UserError, match="was trained on this corpus, toy"):
        score(exp, *make_other(tmp_path / "same", "toy"))
    write_yaml(feats / "meta.yaml", read_yaml(feats / "meta.yaml") | {"layers": 9})
    with pytest.raises(UserError, match=r"another upstream than that of .*: its layers is 3, this one's 9"):
        score(exp, data, feats)
    with pytest.raises(UserError, match="no such features"):
        score(exp, data, tmp_path / "none")
    with pytest.raises(UserError, match="give either an experiment or --model"):
        dispatch(["score", "--data", str(data)])
    with pytest.raises(UserError, match="give either an experiment or --model"):
        dispatch(["score", str(exp), "--model", str(exp), "--data", str(data)])
    with pytest.raises(UserError, match="an option for --model: '--feats'"):
        dispatch(["score", str(exp), "--data", str(data), "--feats", str(feats)])
    with pytest.raises(UserError, match="--set is not for --model"):
        score(exp, data, feats, "--set", "test")


def test_nothing_in_common_is_told_before_anything_is_done(exp: Path, tmp_path: Path) -> None:
    names = {"calm": "x", "happy": "y", "sad": "z"}
    data, feats = make_other(tmp_path, "far", names=names, attribute="grit")
    with pytest.raises(
        UserError, match=r"no label in common: the model knows calm, happy, sad, arousal, the data x"
    ):
        score(exp, data, feats)
    assert not (exp / "cross" / "far").exists()
    scores = score(exp, data, feats, "--allow-unshared")
    assert scores.classification is None and scores.attributes == {}


def test_an_older_experiment_does_not_tell_its_ranges(exp: Path, tmp_path: Path) -> None:
    old = shutil.copytree(exp, tmp_path / "old")
    info = read_yaml(old / "info.yaml")
    assert info.pop("ranges") == {"arousal": {"min": 1, "max": 7}}
    write_yaml(old / "info.yaml", info)
    with pytest.raises(UserError, match="does not tell the range of an attribute"):
        score(old, *make_other(tmp_path))


def test_the_matrix(exp: Path, tmp_path: Path) -> None:
    data, feats = make_other(tmp_path, names={"calm": "pride", "happy": "happiness", "sad": "sadness"})
    there = score(exp, data, feats)
    far = {"calm": "x", "happy": "y", "sad": "z"}
    score(exp, *make_other(tmp_path / "far", "far", names=far, attribute="grit"), "--allow-unshared")
    files = [
        exp / "scores.json",
        *(exp / "cross" / corpus / "test" / "scores.json" for corpus in ("other", "far")),
    ]
    text, written = write_matrix(files, tmp_path / "out", "Title", "./run.sh")
    assert [path.name for path in written] == ["RESULTS.md", "results.csv"]
    uar = text[text.index("## UAR") :].splitlines()
    assert uar[2] == "| trained on, tested on: | far | other | toy |"
    row = uar[4].split(" | ")
    assert row[0] == "| toy" and row[1] == "– (nothing shared)"
    scored = there.classification.scored
    assert "; 2 classes, n = " + str(scored) in row[2] and "within" not in row[2]
    assert "; 3 classes, n = 36, **within** |" in row[3]
    assert f"{there.classification.metrics['UAR'].value:.3f}".lstrip("0") in row[2]
    assert "## O-CCC, arousal" in text and "- toy on other: Shared classes: happiness" in text
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert {(row["tested_on"], row["within"]) for row in rows} == {("toy", "1"), ("other", "0")}
    again, _ = write_matrix(files[::-1], tmp_path / "out", "Title", "./run.sh")
    assert again == text  # the order of files decides nothing
    with pytest.raises(UserError, match="trained on toy and tested on toy, as"):
        write_matrix([*files, files[0]], tmp_path / "out", "Title", "./run.sh")
    score(exp, data, feats, "--seed", "1")
    with pytest.raises(UserError, match="intervals from other draws"):
        write_matrix(files, tmp_path / "out", "Title", "./run.sh")
