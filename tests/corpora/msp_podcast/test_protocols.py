"""The sets of each protocol: official, challenges, PAPT."""

from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.corpora.msp_podcast import protocols
from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from tests.corpora.msp_podcast.copies import clip, prepare
from tests.fixtures import msp_podcast as fixture


def test_test3_has_audio_alone(trees, tmp_path):
    test3 = prepare(trees("2.0"), tmp_path)["test3"]
    assert set(test3.tables) == {"utt2spk", "utt2orig", "utt2dur"}
    assert test3.speakers == {}
    assert not any(map(is_known, test3.spk2utt))
    assert len(test3.spk2utt) == len(test3.utterances) == 9
    assert test3.labels.classes == DataDir.load(tmp_path / "train").labels.classes
    assert all(name.startswith("MSP-PODCAST_test3_") for name in test3.tables["utt2orig"].values())


def test_test3_that_no_file_lists_is_known_by_its_name(tree, tmp_path):
    path = tree / "Partitions.txt"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("Test3")]
    path.write_text("\n".join([*kept, ""]))
    assert len(prepare(tree, tmp_path / "data")["test3"].utterances) == 9


@pytest.mark.parametrize("protocol", ["odyssey2024", "is2025"])
def test_challenges_leave_test1_and_test2_out(trees, tmp_path, protocol):
    assert sorted(prepare(trees("2.0"), tmp_path, "--protocol", protocol)) == ["test3", "train", "validation"]


def test_a_set_that_the_release_lacks_is_named(trees, tmp_path):
    with pytest.raises(UserError, match=r"no set: 'test3'\. It has train validation test1 test2"):
        prepare(trees("1.8"), tmp_path, "--sets", "train,validation,test1,test3")
    assert list(tmp_path.iterdir()) == []


def test_the_papt_split(trees, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(protocols, "ENROLMENT_SECONDS", 0.7)
    data = prepare(trees("1.6"), tmp_path / "a", "--protocol", "papt")
    assert sorted(data) == ["test-a", "test-b", "train", "validation"]
    test1 = {c.name for c in fixture.clips() if c.set == "Test1"}
    parts = [set(data[name].tables["utt2orig"].values()) for name in ("test-a", "test-b")]
    assert parts[0] | parts[1] == test1
    assert not parts[0] & parts[1]
    assert data["test-a"].spk2utt.keys() == data["test-b"].spk2utt.keys()
    for speaker, utterances in data["test-a"].spk2utt.items():
        seconds = data["test-a"].durations()
        total = sum(seconds[u] for u in utterances)
        assert total >= 0.7, speaker
        assert total - max(seconds[u] for u in utterances) < 0.7
    assert all(map(is_known, data["train"].spk2utt))
    assert data["test-a"].labels.release == "1.6, PAPT split, test-a reconstructed with seed 0"
    again = prepare(trees("1.6"), tmp_path / "b", "--protocol", "papt")
    assert again["test-a"].utterances == data["test-a"].utterances
    other = prepare(trees("1.6"), tmp_path / "c", "--protocol", "papt", "--seed", "1")
    assert other["test-a"].utterances != data["test-a"].utterances


def test_a_list_of_test_a_is_taken(trees, tmp_path):
    names = [c.name for c in fixture.clips() if c.set == "Test1"][::4]
    (tmp_path / "list").write_text("\r\n".join([names[0][:-4], *names[1:]]))
    data = prepare(trees("1.6"), tmp_path / "data", "--protocol", "papt", "--test-a", str(tmp_path / "list"))
    assert set(data["test-a"].tables["utt2orig"].values()) == set(names)
    assert data["test-a"].labels.release == "1.6, PAPT split"
    (tmp_path / "list").write_text(clip().name)
    with pytest.raises(UserError, match="a file that is not in Test1"):
        prepare(trees("1.6"), tmp_path / "data", "--protocol", "papt", "--test-a", str(tmp_path / "list"))


def test_the_last_utterance_of_a_speaker_stays_for_test_b():
    speakers = {"a": "s", "b": "s", "c": "t"}
    chosen = protocols.drawn_enrolment(list(speakers), speakers, dict.fromkeys(speakers, 5.0), 0)
    assert Counter(speakers[name] for name in chosen) == {"s": 1}
