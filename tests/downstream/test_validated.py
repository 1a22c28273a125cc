"""The validation predictions that training leaves: those that chose the epoch, of unheard speakers."""

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig, ValidationConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.metrics.categorical import confusion, uar
from ser.metrics.continuous import ccc
from ser.personalise.experiment import CalibrationConfig, calibrate_experiment
from tests.downstream.corpus import CLASSES, make_set


def metric(folder, data: DataDir) -> float:
    """The mean of UAR and CCC of a folder of predictions."""
    found = dict(ArkReader(folder / "pred.scp"))
    classes, arousal = data.classes_of(), data.attribute("arousal")
    truth = np.array([CLASSES.index(classes[u]) for u in found])
    values = np.stack(list(found.values())).astype(float)
    known = [row for row, u in enumerate(found) if u in arousal]
    concordance = ccc(np.array([arousal[u] for u in found if u in arousal]), values[known, 3])
    return (uar(confusion(truth, values[:, :3].argmax(1), 3)) + concordance) / 2


@pytest.mark.parametrize("method", ["held_out", "inner_folds", "utterances"])
def test_they_are_those_that_chose_the_epoch(tmp_path, method: str) -> None:
    data, feats = make_set(tmp_path, "all", list("abcdef"), folds=True, without_arousal=3)
    config = TrainConfig(
        task=TaskConfig(attributes=["arousal"]), optimizer=OptimizerConfig(lr=0.02, epochs=6),
        validation=ValidationConfig(method=method), search={"optimizer.lr": [0.001, 0.02]},
    )  # fmt: skip
    experiment = Experiment(tmp_path / "exp")
    train_experiment(config, Sources(data, feats), experiment)
    loaded = DataDir.load(data)
    for folder in experiment.fold_dirs():
        fit = read_json(folder / "fit.json")
        columns = read_yaml(folder / "validation" / "columns.yaml")
        assert columns == {"classes": CLASSES, "attributes": ["arousal"]}
        assert metric(folder / "validation", loaded) == pytest.approx(fit["validation_metric"], abs=1e-6)
        heard = list(ArkReader(folder / "validation" / "pred.scp"))
        assert sorted({loaded.utt2spk[u] for u in heard}) == fit["validation_speakers"]
        trained = [u for u in loaded.utterances if loaded.folds()[u] != fit["fold"]]
        assert (sorted(heard) == trained) == (method == "inner_folds") and set(heard) <= set(trained)


def test_ser_predict_says_the_same_of_a_validation_set(tmp_path) -> None:
    sets = {name: make_set(tmp_path, name, speakers)
            for name, speakers in {"train": "abcd", "validation": "ef", "test": "gh"}.items()}  # fmt: skip
    sources = Sources(*sets["train"], *sets["validation"], *([each] for each in sets["test"]))
    experiment = Experiment(tmp_path / "exp")
    train_experiment(TrainConfig(optimizer=OptimizerConfig(lr=0.02, epochs=5)), sources, experiment)
    [folder] = experiment.fold_dirs()
    before = dict(ArkReader(folder / "validation" / "pred.scp"))
    predict_experiment(experiment, ["validation"])
    after = dict(ArkReader(folder / "validation" / "pred.scp"))
    assert before.keys() == after.keys()
    for utterance, value in before.items():
        np.testing.assert_allclose(after[utterance], value, atol=1e-6)


def test_pldc_does_not_choose_k_on_its_own_donors(tmp_path) -> None:
    """In cross-validation the validation speakers lend labels, and would be their own nearest."""
    data, feats = make_set(tmp_path, "all", list("abcd"), folds=True)
    task = TaskConfig(emotion=False, attributes=["arousal"])
    experiment = Experiment(tmp_path / "exp")
    config = TrainConfig(task=task, optimizer=OptimizerConfig(lr=0.02, epochs=2))
    train_experiment(config, Sources(data, feats), experiment)
    predict_experiment(experiment, ["train", "validation", "test"])
    with pytest.raises(UserError, match=r"no validation part to choose k on.*Give --k"):
        calibrate_experiment(experiment, Experiment(tmp_path / "out"), CalibrationConfig())
    calibrate_experiment(experiment, Experiment(tmp_path / "out"), CalibrationConfig(k=2))
