"""PLDC by utterances heard: nested draws, one set of utterances scored, and all of them are PLDC itself."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.metrics.continuous import ccc
from ser.personalise.by_utterances import first_of_each, metrics, parse_counts
from ser.personalise.part import Part
from ser.scoring.score import score_experiment
from tests.downstream.corpus import make_set


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("by_utterances")
    sets = {name: make_set(folder, name, speakers) for name, speakers in
            {"train": "abcde", "validation": "fgh", "test": "ijkl"}.items()}  # fmt: skip
    sources = Sources(*sets["train"], *sets["validation"], [sets["test"][0]], [sets["test"][1]])
    config = TrainConfig(
        task=TaskConfig(emotion=False, attributes=["arousal"]),
        optimizer=OptimizerConfig(lr=0.02, epochs=6, patience=6),
    )
    experiment = Experiment(folder / "exp" / "toy")
    for seed in (0, 1):
        train_experiment(config, sources, experiment, seed=seed)
    predict_experiment(experiment, ["train", "validation", "test"])
    return experiment


def make_part(speakers: int = 3, each: int = 8) -> Part:
    speaker = np.repeat(np.arange(speakers), each)
    names = [f"s{index}" for index in range(speakers)]
    utterances = [f"s{index}-{number:03d}" for number, index in enumerate(speaker)]
    rng = np.random.default_rng(0)
    return Part(utterances, names, speaker, ["a"], rng.normal(size=(24, 1)), rng.normal(size=(24, 4)))


def test_draws_are_nested_and_each_speaker_s_own():
    part = make_part()
    small, large = (first_of_each(part, count, 3) for count in (2, 5))
    assert set(small) < set(large)
    assert np.bincount(part.speaker[large]).tolist() == [5, 5, 5]
    assert first_of_each(part, 99, 3).tolist() == first_of_each(part, None, 3).tolist() == list(range(24))
    assert set(first_of_each(part, 2, 4)) != set(small)
    # Others, and the order, decide nothing.
    rows = np.random.default_rng(1).permutation(np.flatnonzero(part.speaker != 1))
    left = part.take(rows)
    chosen = {left.utterances[row] for row in first_of_each(left, 2, 3)}
    assert chosen == {part.utterances[row] for row in small if part.speaker[row] != 1}


def test_metrics_are_those_of_scoring():
    rng = np.random.default_rng(0)
    labels, speaker = rng.normal(size=40), np.repeat(np.arange(4), 10)
    found = labels + rng.normal(size=40)
    labels[speaker == 2] = 1.0  # a speaker whose labels do not vary has no CCC
    labels[:3] = np.nan
    known = ~np.isnan(labels)
    own = [ccc(labels[known & (speaker == s)], found[known & (speaker == s)]) for s in (0, 1, 3)]
    expected = [ccc(labels[known], found[known]), np.mean(own)]
    np.testing.assert_allclose(metrics(found, labels, speaker), expected)


def test_numbers_and_all():
    assert parse_counts("20, 1,all,5") == [1, 5, 20, None]
    for wrong in ("0", "some", "", "1,,2", "-1"):
        with pytest.raises(UserError, match="--by-utterances wants numbers"):
            parse_counts(wrong)


def test_all_utterances_are_the_calibration_itself(trained: Experiment):
    out = trained.path.with_name("out")
    dispatch(
        ["calibrate", str(trained.path), "--out", str(out), "--by-utterances", "1,6,all", "--draws", "4",
         "--analyse"]
    )  # fmt: skip
    with (out / "by_utterances.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["utterances"], row["metric"]) for row in rows] == [
        (count, metric) for count in ("1", "6", "all") for metric in ("O-CCC", "A-CCC")
    ]
    data = trained.path.parents[1] / "data" / "test"
    scores = [
        score_experiment(path, data, "test").scores.attributes["arousal"] for path in (trained.path, out)
    ]
    for row in rows:
        before, after = (each.metrics[row["metric"]].value for each in scores)
        assert float(row["before"]) == pytest.approx(before, abs=1e-5)
        if row["utterances"] == "all":
            assert float(row["after"]) == pytest.approx(after, abs=1e-5)
        if row["utterances"] == "1":  # sigma of one utterance is undefined: nothing is scaled
            assert float(row["after"]) == pytest.approx(before, abs=1e-5)
        assert float(row["low"]) <= float(row["after"]) <= float(row["high"])
    for name in ("by_utterances_test_arousal.svg", "shift_test_arousal.svg", "correlations.tsv"):
        assert (out / name).is_file()


def test_shifts_are_written_with_the_speakers_ccc_before_and_after(trained: Experiment):
    out = trained.path.with_name("analysed")
    dispatch(["calibrate", str(trained.path), "--out", str(out), "--k", "2", "--analyse"])
    with (out / "shift.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["seed"], row["speaker"]) for row in rows] == [(s, n) for s in "01" for n in "ijkl"]
    labels = DataDir.load(trained.path.parents[1] / "data" / "test").attribute("arousal")
    for row in rows:
        for column, path in (("ccc", trained.path), ("ccc_calibrated", out)):
            found = ArkReader(path / f"seed{row['seed']}" / "fold0" / "test" / "pred.scp")
            own = np.array([(labels[u], found[u][0]) for u in found if u.startswith(row["speaker"])])
            assert float(row[column]) == pytest.approx(ccc(*own.T), abs=1e-5)
        assert float(row["feature_shift"]) > 0 and float(row["label_shift"]) > 0
    assert read_json(out / "seed0" / "fold0" / "fit.json")["calibration"]["k"] == 2


def test_without_labels_there_is_nothing_to_compare_with(trained: Experiment, tmp_path: Path):
    table = trained.path.parents[1] / "data" / "test" / "utt2arousal"
    kept = table.read_text()
    table.unlink()
    try:
        dispatch(["calibrate", str(trained.path), "--out", str(tmp_path / "plain"), "--k", "2"])
        with pytest.raises(UserError, match="no labels of arousal to compare with"):
            dispatch(
                ["calibrate", str(trained.path), "--out", str(tmp_path / "out"), "--k", "2", "--analyse"]
            )
        assert not (tmp_path / "out" / "shift.tsv").exists()
    finally:
        table.write_text(kept)
