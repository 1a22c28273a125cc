"""test-c of the PAPT split: speakers of a later release whom the first does not have."""

from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.corpora.msp_podcast.labels import Label
from ser.corpora.msp_podcast.unheard import new_files, set_apart
from ser.data.report import validate
from tests.corpora.msp_podcast import copies
from tests.fixtures import msp_podcast as fixture

NEW = {"spk0610", "spk0611"}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The first release and a later one."""
    root = tmp_path_factory.mktemp("msp")
    fixture.build(root / "first", release="1.6")
    fixture.build(root / "later", release="1.10", later=True)
    return root / "first", root / "later"


def prepare(root, out, *options):
    """As ``ser prepare msp_podcast --protocol papt`` does it."""
    return copies.prepare(root, out, "--protocol", "papt", "--nj", "1", *options, partial=False)


def names_of(data):
    return set(data.tables["utt2orig"].values())


def later_clips(set_name, speaker):
    return [c.name for c in fixture.clips(later=True) if (c.set, c.speaker) == (set_name, speaker)]


def test_speakers_of_the_later_release_s_tests_who_are_in_no_set_of_the_first(trees, tmp_path, caplog):
    caplog.set_level("INFO")
    data = prepare(trees[0], tmp_path, "--test-c-root", trees[1])
    unheard = data["test-c"]
    assert set(unheard.spk2utt) == NEW
    assert names_of(unheard) == {*later_clips("Test1", "610"), *later_clips("Test2", "611")}
    assert unheard.labels.release == "1.10, PAPT split, test-c reconstructed"
    assert unheard.attribute("arousal").keys() == set(unheard.utterances)
    assert {str(Path(path).parent) for path in unheard.wav_scp.values()} == {
        str((trees[1] / "Audios").resolve())
    }
    assert validate(unheard.path) == []
    for name, other in data.items():
        assert name == "test-c" or not NEW & set(other.spk2utt)
    assert "test-c 7 of 2 (7304 of 62)" in caplog.text
    assert "test-c is a reconstruction" in caplog.text
    assert "took test-c from" not in caplog.text


def test_the_other_sets_are_as_without_it(trees, tmp_path):
    without = prepare(trees[0], tmp_path / "a")
    data = prepare(trees[0], tmp_path / "b", "--test-c-root", trees[1])
    assert set(data) == {*without, "test-c"}
    for name in without:
        for file in (tmp_path / "a" / name).iterdir():
            assert file.read_bytes() == (tmp_path / "b" / name / file.name).read_bytes()


def test_a_list_chooses_among_them(trees, tmp_path):
    chosen = later_clips("Test1", "610")[:2]
    (tmp_path / "list").write_text("\n".join([chosen[0].removesuffix(".wav"), chosen[1]]))
    data = prepare(trees[0], tmp_path / "data", "--test-c-root", trees[1], "--test-c", tmp_path / "list")
    assert names_of(data["test-c"]) == set(chosen)
    assert data["test-c"].labels.release == "1.10, PAPT split, test-c"


def test_one_later_copy_and_a_list_set_the_speakers_of_test_c_apart(tmp_path):
    fixture.build(tmp_path / "one", release="1.6")
    test1 = [c.name for c in fixture.clips() if (c.set, c.speaker) == ("Test1", "300")]
    test2 = [c.name for c in fixture.clips() if (c.set, c.speaker) == ("Test2", "52")]
    (tmp_path / "list").write_text("\n".join([test1[0], *test2]))
    data = prepare(tmp_path / "one", tmp_path / "data", "--test-c", tmp_path / "list")
    assert names_of(data["test-c"]) == {test1[0], *test2}
    assert set(data["test-c"].spk2utt) == {"spk0300", "spk0052"}
    assert set(data["test-a"].spk2utt) == set(data["test-b"].spk2utt) == {"spk0007", "spk0019", "spk0041"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MSP-PODCAST_9999_0001.wav", "that the release does not have: 'MSP-PODCAST_9999_0001.wav'"),
        (later_clips("Train", "777")[0], "of train, not of Test1 or Test2"),
        (later_clips("Test2", "")[-1], "whose speaker is unknown"),
        (later_clips("Test1", "19")[-1], "of speaker 19, who is in a set of the first release"),
    ],
)
def test_a_list_with_a_file_that_cannot_be_in_it_is_refused(trees, tmp_path, name, words):
    (tmp_path / "list").write_text(name)
    with pytest.raises(UserError, match=words):
        prepare(trees[0], tmp_path / "data", "--test-c-root", trees[1], "--test-c", tmp_path / "list")
    assert not (tmp_path / "data").exists()


def test_mistakes_are_named(trees, tmp_path):
    def refused(*options):
        with pytest.raises(UserError) as caught:
            prepare(trees[0], tmp_path / "data", *options)
        assert not (tmp_path / "data").exists()
        return str(caught.value)

    assert "no speaker of Test1 and Test2 is new" in refused("--test-c-root", trees[0])
    assert "--test-c-root is no folder: 'none'" in refused("--test-c-root", "none")
    assert "--test-c-release without --test-c-root" in refused("--test-c-release", "1.10")
    assert "no such release: '9.9'" in refused("--test-c-root", trees[1], "--test-c-release", "9.9")
    assert "give its folder with --test-c-root" in refused("--sets", "train,test-c")
    assert "for --protocol papt" in refused("--test-c-root", trees[1], "--protocol", "official")
    (tmp_path / "list").write_text("\n")
    assert "list: empty file" in refused("--test-c-root", trees[1], "--test-c", tmp_path / "list")


def test_missing_audio_of_test_c_is_refused_unless_allowed(trees, tmp_path):
    fixture.build(tmp_path / "later", release="1.10", later=True)
    gone = later_clips("Test1", "610")[0]
    (tmp_path / "later" / "Audios" / gone).unlink()
    with pytest.raises(UserError, match=f"1 of 7 files that test-c lists are missing: Audios/{gone}"):
        prepare(trees[0], tmp_path / "data", "--test-c-root", tmp_path / "later")
    data = prepare(trees[0], tmp_path / "data", "--test-c-root", tmp_path / "later", "--allow-partial")
    assert len(data["test-c"].utterances) == 6
    assert data["test-c"].labels.partial
    assert not data["test-b"].labels.partial


def test_speakers_have_one_width_in_both_releases(trees, tmp_path):
    fixture.build(tmp_path / "later", release="1.10", later=True)
    for path in (tmp_path / "later").rglob("*"):
        if path.is_file() and path.suffix in (".csv", ".json", ".txt"):
            path.write_text(path.read_text().replace("610", "61000"))
    data = prepare(trees[0], tmp_path / "data", "--test-c-root", tmp_path / "later", "--allow-partial")
    assert {len(speaker) for set_ in data.values() for speaker in set_.spk2utt} == {len("spk00000")}


def test_a_speaker_who_was_unknown_in_the_first_release_was_heard_all_the_same():
    first = {"a.wav": Label(set="train"), "b.wav": Label(set="train", speaker="1")}
    later = {
        "a.wav": Label(set="train", speaker="2"), "c.wav": Label(set="test1", speaker="2"),
        "d.wav": Label(set="test1", speaker="3"), "e.wav": Label(set="test2", speaker="1"),
        "f.wav": Label(set="train", speaker="4"), "g.wav": Label(set="test2"),
    }  # fmt: skip
    assert new_files(later, first, None, Path()) == ["d.wav"]
    assert set(set_apart(later, ["d.wav"])) == {"a.wav", "c.wav", "f.wav"}
