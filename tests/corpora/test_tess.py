"""TESS: its one misspelt file, capitals, the archive's second tree, partial copies."""

import shutil
from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.corpora import tess
from ser.corpora.tess import Name
from tests.fixtures import tess as fixture
from tests.fixtures.speech import Tone


@pytest.fixture
def tree(tmp_path):
    fixture.build(tmp_path / "tess", Tone())
    return tmp_path / "tess"


def test_labels_of_the_tree(tree, caplog):
    data = tess.read(tree, allow_partial=True)
    data.check()
    assert Counter(data.utt2spk.values()) == {"OAF": 28, "YAF": 28}
    assert Counter(data.classes_of().values()) == dict.fromkeys(tess.CORPUS.expected, 8)
    assert data.classes_of()["YAF-YAF_dog_ps"] == "surprise"
    assert data.tables["text"]["YAF-YAF_dog_ps"] == "Say the word dog"
    assert data.folds() == data.utt2spk
    assert data.spk2gender == {"OAF": "f", "YAF": "f"}
    assert data.speakers["spk2age"] == {"OAF": "64", "YAF": "26"}
    assert data.labels.partial
    assert "4 files there twice, taken once" in caplog.text


def test_the_misspelt_file_is_no_third_speaker(tree):
    data = tess.read(tree, allow_partial=True)
    assert data.tables["utt2orig"]["OAF-OAF_bite_neutral"] == "OA_bite_neutral"
    assert data.wav_scp["OAF-OAF_bite_neutral"].endswith(fixture.SLIP)
    originals = data.tables["utt2orig"]
    assert all(tess.CORPUS.speaker_of(originals[u]) == speaker for u, speaker in data.utt2spk.items())
    assert tess.CORPUS.speaker_of("who_back_sad") is None


def test_both_spellings_of_one_file_are_one(tree):
    wrong = tree / "OAF_neutral" / fixture.SLIP
    shutil.copy(wrong, tree / "OAF_neutral" / "OAF_bite_neutral.wav")
    assert len(tess.read(tree, allow_partial=True).utterances) == 56


@pytest.mark.parametrize(
    ("stem", "expected"),
    [("OAF_back_angry", Name("OAF", "back", "angry")), ("oaf_BACK_Angry", Name("OAF", "back", "angry")),
     ("OA_bite_neutral", Name("OAF", "bite", "neutral")), ("YAF_youth_ps", Name("YAF", "youth", "ps"))],
)  # fmt: skip
def test_names(stem, expected):
    assert tess.parse(stem) == expected


def test_what_a_partial_copy_lacks_is_named_as_far_as_it_can_be(tree, caplog):
    (tree / "YAF_Sad" / "YAF_dog_sad.wav").unlink()
    (tree / "OAF_happy" / "OAF_back_happy.wav").unlink()
    with pytest.raises(UserError, match=r"54 of 2,?800 utterances: 8 of 400 anger.*7 of 400 happiness"):
        tess.read(tree)
    assert "of the words that it has, it lacks OAF_back_happy.wav, YAF_dog_sad.wav" in caplog.text


def test_more_than_the_release_is_refused(tree):
    for letter in "abcdefghijklmnopqrst":
        for other in "abcdefghijklmnopqrst":
            shutil.copy(tree / "OAF_angry" / "OAF_back_angry.wav", tree / f"OAF_{letter}{other}_angry.wav")
    with pytest.raises(UserError, match="more than the release has"):
        tess.read(tree, allow_partial=True)


def test_a_whole_copy_is_not_partial(tmp_path, caplog):
    """2,800 files of 200 words, all links to one; every fold has one speaker."""
    Tone().wav(tmp_path / "one.flac", "")
    root = tmp_path / "tess"
    root.mkdir()
    words = [f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghij"]
    for speaker in tess.AGES:
        for emotion in tess.EMOTIONS:
            for word in words:
                (root / f"{speaker}_{word}_{emotion}.wav").symlink_to(tmp_path / "one.flac")
    data = tess.read(root)
    assert not data.labels.partial
    assert Counter(data.classes_of().values()) == tess.CORPUS.expected
    assert caplog.records == []


def test_other_files_and_none(tree, tmp_path, caplog):
    Tone().wav(tree / "XAF_back_angry.wav", "")
    tess.read(tree, allow_partial=True)
    assert "1 clip in no label file, left out: XAF_back_angry.wav" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no files like OAF_back_angry\.wav.*doi\.org"):
        tess.read(tmp_path / "empty")
