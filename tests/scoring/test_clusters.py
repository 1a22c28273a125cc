"""``ser score --cluster``: dialogues and sessions as the unit of the bootstrap."""

import audmetric
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser.cli import score
from ser.core.errors import UserError
from ser.scoring.clusters import cluster_indices
from ser.scoring.intervals import draw_counts
from ser.scoring.measure import mean_of_speakers, measure_attribute, measure_classes
from ser.scoring.report.report import report
from ser.scoring.schema import Bootstrap, Scores
from ser.scoring.score import score_experiment
from ser.scoring.summary import summary
from ser.scoring.tables.rows import read_benchmarks
from tests.scoring.builder import System, make_experiment
from tests.scoring.comparison.dialogues import make_dialogues

HOW = Bootstrap(draws=60, seed=2, level=0.95, unit="dialogue")


@pytest.fixture
def data(tmp_path):
    data = make_dialogues(tmp_path / "test")
    data.speakers["spk2gender"] = {speaker: "fm"[i % 2] for i, speaker in enumerate(data.spk2utt)}
    data.write(tmp_path / "test")
    return data


@pytest.fixture
def experiment(tmp_path, data):
    return make_experiment(tmp_path / "exp" / "tag", data, System("linear", seeds=(0, 1)), set_name="test")


def crossed(seed=0):
    """Values of 6 speakers in 10 dialogues of two speakers, with another number of utterances in each."""
    random = np.random.default_rng(seed)
    speaker, dialogue = [], []
    for number in range(10):
        for own in random.choice(6, 2, replace=False):
            size = random.integers(3, 9)
            speaker += [own] * size
            dialogue += [number] * size
    speaker, dialogue = np.array(speaker), np.array(dialogue)
    truth = random.normal(4, 1, speaker.size) + 0.5 * speaker
    return truth, truth + random.normal(size=speaker.size), speaker, dialogue


def test_the_default_says_and_changes_nothing(experiment, data):
    plain = score_experiment(experiment, data.path, draws=30).files[0].read_bytes()
    assert score_experiment(experiment, data.path, draws=30, cluster="speaker").files[0].read_bytes() == plain
    assert b'"unit": "speaker"' in plain and plain.count(b'"unit"') == 1


def test_values_are_those_over_speakers_and_intervals_are_not(experiment, data):
    speakers = score_experiment(experiment, data.path, draws=200).scores
    dialogues = score_experiment(experiment, data.path, draws=200, cluster="dialogue").scores
    assert dialogues.bootstrap.unit == "dialogue"
    for one, other in (
        (speakers.classification, dialogues.classification),
        (speakers.attributes["naturalness"], dialogues.attributes["naturalness"]),
    ):
        assert (one.clusters, other.clusters) == (8, 12)
        assert one.per_speaker == other.per_speaker
        for name, value in one.metrics.items():
            assert value.by_seed == other.metrics[name].by_seed
            assert (value.low, value.high) != (other.metrics[name].low, other.metrics[name].high)


def test_file_reads_back_and_every_page_says_dialogues(experiment, data, tmp_path):
    outcome = score_experiment(experiment, data.path, draws=30, cluster="dialogue")
    read = Scores.read(outcome.files[0])
    assert read == outcome.scores
    (grouping,) = read.classification.groupings
    assert grouping.unit == "dialogue" and [g.clusters for g in grouping.groups] == [12, 12]
    assert [group.speakers for group in grouping.groups] == [4, 4]
    for text in (
        summary(read), (experiment / "README.md").read_text(),
        report(read_benchmarks([experiment]), "T", "c"),
    ):  # fmt: skip
        assert "bootstrap over 12 dialogues" in text and "Fewer than 20 dialogues: " in text
        assert "Fewer than 20 dialogues, hence rough intervals, rather too narrow: female, male" in text


def test_intervals_over_dialogues_equal_a_loop_over_resampled_utterances():
    truth, predicted, speaker, dialogue = crossed()
    classes, guesses = (np.digitize(values, [4, 5, 6]) for values in (truth, predicted))
    measured = measure_classes(classes, [guesses], speaker, 4, dialogue)
    attribute = measure_attribute(truth, [predicted], speaker, dialogue)
    found = {name: attribute.draws(name, HOW) for name in ("O-CCC", "A-CCC", "MAE")}
    found["UAR"] = measured.draws("UAR", HOW)
    for draw, counts in enumerate(np.concatenate(list(draw_counts(10, HOW.draws, HOW.seed)))):
        times = counts[dialogue].astype(int)
        rows = np.repeat(np.arange(truth.size), times)
        ccc, weight = [], []
        for own in range(6):
            mine = rows[speaker[rows] == own]
            if len(mine):
                ccc.append(audmetric.concordance_cc(truth[mine], predicted[mine]))
                weight.append(len(mine) / (speaker == own).sum())
        assert found["A-CCC"][draw] == pytest.approx(np.average(ccc, weights=weight), abs=1e-9)
        assert found["O-CCC"][draw] == pytest.approx(
            audmetric.concordance_cc(truth[rows], predicted[rows]), abs=1e-9
        )
        assert found["MAE"][draw] == pytest.approx(np.abs(truth - predicted)[rows].mean(), abs=1e-9)
        assert found["UAR"][draw] == pytest.approx(
            balanced_accuracy_score(classes[rows], guesses[rows]), abs=1e-12
        )


def test_a_ccc_over_clusters_of_one_speaker_each_is_that_over_speakers():
    truth, predicted, speaker, _ = crossed()
    plain = measure_attribute(truth, [predicted], speaker)
    named = measure_attribute(truth, [predicted], speaker, 10 - speaker)
    counts = np.concatenate(list(draw_counts(6, 50, 0)))
    np.testing.assert_allclose(plain.drawn("A-CCC", counts), named.drawn("A-CCC", counts[:, ::-1]))


def test_a_speaker_whose_drawn_labels_do_not_vary_is_left_out_of_that_draw():
    """The same rule as for A-CCC itself: speaker 1 is eligible only where both dialogues are drawn."""
    truth, predicted = np.array([1.0, 2, 3, 5, 6]), np.array([1.0, 2, 4, 5, 5])
    statistic = mean_of_speakers(truth, predicted, np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1]))
    values = statistic(np.array([[1.0, 1], [2, 0], [0, 2]]))
    own = [
        audmetric.concordance_cc(truth[:3], predicted[:3]),
        audmetric.concordance_cc(truth[3:], predicted[3:]),
    ]
    np.testing.assert_allclose(values, [np.mean(own), 1.0, np.nan], atol=1e-12)


def test_unknown_units_missing_tables_and_utterances_are_refused(experiment, data):
    with pytest.raises(UserError, match=r"cluster: 'speakr'. There are speaker, dialogue, session"):
        score_experiment(experiment, data.path, cluster="speakr")
    with pytest.raises(UserError, match="utt2session: no such file"):
        score.main([str(experiment), "--data", str(data.path), "--cluster", "session"])
    data.tables["utt2session"] = dict.fromkeys(data.utterances[:-1], "s")
    with pytest.raises(UserError, match=f"utterance without a session: '{data.utterances[-1]}'"):
        cluster_indices(data, "session")
    assert not list(experiment.glob("scores*"))
    data.tables["utt2session"][data.utterances[-1]] = "a"
    assert cluster_indices(data, "session").tolist() == [1] * (len(data.utterances) - 1) + [0]
