"""Speaker ids that are wrong: by the corpus's rule, by the dialogues, by their spelling and number."""

import pytest

from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.lint.finding import Level
from ser.lint.run import lint
from ser.lint.speakers import plain, rule_of, wrong_speakers
from tests.lint.builder import findings, only


def iemocap(folder, corpus="iemocap", speaker=None, original=str, prefix=True):
    """Two sessions, four dialogues, in which the partners take turns; ``speaker(turn)`` is the one noted."""
    turns = {}
    for session in "12":
        for dialogue in ("Ses0{}F_impro01", "Ses0{}M_script01_1"):
            for number in range(6):
                who = "FM"[number % 2]
                turns[f"{dialogue.format(session)}_{who}{number:03d}"] = f"Ses0{session}{who}"
    noted = {turn: speaker(turn) if speaker else true for turn, true in turns.items()}
    utt2spk = {f"{noted[turn]}-{turn}" if prefix else turn: noted[turn] for turn in turns}
    names = dict(zip(turns, utt2spk, strict=True))
    tables = {
        "utt2spk": utt2spk,
        "utt2orig": {names[turn]: original(turn) for turn in turns},
        "utt2dialogue": {names[turn]: turn.rsplit("_", 1)[0] for turn in turns},
        "utt2fold": {names[turn]: turn[:5] for turn in turns},
    }
    recordings = {"wav.scp": {name: f"/nowhere/{name}.wav" for name in utt2spk}}
    DataDir(folder, LabelSchema(corpus), tables, recordings).write(folder)
    return folder


def by_prefix(turn):
    """S3PRL's mistake: the letter that says who wore the markers."""
    return turn[:6]


def check(folder):
    """What is said of the tables; texts and labels are not there."""
    return findings(lint([folder], audio=False))


def test_the_true_speakers_are_clean(tmp_path):
    assert check(iemocap(tmp_path / "all")) == {}


@pytest.mark.parametrize("corpus", ["iemocap", "IEMOCAP", "iemocap-4", "my_iemocap"])
@pytest.mark.parametrize("original", [str, lambda turn: f"Session1/sentences/wav/x/{turn}.wav"])
def test_the_speaker_of_the_prefix_is_caught_whoever_made_the_directory(tmp_path, corpus, original):
    said = check(iemocap(tmp_path / "all", corpus, by_prefix, original))
    assert list(said) == ["speaker-wrong", "speaker-dialogue"]
    [finding] = said["speaker-wrong"]
    assert finding.level is Level.ERROR
    assert (
        finding.what
        == "12 of 24 (50.0 %) utterances of all have another speaker than their original id tells"
    )
    assert finding.offenders[0].text == "Ses01F, but Ses01M speaks: Ses01F-Ses01F_impro01_M001"
    assert finding.offenders[0].where == f"{tmp_path}/all/utt2spk:4"


def test_it_is_caught_under_other_names_for_the_speakers_too(tmp_path):
    folder = iemocap(tmp_path / "all", speaker=lambda turn: "actor" + turn[4:6])
    assert [finding.count for finding in check(folder)["speaker-wrong"]] == [12]


def test_it_is_suspected_without_knowing_the_corpus(tmp_path):
    said = check(iemocap(tmp_path / "all", "unheard", by_prefix, lambda turn: turn.replace("Ses", "x")))
    assert list(said) == ["speaker-dialogue"]
    assert said["speaker-dialogue"][0].level is Level.WARNING
    assert said["speaker-dialogue"][0].what == "each of all's 4 dialogues has one speaker only"
    assert said["speaker-dialogue"][0].offenders[0].text == "Ses01F_impro01: 6 utterances, all by Ses01F"


def test_other_names_for_the_right_people_are_fine(tmp_path):
    right = {"Ses01F": "1_f", "Ses01M": "1_m", "Ses02F": "2_f", "Ses02M": "2_m"}
    folder = iemocap(tmp_path / "all", speaker=lambda turn: right[turn[:5] + turn.split("_")[-1][0]])
    assert check(folder) == {}


def test_names_are_matched_one_to_one_only_when_none_is_the_corpus_s():
    told = {"a": "X", "b": "X", "c": "Y"}
    assert wrong_speakers({"a": "p", "b": "p", "c": "q"}, told) == set()
    assert wrong_speakers({"a": "p", "b": "q", "c": "q"}, told) in ({"a"}, {"b"})
    assert wrong_speakers({"a": "Y", "b": "Y", "c": "X"}, told) == {"a", "b", "c"}
    assert wrong_speakers({"a": "p", "b": "q", "c": "r"}, told) in ({"a"}, {"b"})


def test_a_corpus_is_known_by_a_word_of_its_name():
    assert rule_of("tess") is not None
    assert rule_of("finesse") is None and rule_of("tessera") is None and rule_of("csv") is None


@pytest.mark.parametrize("twin", ["Ann", "a_nn"])
def test_ids_that_differ_in_spelling_only(sets, twin):
    for name, rows in sets["train"].tables.items():
        sets["train"].tables[name] = {key.replace("bob-", f"{twin}-"): value for key, value in rows.items()}
    wav_scp = sets["train"].wav_scp
    sets["train"].recordings["wav.scp"] = {
        key.replace("bob-", f"{twin}-"): value for key, value in wav_scp.items()
    }
    sets.change("train", "utt2spk", lambda name, speaker: twin if speaker == "bob" else speaker)
    finding = only(sets.lint(), "speaker-spelling", Level.WARNING)
    assert twin in finding.offenders[0].text and "ann" in finding.offenders[0].text


@pytest.mark.parametrize(
    ("one", "other"), [("Ses01F", "Ses01M"), ("1-11", "11-1"), ("spk1", "spk10"), ("a", "b")]
)
def test_ids_of_different_people(one, other):
    assert plain(one) != plain(other)


@pytest.mark.parametrize(("one", "other"), [("spk001", "spk1"), ("S-01", "s01"), ("a b", "A_b"), ("0", "00")])
def test_ids_of_one_person(one, other):
    assert plain(one) == plain(other)


def test_as_many_speakers_as_utterances(sets):
    sets.change("test", "utt2spk", lambda name, speaker: name)
    said = findings(sets.lint())
    assert said["speaker-number"][0].what == "test has as many speakers as utterances, 24"


def test_one_speaker_in_all(sets):
    del sets["validation"], sets["test"]
    sets["train"] = sets["train"].subset(name for name in sets["train"].utterances if name.startswith("ann"))
    del sets["train"].tables["utt2dialogue"]
    finding = only(sets.lint(), "speaker-number", Level.WARNING)
    assert "one speaker, ann" in finding.what
