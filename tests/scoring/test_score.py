"""scores.json: its numbers against independent implementations, and every way to refuse."""

import shutil

import audmetric
import kaldiio
import numpy as np
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score, f1_score

from ser.core.errors import UserError
from ser.data.arks import ArkReader, ArkWriter
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.summary import summary
from tests.scoring.builder import CLASSES, System, make_data, make_experiment, predictions, write_predictions


@pytest.fixture
def data(tmp_path):
    return make_data(tmp_path / "data" / "all", speakers=6, each=14)


@pytest.fixture
def experiment(tmp_path, data):
    return make_experiment(tmp_path / "exp" / "tag", data, System("linear", seeds=(0, 1), layers=3))


def pooled(experiment, seed):
    """Utterance -> prediction of a seed, read without the code under test."""
    return {
        key: value
        for scp in sorted(experiment.glob(f"seed{seed}/fold*/test/pred.scp"))
        for key, value in kaldiio.load_scp(str(scp)).items()
    }


def rewrite(scp, change):
    """Write a fold's predictions again, as ``change`` makes them of a dict; NaN included."""
    values = change({key: np.array(value) for key, value in ArkReader(scp).items()})
    with kaldiio.WriteHelper(f"ark,scp:{scp.with_suffix('.ark')},{scp}") as writer:
        for key in sorted(values):
            writer(key, values[key])


def test_metrics_of_each_seed_equal_scikit_learn_and_audmetric(experiment, data):
    scores = score_experiment(experiment, data.path, draws=50).scores
    emotion, natural = data.classes_of(), data.attribute("naturalness")
    for index, seed in enumerate((0, 1)):
        found = pooled(experiment, seed)
        truth = [emotion[u] for u in data.utterances]
        guess = [CLASSES[found[u][:7].argmax()] for u in data.utterances]
        x = np.array([natural[u] for u in data.utterances])
        y = np.array([found[u][7] for u in data.utterances], np.float64)
        metrics = scores.classification.metrics
        assert metrics["UAR"].by_seed[index] == pytest.approx(balanced_accuracy_score(truth, guess))
        assert metrics["weighted F1"].by_seed[index] == pytest.approx(
            f1_score(truth, guess, average="weighted")
        )
        continuous = scores.attributes["naturalness"].metrics
        assert continuous["O-CCC"].by_seed[index] == pytest.approx(audmetric.concordance_cc(x, y), abs=1e-9)
        speakers = np.array([data.utt2spk[u] for u in data.utterances])
        own = [audmetric.concordance_cc(x[speakers == s], y[speakers == s]) for s in sorted(set(speakers))]
        assert continuous["A-CCC"].by_seed[index] == pytest.approx(np.mean(own), abs=1e-9)
    assert metrics["UAR"].value == pytest.approx(np.mean(metrics["UAR"].by_seed))
    assert np.sum(scores.classification.confusion) == 2 * 84


def test_one_seed_has_the_deviation_of_its_own_speakers(tmp_path, data):
    scores = score_experiment(make_experiment(tmp_path / "x", data, System("s")), data.path, draws=20).scores
    found = scores.attributes["naturalness"]
    values = [row.metrics["CCC"] for row in found.per_speaker]
    assert found.a_ccc_sd == pytest.approx(np.std(values, ddof=1))
    assert found.metrics["A-CCC"].value == pytest.approx(np.mean(values))
    assert found.a_ccc_speakers == 6 and found.a_ccc_left_out == 0


def test_values_lie_in_their_intervals_and_the_file_reads_back_equal(experiment, data):
    outcome = score_experiment(experiment, data.path)
    assert outcome.files == [experiment / "scores.json", experiment / "README.md"]
    assert Scores.read(outcome.files[0]) == outcome.scores
    values = {**outcome.scores.classification.metrics, **outcome.scores.attributes["naturalness"].metrics}
    for value in values.values():
        assert value.low < value.value < value.high


def test_the_same_twice_byte_for_byte_and_another_seed_moves_the_interval_alone(experiment, data):
    first = score_experiment(experiment, data.path, draws=200).files[0].read_bytes()
    assert score_experiment(experiment, data.path, draws=200).files[0].read_bytes() == first
    a = score_experiment(experiment, data.path, draws=200).scores.classification.metrics["UAR"]
    b = score_experiment(experiment, data.path, draws=200, seed=1).scores.classification.metrics["UAR"]
    assert a.value == b.value and (a.low, a.high) != (b.low, b.high)


def test_perfect_predictions(tmp_path, data):
    experiment = make_experiment(tmp_path / "exp", data, System("oracle"))
    emotion, natural = data.classes_of(), data.attribute("naturalness")
    for scp in experiment.glob("seed0/fold*/test/pred.scp"):
        rewrite(
            scp,
            lambda values: {
                u: np.r_[np.eye(7)[CLASSES.index(emotion[u])], natural[u]].astype(np.float32) for u in values
            },
        )
    scores = score_experiment(experiment, data.path, draws=100).scores
    for value in scores.classification.metrics.values():
        assert (value.value, value.low, value.high) == (1, 1, 1)
    assert scores.attributes["naturalness"].metrics["O-CCC"].value == pytest.approx(1, abs=1e-6)
    assert scores.attributes["naturalness"].metrics["MAE"].value == pytest.approx(0, abs=1e-5)


def test_utterances_without_a_label_are_predicted_but_not_scored(tmp_path):
    spare = {"03-03a000", "04-04a001", "04-04a002"}
    data = make_data(
        tmp_path / "all", speakers=4, each=14, without={"utt2naturalness": spare, "utt2emo": {"03-03a001"}}
    )
    experiment = make_experiment(tmp_path / "exp", data, System("linear"))
    scores = score_experiment(experiment, data.path, draws=20).scores
    natural = scores.attributes["naturalness"]
    assert (natural.scored, natural.unlabelled) == (53, 3)
    assert (scores.classification.scored, scores.classification.unlabelled) == (55, 1)
    kept = [u for u in data.utterances if u not in spare]
    found, truth = pooled(experiment, 0), data.attribute("naturalness")
    expected = audmetric.concordance_cc([truth[u] for u in kept], [float(found[u][7]) for u in kept])
    assert natural.metrics["O-CCC"].value == pytest.approx(expected, abs=1e-6)
    assert "3 unlabelled" in summary(scores)


def test_speakers_that_have_no_ccc_are_left_out_of_the_average_and_counted(tmp_path):
    data = make_data(tmp_path / "all", speakers=4, each=6)
    values = data.tables["utt2naturalness"]
    for utterance in data.spk2utt["03"]:
        values[utterance] = "50.0"
    for utterance in data.spk2utt["04"][1:]:
        del values[utterance]
    data.write(tmp_path / "all")
    found = score_experiment(make_experiment(tmp_path / "exp", data, System("linear")), data.path, draws=20)
    natural = found.scores.attributes["naturalness"]
    assert (natural.a_ccc_speakers, natural.a_ccc_left_out, natural.clusters) == (2, 2, 4)
    assert [row.metrics["CCC"] is None for row in natural.per_speaker] == [True, True, False, False]
    assert "2 left out" in summary(found.scores)


def test_few_speakers_are_said_and_many_are_not(tmp_path):
    for count, said in ((19, True), (20, False)):
        data = make_data(tmp_path / str(count), speakers=count, each=7, folds=False)
        experiment = make_experiment(tmp_path / f"exp{count}", data, System("linear"), set_name=str(count))
        text = summary(score_experiment(experiment, data.path, draws=20).scores)
        assert ("Fewer than 20 speakers" in text) is said


def test_a_single_speaker_has_numbers_and_no_interval(tmp_path):
    data = make_data(tmp_path / "test", speakers=1, each=14, folds=False)
    scores = score_experiment(make_experiment(tmp_path / "exp", data, System("linear")), data.path).scores
    value = scores.classification.metrics["UAR"]
    assert value.value is not None and value.low is None and value.high is None
    assert scores.attributes["naturalness"].a_ccc_sd is None
    assert "[" not in summary(scores).split("UAR")[1].split("\n")[0]


def test_named_sets_do_not_overwrite_each_other(tmp_path):
    first = make_data(tmp_path / "test1", speakers=3, each=7, folds=False)
    second = make_data(tmp_path / "test2", speakers=4, each=7, folds=False)
    experiment = make_experiment(tmp_path / "exp", first, System("linear"), set_name="test1")
    make_experiment(experiment, second, System("linear"), set_name="test2")
    assert score_experiment(experiment, first.path, draws=20).files[0] == experiment / "scores_test1.json"
    assert score_experiment(experiment, second.path, draws=20).files[0] == experiment / "scores_test2.json"


def drop(utterance):
    return lambda values: {key: value for key, value in values.items() if key != utterance}


def add(utterance):
    return lambda values: {**values, utterance: next(iter(values.values()))}


def put(utterance, change):
    return lambda values: {key: change(value) if key == utterance else value for key, value in values.items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop("04-04a003"), "1 of 84 utterances .* have no prediction: 04-04a003"),
        (add("04-04a999"), "not in .*: 04-04a999"),
        (add("05-05a003"), "another fold .*: 05-05a003"),
        (put("04-04a003", lambda v: v * np.nan), "NaN or infinite: 04-04a003"),
        (put("04-04a003", lambda v: v[:-1]), "8 values of columns.yaml: 04-04a003"),
        (put("04-04a003", lambda v: v * 2), "no probabilities of classes: 04-04a003"),
    ],
    ids=["missing", "extra", "wrong fold", "NaN", "width", "no probabilities"],
)
def test_broken_predictions_are_refused_by_name_and_nothing_is_written(experiment, data, change, says):
    rewrite(experiment / "seed1" / "fold04" / "test" / "pred.scp", change)
    with pytest.raises(UserError, match=says):
        score_experiment(experiment, data.path)
    assert not list(experiment.glob("scores*")) and not list(experiment.glob(".writing*"))


def test_an_utterance_predicted_by_two_folds_is_refused(tmp_path):
    data = make_data(tmp_path / "test", speakers=2, each=7, folds=False)
    experiment = make_experiment(tmp_path / "exp", data, System("linear"))
    shutil.copytree(experiment / "seed0" / "fold0", experiment / "seed0" / "fold1")
    with pytest.raises(UserError, match=r"14 utterances are predicted by fold '0' too: 03-03a000, .* 9 more"):
        score_experiment(experiment, data.path)


def test_only_the_missing_are_named_and_the_rest_counted(experiment, data):
    shutil.rmtree(experiment / "seed0" / "fold04" / "test")
    with pytest.raises(UserError, match=r"no predictions of fold '04'.*stage 9"):
        score_experiment(experiment, data.path)
    shutil.rmtree(experiment / "seed0" / "fold04")
    with pytest.raises(UserError, match="not trained: seed0/fold04"):
        score_experiment(experiment, data.path)


def test_other_stages_missing(tmp_path, data):
    with pytest.raises(UserError, match="no such experiment"):
        score_experiment(tmp_path / "none", data.path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="stage 8"):
        score_experiment(tmp_path / "empty", data.path)
    other = make_data(tmp_path / "test1", speakers=2, each=7, folds=False)
    with pytest.raises(UserError, match=r"no predictions of set 'test1'.*predicted so far: test2"):
        score_experiment(make_experiment(tmp_path / "e", other, System("s"), set_name="test2"), other.path)


def test_other_classes_or_another_order_are_refused_with_both_lists(tmp_path, experiment):
    turned = make_data(tmp_path / "turned", speakers=6, each=14, classes=CLASSES[::-1])
    with pytest.raises(UserError, match=r"predicts the classes anger, .* the data has sadness, "):
        score_experiment(experiment, turned.path)


def test_folds_with_different_columns_are_refused(experiment, data):
    path = experiment / "seed1" / "fold05" / "test" / "columns.yaml"
    path.write_text(yaml.safe_dump({"classes": CLASSES[::-1], "attributes": ["naturalness"]}))
    with pytest.raises(UserError, match="other columns"):
        score_experiment(experiment, data.path)
    path.write_text("classes: anger\n")
    with pytest.raises(UserError, match="not two lists"):
        score_experiment(experiment, data.path)


def test_a_set_without_labels_becomes_a_submission(tmp_path):
    classes = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    spans = {name: (1.0, 7.0) for name in ("dominance", "arousal", "valence")}
    data = make_data(tmp_path / "test3", 2, 8, classes, spans, folds=False, labelled=False)
    for system, name in (
        (System("c", classes=classes, attributes=[]), "submission_test3.csv"),
        (System("a", classes=[], attributes=list(spans)), "submission_test3.csv"),
    ):
        experiment = make_experiment(tmp_path / system.name, data, system, set_name="test3")
        outcome = score_experiment(experiment, data.path)
        assert outcome.scores is None and outcome.files == [experiment / name]
        assert not list(experiment.glob("scores*"))
        header, first, *rest = outcome.files[0].read_text().splitlines()
        predicted = kaldiio.load_scp(str(experiment / "seed0/fold0/test3/pred.scp"))["03-03a000"]
        assert len(rest) == 15
        if system.classes:
            assert header == "FileName,EmoClass"
            assert first == f"03a000.wav,{'ACDFHNSU'[predicted.argmax()]}"
        else:
            dominance, arousal, valence = predicted
            assert header == "FileName,EmoAct,EmoVal,EmoDom"
            assert first == f"03a000.wav,{arousal:.6f},{valence:.6f},{dominance:.6f}"


def test_both_kinds_of_submission_have_a_file_each(tmp_path):
    data = make_data(tmp_path / "blind", 2, 7, folds=False, labelled=False)
    experiment = make_experiment(tmp_path / "exp", data, System("both"), set_name="blind")
    classes, attributes = score_experiment(experiment, data.path).files
    predicted = kaldiio.load_scp(str(experiment / "seed0/fold0/blind/pred.scp"))["03-03a000"]
    # No letter of the challenge stands for boredom: all classes keep their names.
    assert classes.name == "submission_blind_classes.csv"
    assert classes.read_text().splitlines()[1] == f"03a000.wav,{CLASSES[predicted[:7].argmax()]}"
    assert attributes.read_text().splitlines()[0] == "FileName,naturalness"


def test_attribute_that_the_data_lacks_is_not_scored_and_the_rest_is(tmp_path):
    data = make_data(
        tmp_path / "test", 3, 7, attributes={"valence": (1.0, 7.0), "arousal": (1.0, 7.0)}, folds=False
    )
    system = System("linear", attributes=["valence", "arousal"])
    experiment = tmp_path / "exp"
    make_experiment(experiment, data, system)
    del data.tables["utt2arousal"]
    data.write(tmp_path / "test")
    scores = score_experiment(experiment, data.path, draws=20).scores
    assert list(scores.attributes) == ["valence"] and scores.classification is not None


def test_scores_of_another_format_or_damaged_are_refused_by_place(experiment, data):
    path = score_experiment(experiment, data.path, draws=20).files[0]
    good = path.read_text()
    for old, new, says in (
        ('"format": 2', '"format": 0', "another release"),
        ('"scored": 84', '"scored": "84"', "classification.scored is '84', not int"),
        ('"unlabelled": 0', '"unlabeled": 0', "classification has no key 'unlabelled'"),
        ("{", "", "not JSON"),
    ):
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(UserError, match=says):
            Scores.read(path)


def test_order_of_the_predictions_changes_nothing(tmp_path, data):
    system = System("linear")
    values = predictions(data, system, np.random.default_rng(0))
    experiment = make_experiment(tmp_path / "exp", data, system)
    texts = []
    for step in (1, -1):
        for speaker, utterances in data.spk2utt.items():
            write_predictions(
                experiment / "seed0" / f"fold{speaker}" / "test", utterances[::step], values, system
            )
        texts.append(score_experiment(experiment, data.path, draws=50).files[0].read_text())
    assert texts[0] == texts[1]


def test_pickled_and_piped_predictions_are_not_run(experiment, data, tmp_path):
    scp = experiment / "seed0" / "fold03" / "test" / "pred.scp"
    witness = tmp_path / "witness"
    scp.write_text(f"03-03a000 touch {witness} |\n")
    with pytest.raises(UserError, match="command"):
        score_experiment(experiment, data.path)
    assert not witness.exists()


def test_constant_predictions_have_a_ccc_of_zero_and_no_pcc(tmp_path, data):
    system = System("constant", classes=[], attributes=["naturalness"])
    experiment = make_experiment(tmp_path / "exp", data, system)
    for scp in experiment.glob("seed0/fold*/test/pred.scp"):
        keys = list(ArkReader(scp))
        with ArkWriter(scp.with_suffix("")) as writer:
            for key in keys:
                writer.write(key, np.array([50.0]))
    metrics = score_experiment(experiment, data.path, draws=50).scores.attributes["naturalness"].metrics
    assert (metrics["O-CCC"].value, metrics["O-CCC"].low, metrics["O-CCC"].high) == (0, 0, 0)
    assert metrics["PCC"].value is None and metrics["PCC"].undefined_draws == 50
