"""Results by group: a group is a set scored alone, differences are those of two samples."""

import json
import re

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.scoring import schema
from ser.scoring.groups import age_group, difference, score_groups
from ser.scoring.intervals import draw_counts
from ser.scoring.measure import measure_attribute, measure_classes
from ser.scoring.report.report import report
from ser.scoring.schema import Scores
from ser.scoring.score import score_experiment
from ser.scoring.summary import summary
from ser.scoring.tables.rows import read_benchmarks
from tests.scoring.builder import System, make_data, make_experiment, write_predictions

HOW = schema.Bootstrap(draws=200, seed=3, level=0.95, unit="speaker")


def alternating(data, values=("f", "m")):
    """Speaker -> one value after the other."""
    return {speaker: values[i % len(values)] for i, speaker in enumerate(data.spk2utt)}


def scored(path, traits, speakers=8, each=14, **options):
    """Scores of a made-up experiment whose speakers have these traits."""
    data = make_data(path / "test", speakers=speakers, each=each, folds=False, **options)
    data.speakers |= {f"spk2{name}": of(data) if callable(of) else of for name, of in traits.items()}
    data.write(path / "test")
    experiment = make_experiment(path / "exp", data, System("linear", seeds=(0, 1)))
    return score_experiment(experiment, data.path, draws=100).scores, experiment, data


def grouping(scores, by="gender", label="emotion"):
    part = scores.classification if label == "emotion" else scores.attributes[label]
    return next(found for found in part.groupings if found.by == by)


def test_a_group_has_the_scores_and_intervals_of_a_set_of_its_speakers_alone(tmp_path):
    scores, experiment, data = scored(tmp_path, {"gender": alternating})
    own = [u for u in data.utterances if data.spk2gender[data.utt2spk[u]] == "m"]
    alone = data.subset(own)
    alone.speakers.clear()
    alone.write(tmp_path / "men" / "test")
    other = make_experiment(tmp_path / "men" / "exp", alone, System("linear", seeds=(0, 1)))
    for seed in (0, 1):
        values = dict(ArkReader(experiment / f"seed{seed}" / "fold0" / "test" / "pred.scp").items())
        write_predictions(other / f"seed{seed}" / "fold0" / "test", own, values, System("linear"))
    expected = score_experiment(other, tmp_path / "men" / "test", draws=100).scores
    for label, part in (("emotion", expected.classification), *expected.attributes.items()):
        (men,) = (group for group in grouping(scores, label=label).groups if group.name == "male")
        assert men.metrics == part.metrics
        assert (men.speakers, men.utterances) == (part.clusters, part.scored) == (4, 56)
        assert part.groupings == []


def test_a_group_of_everybody_has_the_overall_values_and_intervals(tmp_path):
    scores, _, _ = scored(tmp_path, {"gender": lambda data: alternating(data, "f")})
    for label, part in (("emotion", scores.classification), *scores.attributes.items()):
        found = grouping(scores, label=label)
        assert [group.metrics for group in found.groups] == [part.metrics] and found.differences == []


def test_exchanging_the_names_exchanges_the_rows_and_turns_the_difference(tmp_path):
    first = grouping(scored(tmp_path / "a", {"gender": alternating})[0])
    turned = grouping(scored(tmp_path / "b", {"gender": lambda data: alternating(data, "mf")})[0])
    assert [group.metrics for group in first.groups] == [group.metrics for group in turned.groups[::-1]]
    for name, value in first.differences[0].metrics.items():
        opposite = turned.differences[0].metrics[name]
        assert opposite.value == -value.value
        assert (opposite.low, opposite.high) == pytest.approx((-value.high, -value.low), abs=1e-12)


def case(shift=0.0, speakers=24, each=30):
    """Labels and predictions; the speakers of odd numbers are understood better by ``shift``."""
    random = np.random.default_rng(7)
    speaker = np.repeat(np.arange(speakers), each)
    truth = random.integers(4, size=speaker.size)
    right = random.random(speaker.size) < 0.45 + shift * (speaker % 2)
    return truth, np.where(right, truth, random.integers(4, size=speaker.size)), speaker


def by_parity(truth, guess, speaker, how=HOW):
    """Results by gender, odd speakers women."""
    groups = {"gender": ["female" if each % 2 else "male" for each in speaker]}

    def measure(rows):
        return measure_classes(truth[rows], [guess[rows]], speaker[rows], 4)

    return score_groups(groups, measure, how)[0]


def test_order_of_the_utterances_changes_nothing():
    truth, guess, speaker = case()
    order = np.random.default_rng(0).permutation(truth.size)
    assert by_parity(truth, guess, speaker) == by_parity(truth[order], guess[order], speaker[order])


def test_the_difference_equals_a_loop_over_resampled_utterances():
    truth, guess, speaker = case()
    sides = [np.flatnonzero(speaker % 2 == side) for side in (1, 0)]
    one, other = (measure_classes(truth[rows], [guess[rows]], speaker[rows], 4) for rows in sides)
    # The men hold the first speaker, hence the draws of their own interval; the women's are independent.
    streams = [int(np.random.SeedSequence([HOW.seed, 1]).generate_state(1, np.uint64)[0]), HOW.seed]
    uars = []
    for rows, seed in zip(sides, streams, strict=True):
        names = np.unique(speaker[rows])
        own = {name: rows[speaker[rows] == name] for name in names}
        values = []
        for counts in np.concatenate(list(draw_counts(len(names), HOW.draws, seed))):
            taken = np.concatenate([np.tile(own[n], int(c)) for n, c in zip(names, counts, strict=True)])
            values.append(balanced_accuracy_score(truth[taken], guess[taken]))
        uars.append(np.array(values))
    assert abs(np.corrcoef(*uars)[0, 1]) < 0.2, "drawn independently"
    low, high = np.percentile(uars[0] - uars[1], [2.5, 97.5])
    value = difference(one, other, HOW)["UAR"]
    assert (value.low, value.high) == pytest.approx((low, high), abs=1e-12)
    plain = [balanced_accuracy_score(truth[rows], guess[rows]) for rows in sides]
    assert value.value == pytest.approx(plain[0] - plain[1], abs=1e-12)


def test_speakers_in_both_groups_are_drawn_once_for_both():
    """A pseudo-speaker may have utterances of women and of men: then a draw takes it with both."""
    truth, guess, speaker = case(speakers=10)
    half = np.arange(truth.size) % 2 == 0
    one, other = (measure_classes(truth[rows], [guess[rows]], speaker[rows], 4) for rows in (half, ~half))
    values = []
    for counts in np.concatenate(list(draw_counts(10, HOW.draws, HOW.seed))):
        weight = counts[speaker]
        parts = [
            balanced_accuracy_score(truth[rows], guess[rows], sample_weight=weight[rows])
            for rows in (half & (weight > 0), ~half & (weight > 0))
        ]
        values.append(parts[0] - parts[1])
    value = difference(one, other, HOW)["UAR"]
    assert (value.low, value.high) == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=1e-12)


def test_a_planted_disparity_is_found_and_none_is_found_where_none_is():
    gap = by_parity(*case(shift=0.3)).differences[0]
    assert (gap.one, gap.other) == ("female", "male")
    assert 0.1 < gap.metrics["UAR"].low < 0.22 < gap.metrics["UAR"].high < 0.35
    none = by_parity(*case(shift=0.0)).differences[0].metrics["UAR"]
    assert none.low < 0 < none.high


def test_the_same_draws_make_a_group_s_interval_whatever_the_other_group_does():
    truth, guess, speaker = case()
    changed = np.where(speaker % 2 == 1, truth, guess)
    men = [by_parity(truth, each, speaker).groups[1] for each in (guess, changed)]
    assert men[0].name == "male" and men[0] == men[1]


def test_attributes_have_their_own_metrics_by_group():
    truth, _, speaker = case()
    values = truth + np.random.default_rng(0).normal(size=truth.size)
    rows = speaker % 2 == 1
    own = measure_attribute(truth[rows].astype(float), [values[rows]], speaker[rows])
    assert list(own.values(HOW)) == ["O-CCC", "A-CCC", "PCC", "MAE"] and own.clusters == 12


def test_age_groups_and_speakers_of_unknown_age(tmp_path):
    ages = {"03": "18", "04": "29.9", "05": "30", "06": "44", "07": "45", "08": "80"}
    scores, _, _ = scored(tmp_path, {"age": ages})
    found = grouping(scores, "age")
    assert [(group.name, group.speakers) for group in found.groups] == [
        ("under 30", 2), ("30 to 44", 2), ("45 to 59", 1), ("60 and over", 1), ("unknown", 2),
    ]  # fmt: skip
    assert sum(group.utterances for group in found.groups) == scores.classification.scored
    assert len(found.differences) == 6 and "unknown" not in {pair.other for pair in found.differences}
    for group in found.groups:
        values = group.metrics.values()
        assert all((value.low is None) == (group.speakers < 2) for value in values)
        assert all(value.value is not None for value in values)
    alone = next(pair for pair in found.differences if pair.other == "60 and over")
    assert alone.metrics["UAR"].value is not None and alone.metrics["UAR"].low is None
    assert "One speaker, hence no interval: 45 to 59, 60 and over." in summary(scores)
    assert age_group("nan") is None and age_group("inf") is None


def test_traits_by_utterance_come_first(tmp_path):
    data = make_data(tmp_path / "test", speakers=4, each=14, folds=False)
    women = [u for u in data.utterances if data.utt2spk[u] in ("03", "04")]
    data.tables["utt2gender"] = {u: "f" for u in women}
    data.write(tmp_path / "test")
    experiment = make_experiment(tmp_path / "exp", data, System("linear"))
    found = grouping(score_experiment(experiment, data.path, draws=20).scores)
    assert [(g.name, g.speakers, g.utterances) for g in found.groups] == [
        ("female", 2, 28),
        ("unknown", 2, 28),
    ]


def test_a_group_without_a_class_is_averaged_over_the_others_and_says_so(tmp_path):
    def no_fear(data):
        return {u for u in data.utterances if data.utt2spk[u] == "04" and data.classes_of()[u] == "fear"}

    whole = make_data(tmp_path / "whole", 2, 14, folds=False)
    scores, _, data = scored(
        tmp_path, {"gender": alternating}, speakers=2, without={"utt2emo": no_fear(whole)}
    )
    women, men = grouping(scores).groups
    assert (women.lacks, men.lacks) == ([], ["fear"])
    truth = [data.classes_of().get(u) for u in data.utterances]
    rows = [i for i, u in enumerate(data.utterances) if data.utt2spk[u] == "04" and truth[i]]
    classes = scores.classification.classes
    guess = [classes[scores.utterances.seeds[0].predicted[i]] for i in rows]
    recalls = [
        np.mean([guess[k] == name for k, i in enumerate(rows) if truth[i] == name])
        for name in classes
        if name != "fear"
    ]
    assert men.metrics["UAR"].by_seed[0] == pytest.approx(np.mean(recalls))
    assert "male lacks fear: its UAR is averaged over the others." in summary(scores)


def test_nothing_known_gives_nothing(tmp_path):
    scores, _, _ = scored(tmp_path, {})
    assert scores.classification.groupings == [] and "gender" not in summary(scores)


@pytest.mark.parametrize("value", ["old", "-3", "nan", "inf"])
def test_an_age_that_is_none_is_refused_by_file_and_line(tmp_path, value):
    with pytest.raises(UserError, match=r"spk2age:2: age of '04' is not a number of years"):
        scored(tmp_path, {"age": {"03": "30", "04": value}})
    assert not list((tmp_path / "exp").glob("scores*")) and not (tmp_path / "exp" / "README.md").exists()


def test_scores_read_back_and_those_of_the_format_before_are_read_too(tmp_path):
    scores, experiment, _ = scored(tmp_path, {"gender": alternating})
    path = experiment / "scores.json"
    assert Scores.read(path) == scores and scores.format == 2
    content = json.loads(path.read_text())
    content["format"] = 1
    for part in (content["classification"], *content["attributes"].values()):
        del part["groupings"]
    path.write_text(json.dumps(content))
    old = Scores.read(path)
    assert old.classification.groupings == [] and old.classification.metrics == scores.classification.metrics
    (benchmark,) = read_benchmarks([experiment])
    assert "By gender" not in report([benchmark], "t", "c")
    content["classification"]["groupings"] = [{"by": "gender", "groups": []}]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"groupings\[0\] has no key 'differences'"):
        Scores.read(path)


def test_the_summary_and_the_page_show_every_group(tmp_path):
    scores, experiment, _ = scored(tmp_path, {"gender": alternating, "age": {"03": "25", "04": "50"}})
    text = summary(scores)
    for line in (r"UAR by gender:", r"O-CCC by age:", r"female - male +-?\.\d+ \[", r"unknown .* 6 speakers"):
        assert re.search(line, text), line
    page = report(read_benchmarks([experiment]), "t", "c")
    for part in (
        "<h4>By gender</h4>",
        "<h4>By age</h4>",
        "female − male",
        "hence rough intervals",
        "Fewer than 20",
    ):
        assert part in page, part
    strips = re.findall(r'aria-label="UAR -?\.\d', page)
    assert len(strips) == 1 + (2 + 1) + (3 + 1), "the system, two genders and three ages, and the differences"
    assert page.count('class="zero"') == 2 * 2, "a line at no difference, for both labels"
