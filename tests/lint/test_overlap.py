"""What sets share is found, and nothing is found where they share nothing."""

import pytest

from ser.core.errors import UserError
from ser.data.splits import assign_folds
from ser.lint.finding import Level
from ser.lint.report import text
from ser.lint.run import lint
from tests.lint.builder import findings, only


def test_sets_in_order_are_clean(sets):
    result = sets.listen()
    assert findings(result) == {}
    assert {outcome.check.name for outcome in result.outcomes if outcome.not_checked} == {
        "counts",
        "speaker-wrong",
    }


@pytest.mark.parametrize("place", ["validation", "test"])
def test_a_speaker_of_training_elsewhere(sets, place):
    sets.change(place, "utt2spk", lambda name, speaker: speaker if speaker > "e" else "cem")
    sets.change("train", "utt2spk", lambda name, speaker: speaker)
    if place == "test":  # ids begin with the speaker
        sets.change("test", "utt2spk", lambda name, speaker: "cem" if name < "g" else speaker)
    finding = only(sets.lint(), "speaker-overlap")
    assert finding.what == f"1 speaker of 6 is in both train and {place}"
    assert finding.offenders[0].where == f"{sets.folder}/{place}/utt2spk:1"
    assert finding.offenders[0].text == f"cem: 12 in train, 12 in {place}"


def test_two_test_sets_that_share_a_speaker_leak_nothing(sets):
    whole = sets["test"]
    sets["test"], sets["test2"] = whole.subset(whole.utterances[:18]), whole.subset(whole.utterances[18:])
    said = findings(sets.lint())
    assert {name: found[0].level for name, found in said.items()} == {
        "speaker-overlap": Level.NOTE,
        "dialogue-overlap": Level.NOTE,
    }
    assert said["speaker-overlap"][0].what == "1 speaker of 7 is in both test and test2"
    sets.change("train", "utt2spk", lambda name, speaker: "gus" if speaker == "cem" else speaker)
    assert findings(sets.lint())["speaker-overlap"][0].level is Level.ERROR


def test_what_a_corpus_shares_by_design_can_be_allowed(sets):
    sets.change("validation", "utt2spk", lambda name, speaker: "cem" if speaker == "dora" else speaker)
    finding = only(sets.lint(allow=["speaker-overlap"]), "speaker-overlap", Level.WARNING)
    assert finding.allowed


def test_speakers_that_nobody_knows_do_not_overlap_and_are_counted(sets):
    for name in ("train", "test"):
        data = sets[name]
        renamed = {old: f"unknown-{old}" for old in data.utterances[:3]}
        data.tables = {
            table: {renamed.get(k, k): v for k, v in rows.items()} for table, rows in data.tables.items()
        }
        data.recordings["wav.scp"] = {renamed.get(k, k): v for k, v in data.wav_scp.items()}
        sets.change(name, "utt2spk", lambda key, value: "unknown" if key.startswith("unknown") else value)
    finding = only(sets.lint(), "speaker-unknown", Level.WARNING)
    assert finding.what == "6 utterances without a known speaker"
    assert [offender.text for offender in finding.offenders] == [
        "3 of 36 (8.3 %) utterances of train", "3 of 24 (12.5 %) utterances of test",
    ]  # fmt: skip


def test_a_dialogue_in_two_sets(sets):
    sets.change("test", "utt2dialogue", lambda name, dialogue: dialogue.replace("test_03", "train_03"))
    finding = only(sets.lint(), "dialogue-overlap")
    assert "train_03: 3 in train, 2 in test" in finding.offenders[0].text


def test_an_utterance_and_a_file_in_two_sets(sets):
    sets["test"].recordings["wav.scp"]["finn-04"] = sets["train"].wav_scp["ann-01"]
    finding = only(sets.lint(), "utterance-overlap")
    assert finding.offenders[0].where.endswith("test/wav.scp:5")


@pytest.mark.parametrize("said", ["SOMETHING, ann number 03 says!", " something  ann—number 03 says"])
def test_the_same_words_in_training_whatever_their_spelling(sets, said):
    sets.change("test", "text", lambda name, text: said if name in ("finn-01", "gus-02") else text)
    finding = only(sets.lint(), "script-overlap", Level.WARNING)
    assert finding.what == "2 of 24 (8.3 %) of test's utterances have a text that is in train too"
    assert finding.offenders[0].text == "'something ann number 03 says', 2 times"
    assert finding.offenders[0].where.endswith("test/text:2")


def cross_validated(sets, fold_of):
    """The training set alone, with folds."""
    for name in ("validation", "test"):
        del sets[name]
    data = sets["all"] = sets.pop("train")
    data.tables["utt2fold"] = fold_of(data.utt2spk)


def test_folds_by_speaker_are_apart(sets):
    cross_validated(sets, assign_folds)
    del sets["all"].tables["utt2dialogue"]
    assert findings(sets.lint()) == {}


def test_folds_that_share_speakers_and_dialogues(sets):
    cross_validated(sets, lambda utt2spk: {name: f"fold{number % 2}" for number, name in enumerate(utt2spk)})
    said = findings(sets.lint())
    assert said["speaker-overlap"][0].what == "3 speakers of 3 are in more than one fold"
    assert list(said) == ["speaker-overlap"]  # a dialogue's turns have one number each, hence one fold


def test_folds_that_share_texts_are_one_finding(sets):
    cross_validated(sets, assign_folds)
    del sets["all"].tables["utt2dialogue"]
    sets.change("all", "text", lambda name, text: f"Sentence {name[-2:]}")
    finding = only(sets.lint(), "script-overlap", Level.WARNING)
    assert finding.what == "36 of 36 (100.0 %) of the utterances have a text that is in another fold too"
    assert finding.count == 12 and finding.more == 7


def test_utterances_that_are_trained_on_and_tested(sets):
    sets["test2"] = sets["train"].subset(sets["train"].utterances[:12])
    said = findings(sets.lint())
    assert said["speaker-overlap"][0].what == "1 speaker of 7 is in both train and test2"
    assert said["dialogue-overlap"][0].count == 12 == said["utterance-overlap"][0].count


def test_all_of_a_folder_can_be_given(sets, tmp_path):
    """Files, and folders that hold something else, are left out; an empty set is not."""
    folders = sets.write()
    (sets.folder / "audio").mkdir()
    (sets.folder / "lint.html").write_text("x")
    given = sorted(sets.folder.iterdir())
    result = lint(given, audio=False)
    assert findings(result) == {} and len(result.subject.sets) == 3
    assert result.subject.skipped == [sets.folder / "audio", sets.folder / "lint.html"]
    assert [item.name for item in result.subject.sets] == ["train", "validation", "test"]
    assert "left out, no data directories: " in text(result)
    (sets.folder / "test9").mkdir()
    assert (
        "empty data directory"
        in only(lint([*folders, sets.folder / "test9"], audio=False), "tables").offenders[0].text
    )
    with pytest.raises(UserError, match="none of these is a data directory"):
        lint([sets.folder / "audio", sets.folder / "lint.html"])
    assert "no such data directory" in only(lint([sets.folder / "none"]), "tables").offenders[0].text
