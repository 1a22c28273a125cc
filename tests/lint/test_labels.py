"""Tables, counts, durations, classes, attributes and soft labels: each mistake planted is the one finding."""

import numpy as np
import pytest

from ser.data.labels import Range
from ser.lint.distribution import by_chance, cramers_v
from ser.lint.finding import Level
from ser.lint.labels import other_scale
from tests.lint.builder import findings, only


def test_every_broken_rule_is_listed_and_the_other_sets_are_checked(sets):
    sets.change("test", "utt2dialogue", lambda name, dialogue: dialogue.replace("test_03", "train_03"))
    folders = sets.write()
    for name, old, new in (("utt2emo", "joy", "rage"), ("utt2arousal", " 1.2\n", " 9\n")):
        path = sets.folder / "validation" / name
        path.write_text(path.read_text().replace(old, new))
    from ser.lint.run import lint

    said = findings(lint(folders, audio=False))
    assert list(said) == ["tables", "dialogue-overlap"]
    [finding] = said["tables"]
    assert finding.level is Level.ERROR and finding.count == 2
    assert [offender.where for offender in finding.offenders] == [
        f"{sets.folder}/validation/utt2emo:2", f"{sets.folder}/validation/utt2arousal:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "partial", "level", "words"),
    [
        ({"utterances": 36, "joy": 12}, False, None, ""),
        ({"utterances": 40}, False, Level.ERROR, "36 of 40 utterances"),
        ({"utterances": 40, "joy": 14}, True, Level.WARNING, "36 of 40 utterances and 12 of 14 joy"),
        ({"utterances": 36, "joy": 13}, False, Level.ERROR, "12 of 13 joy"),
        ({"joy": 11}, True, Level.ERROR, "12 of 11 joy"),
    ],
)
def test_counts(sets, expected, partial, level, words):
    sets["train"].labels.expected, sets["train"].labels.partial = expected, partial
    result = sets.lint()
    if level is None:
        assert findings(result) == {} and "counts" in [check.name for check in result.clean]
    else:
        assert only(result, "counts", level).offenders[0].text == words


@pytest.mark.parametrize(("seconds", "name"), [("0.2", "too-short"), ("31.5", "too-long")])
def test_durations(sets, seconds, name):
    sets.change("test", "utt2dur", lambda key, value: seconds if key == "gus-03" else value)
    finding = only(sets.lint(), name, Level.WARNING)
    assert finding.what.startswith("1 of 24 (4.2 %) utterances of test are ")
    assert finding.offenders[0].text == f"gus-03: {float(seconds):.2f} s"


def test_another_order_of_classes(sets):
    sets["test"].labels.classes = ["joy", "anger", "neutral"]
    sets["test"].tables.pop("utt2emodist")
    finding = only(sets.lint(), "label-schema")
    assert "test and train have another order of classes" in finding.what


def test_another_range(sets):
    sets["test"].labels.attributes = {"arousal": Range(1, 9)}
    assert "other ranges for arousal" in only(sets.lint(), "label-schema").what


@pytest.mark.parametrize(("place", "level"), [("train", Level.ERROR), ("test", Level.WARNING)])
def test_a_class_without_utterances(sets, place, level):
    sets[place].tables.pop("utt2emodist")
    sets.change(place, "utt2emo", lambda name, value: "anger" if value == "joy" and name > "c" else value)
    sets.change(place, "utt2emo", lambda name, value: "neutral" if value == "joy" else value)
    said = findings(sets.lint())
    assert said["class-missing"][0].what == f"{place} has no utterance of joy"
    assert said["class-missing"][0].level is level


def test_a_class_without_utterances_in_a_fold_is_a_note_and_in_all_folds_an_error(sets):
    for name in ("validation", "test"):
        del sets[name]
    data = sets["all"] = sets.pop("train")
    del data.tables["utt2emodist"], data.tables["utt2dialogue"]
    data.tables["utt2fold"] = dict(data.utt2spk)
    sets.change("all", "utt2emo", lambda name, value: "anger" if name < "b" and value == "joy" else value)
    assert only(sets.lint(), "class-missing", Level.NOTE).what == "ann has no utterance of joy"
    sets.change("all", "utt2emo", lambda name, value: "anger" if value == "joy" else value)
    assert only(sets.lint(), "class-missing").what == "all has no utterance of joy"


def test_utterances_without_labels_are_counted(sets):
    del sets["test"].tables["utt2arousal"]["gus-03"]
    finding = only(sets.lint(), "label-missing", Level.NOTE)
    assert finding.offenders[0].text == "1 of 24 (4.2 %) utterances of test have none"


def test_a_test_set_without_any_labels_is_in_order(sets):
    for table in ("utt2emo", "utt2emodist", "utt2arousal"):
        del sets["test"].tables[table]
    assert findings(sets.lint()) == {}


def test_an_attribute_that_is_one_value(sets):
    sets.change("train", "utt2arousal", lambda name, value: "4")
    finding = only(sets.lint(), "attribute-scale")
    assert finding.what == "train's arousal is 4 everywhere"


@pytest.mark.parametrize(
    ("values", "limits", "scale"),
    [
        ([0, 0.4, 0.9], Range(0, 100), (0, 1)),
        ([-0.9, 0.4, 0.9], Range(-5, 5), (-1, 1)),
        ([0.1, 0.4, 0.9], Range(-1, 1), (0, 1)),
        ([1, 2.5, 5], Range(1, 7), (1, 5)),
        ([1.2, 2.5, 4.8], Range(1, 7), None),
        ([1, 2.5, 5], Range(1, 5), None),
        ([80, 90, 100], Range(0, 100), None),
    ],
)
def test_values_of_another_scale(values, limits, scale):
    assert other_scale(np.array(values), limits) == scale


def test_an_attribute_on_another_scale(sets):
    sets["train"].labels.attributes = sets["test"].labels.attributes = {"arousal": Range(0, 100)}
    sets["validation"].labels.attributes = {"arousal": Range(0, 100)}
    for name in sets:
        sets.change(name, "utt2arousal", lambda key, value: f"{float(value) / 7:g}")
    finding = only(sets.lint(), "attribute-scale", Level.WARNING)
    assert finding.what == "train's arousal looks like a scale of 0 to 1, not 0 to 100"


@pytest.mark.parametrize(("number", "level"), [(1, Level.NOTE), (12, Level.WARNING)])
def test_soft_labels_that_contradict_the_class(sets, number, level):
    names = [name for name, value in sets["train"].classes_of().items() if value == "joy"][:number]
    sets.change("train", "utt2emodist", lambda name, value: "0.6 0.3 0.1" if name in names else value)
    finding = only(sets.lint(), "soft-label", level)
    assert finding.count == number
    assert finding.offenders[0].text == f"{names[0]} (joy): 0.6 0.3 0.1"


def test_a_tie_of_soft_labels_does_not_contradict(sets):
    sets.change("train", "utt2emodist", lambda name, value: "0.4 0.4 0.4")
    assert findings(sets.lint()) == {}


def test_sets_with_other_shares_of_classes(sets):
    sets["test"].tables.pop("utt2emodist")
    sets.change("test", "utt2emo", lambda name, value: value if name.endswith("1") else "joy")
    said = findings(sets.lint())
    assert "Cramér's V" in said["label-shift"][0].what


def test_sets_with_another_mean(sets):
    sets.change("test", "utt2arousal", lambda name, value: f"{float(value) / 2 + 3.4:g}")
    finding = only(sets.lint(), "label-shift", Level.WARNING)
    assert finding.what == "test's mean arousal is 0.8 standard deviations above train's"


def test_speakers_with_one_class(sets):
    sets["train"].tables.pop("utt2emodist")
    sets.change("train", "utt2emo", lambda name, value: "joy" if name.startswith("bob") else value)
    finding = only(sets.lint(), "speaker-class", Level.WARNING)
    assert finding.what == "1 of 3 (33.3 %) of train's speakers with 5 utterances or more have one class only"
    assert finding.offenders[0].text == "bob: joy"


def test_cramers_v_against_scipy():
    from scipy.stats.contingency import association

    generator = np.random.default_rng(0)
    for _ in range(20):
        table = generator.integers(1, 50, (generator.integers(2, 6), generator.integers(2, 6)))
        assert cramers_v(table) == pytest.approx(association(table, method="cramer"), rel=1e-12)
    assert cramers_v(np.array([[5, 0], [0, 5]])) == pytest.approx(1)
    assert cramers_v(np.array([[5, 0], [9, 0]])) == 0


def test_small_sets_differ_by_chance():
    assert by_chance(np.array([[3, 1], [1, 3]]), 3)
    assert not by_chance(np.array([[30, 10], [10, 30]]), 3)
    assert by_chance(np.array([[5, 0], [9, 0]]), 3)
