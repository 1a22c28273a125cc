"""Calibration of whole experiments, and of speakers whose label distributions are planted."""

from pathlib import Path

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.data.arks import ArkReader
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.metrics.continuous import ccc
from ser.personalise.calibration import Donors, calibrate_part, choose_k, mean_ccc
from ser.personalise.experiment import CalibrationConfig, calibrate_experiment
from ser.personalise.moments import moments
from ser.personalise.part import Part, of_known_speakers
from ser.scoring.score import score_experiment
from tests.downstream.corpus import make_set


def planted(strength: float, seed: int, each: int = 40, families: int = 6) -> tuple[Part, np.ndarray]:
    """30 speakers of voice families, each with a spread of labels; the model hears z-scores alone."""
    rng = np.random.default_rng(seed)
    family = np.arange(30) % families
    spread = np.exp(strength * np.linspace(-0.7, 0.7, families))
    voices = np.random.default_rng(7).normal(size=(families, 12))
    speaker = np.repeat(np.arange(30), each)
    heard = rng.normal(size=len(speaker))
    labels = 4 + spread[family[speaker]] * heard
    part = Part(
        [f"s{index:02d}-{number}" for number, index in enumerate(speaker)],
        [f"s{index:02d}" for index in range(30)],
        speaker,
        ["arousal"],
        (4 + 0.8 * heard + 0.3 * rng.normal(size=len(speaker)))[:, None],
        voices[family][speaker] + 0.5 * rng.normal(size=(len(speaker), 12)),
    )
    return part, labels[:, None]


def donors(seed: int, strength: float) -> Donors:
    part, labels = planted(strength, seed)
    renamed = [f"r{name}" for name in part.speakers]
    return Donors(renamed, part.speaker_vectors(), moments(labels, part.speaker, 30))


@pytest.mark.parametrize("seed", range(5))
def test_sigma_recovers_the_planted_scale_and_gains(seed):
    part, labels = planted(1.0, seed)
    outcome = calibrate_part(part, donors(seed + 100, 1.0), 5, "sigma")
    truth = np.exp(np.linspace(-0.7, 0.7, 6))[np.arange(30) % 6]
    np.testing.assert_allclose(outcome.deviation_bar[:, 0], truth, rtol=0.15)
    assert mean_ccc(outcome.predictions, labels) > mean_ccc(part.predictions, labels) + 0.03


def test_without_a_planted_effect_there_is_no_gain():
    gains = []
    for seed in range(20):
        part, labels = planted(0.0, seed)
        # The model's own scale is made right, so that nothing is left but noise.
        part = Part(
            **{
                **vars(part),
                "predictions": labels + 0.3 * np.random.default_rng([seed, 1]).normal(size=labels.shape),
            }
        )
        outcome = calibrate_part(part, donors(seed + 100, 0.0), 5, "sigma")
        gains.append(mean_ccc(outcome.predictions, labels) - mean_ccc(part.predictions, labels))
    assert abs(np.mean(gains)) < 0.01


def test_k_is_the_best_on_validation():
    part, labels = planted(1.0, 3)
    lenders = donors(5, 1.0)
    k, scores = choose_k(part, labels, lenders, "sigma", candidates=(1, 5, 30, 99))
    assert list(scores) == [1, 5, 30]
    assert scores[k] == max(scores.values())
    assert k != 30  # all speakers lend the average, which knows of no family
    for tried, value in scores.items():
        direct = calibrate_part(part, lenders, tried, "sigma").predictions[:, 0]
        assert value == pytest.approx(ccc(labels[:, 0], direct))
    with pytest.raises(UserError, match="Give --k"):
        choose_k(part, np.full_like(labels, np.nan), lenders, "sigma")


def test_enrolment_utterances_decide_and_only_they():
    """Statistics of an enrolment part: the calibrated utterances may come one by one."""
    part, _ = planted(1.0, 0)
    lenders = donors(9, 1.0)
    first = np.flatnonzero(np.arange(len(part.speaker)) % 40 < 20)
    enrolment, rest = part.take(first), part.take(np.setdiff1d(np.arange(len(part.speaker)), first))
    together = calibrate_part(rest, lenders, 5, "both", enrolment=enrolment).predictions
    singly = [
        calibrate_part(rest.take(np.array([row])), lenders, 5, "both", enrolment=enrolment).predictions
        for row in range(0, len(rest.utterances), 50)
    ]
    np.testing.assert_allclose(np.concatenate(singly), together[::50])
    lonely = enrolment.take(np.flatnonzero(enrolment.speaker > 0))
    with pytest.raises(UserError, match="without an enrolment utterance: s00"):
        calibrate_part(rest, lenders, 5, "both", enrolment=lonely)


def test_unknown_speakers_lend_nothing():
    part, _ = planted(1.0, 0)
    named = Part(**{**vars(part), "speakers": ["unknown-1", *part.speakers[1:]]})
    left = of_known_speakers(named)
    assert left.speakers == part.speakers[1:]
    assert len(left.utterances) == len(part.utterances) - 40


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """An experiment on a corpus with sets of its own; two test sets."""
    folder = tmp_path_factory.mktemp("pldc")
    sets = {name: make_set(folder, name, speakers) for name, speakers in
            {"train": "abcd", "validation": "efg", "test-a": "hij", "test-b": "hij"}.items()}  # fmt: skip
    sources = Sources(
        *sets["train"], *sets["validation"], [sets[name][0] for name in ("test-a", "test-b")],
        [sets[name][1] for name in ("test-a", "test-b")],
    )  # fmt: skip
    config = TrainConfig(
        task=TaskConfig(attributes=["arousal"]), optimizer=OptimizerConfig(lr=0.02, epochs=6, patience=6)
    )
    experiment = Experiment(folder / "exp" / "toy")
    train_experiment(config, sources, experiment)
    predict_experiment(experiment, ["train", "validation", "test"])
    return experiment


def test_the_outcome_is_an_experiment_like_any_other(trained: Experiment):
    dispatch(["calibrate", str(trained.path), "--shift", "both"])
    out = trained.path.with_name("toy_pldc_both")
    fold = out / "seed0" / "fold0"
    before, after = (
        ArkReader(each / "test-b" / "pred.scp") for each in (trained.path / "seed0" / "fold0", fold)
    )
    assert sorted(before) == sorted(after)
    for utterance in before:
        np.testing.assert_array_equal(before[utterance][:3], after[utterance][:3])
    k = read_json(fold / "fit.json")["calibration"]["k"]
    info = read_yaml(out / "info.yaml")
    assert info["options"][-1] == f"PLDC both, k {k} by validation (transductive)"
    assert info["transductive"] is True
    rows = [line.split("\t") for line in (fold / "test-b" / "neighbours.tsv").read_text().splitlines()]
    assert [row[0] for row in rows[1:]] == ["h", "i", "j"]
    for speaker, _, _, _, mean_bar, deviation_bar, neighbours in rows[1:]:
        values = np.array([after[u][3] for u in after if u.startswith(speaker)])
        assert values.mean() == pytest.approx(float(mean_bar), abs=1e-3)
        assert values.std() == pytest.approx(float(deviation_bar), abs=1e-3)
        assert len(neighbours.split()) == k
        assert set(part.split(":")[0] for part in neighbours.split()) <= set("abcd")
    vectors = ArkReader(fold / "test-b" / "spk_vectors.scp")
    embedded = ArkReader(trained.path / "seed0" / "fold0" / "test-b" / "emb.scp")
    mean = np.mean([embedded[u] for u in embedded if u.startswith("i")], axis=0)
    np.testing.assert_allclose(vectors["i"], mean, rtol=1e-5)
    data = Path(read_yaml(trained.path / "config.yaml")["sources"]["data"]).with_name("test-b")
    scores = score_experiment(out, data, "test-b").scores
    assert scores is not None


def test_enrolment_is_not_called_transductive_and_is_not_calibrated(trained: Experiment):
    out = Experiment(trained.path.with_name("enrolled"))
    calibrate_experiment(trained, out, CalibrationConfig(k=2, enrolment="test-a"))
    assert not (out.path / "seed0" / "fold0" / "test-a").exists()
    assert read_yaml(out.path / "info.yaml")["options"][-1] == "PLDC sigma, k 2, enrolled on test-a"
    calibrate_experiment(trained, out, CalibrationConfig(k=1))  # again: replaced
    assert (out.path / "seed0" / "fold0" / "test-a" / "pred.scp").is_file()


def test_the_control_borrows_from_all_and_lies_beside(trained: Experiment):
    dispatch(["calibrate", str(trained.path), "--k", "all"])
    out = trained.path.with_name("toy_pldc_sigma_all")
    assert read_yaml(out / "info.yaml")["options"][-1] == "PLDC sigma, k all (transductive)"
    assert read_yaml(out / "calibration.yaml")["chosen"] == [4]
    rows = [line.split("\t") for line in (out / "seed0/fold0/test-b/neighbours.tsv").read_text().splitlines()]
    assert len({row[5] for row in rows[1:]}) == 1  # everybody gets the same deviation
    by_number = Experiment(trained.path.with_name("four"))
    calibrate_experiment(trained, by_number, CalibrationConfig(k=4))
    ours, theirs = (ArkReader(each / "seed0/fold0/test-b/pred.scp") for each in (out, by_number.path))
    for utterance in ours:
        np.testing.assert_array_equal(ours[utterance], theirs[utterance])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--k", "some"], "Given value: some"),
        (["--k", "0"], "--k must be at least 1"),
        (["--shrinkage", "-1"], "must not be negative"),
        (["--enrolment", "nobody"], "no such part to enrol from: 'nobody'"),
        (["--shift", "tau"], "shift"),
        (["--out", "{exp}"], "something else than a calibrated experiment"),
    ],
)
def test_mistakes_are_one_line(trained: Experiment, arguments: list[str], words: str):
    arguments = [each.format(exp=trained.path) for each in arguments]
    with pytest.raises(UserError) as caught:
        dispatch(["calibrate", str(trained.path), "--out", str(trained.path.with_name("never")), *arguments])
    assert words in str(caught.value)


def test_a_test_speaker_among_the_training_speakers_is_refused(trained: Experiment, tmp_path: Path):
    sets = {name: make_set(tmp_path, name, "abc") for name in ("train", "validation", "test")}
    sources = Sources(*sets["train"], *sets["validation"], [sets["test"][0]], [sets["test"][1]])
    experiment = Experiment(tmp_path / "exp" / "leak")
    config = TrainConfig(
        task=TaskConfig(attributes=["arousal"]), optimizer=OptimizerConfig(lr=0.02, epochs=1, patience=1)
    )
    train_experiment(config, sources, experiment)
    predict_experiment(experiment, ["train", "validation", "test"])
    with pytest.raises(UserError, match="3 test speakers among the training speakers"):
        calibrate_experiment(experiment, Experiment(tmp_path / "out"), CalibrationConfig(k=1))


def test_predictions_of_the_training_part_are_asked_for(trained: Experiment, tmp_path: Path):
    (trained.path / "seed0" / "fold0" / "train" / "emb.scp").rename(tmp_path / "emb.scp")
    try:
        with pytest.raises(UserError, match=r"emb\.scp: no such file.*--parts \[train,validation,test\]"):
            calibrate_experiment(trained, Experiment(tmp_path / "out"), CalibrationConfig(k=1))
    finally:
        (tmp_path / "emb.scp").rename(trained.path / "seed0" / "fold0" / "train" / "emb.scp")
