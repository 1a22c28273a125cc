"""SAVEE: both of its layouts, its names, partial copies."""

from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.corpora import savee
from tests.fixtures import savee as fixture
from tests.fixtures.speech import Tone


@pytest.fixture(params=[True, False], ids=["flat", "folders"])
def tree(request, tmp_path):
    fixture.build(tmp_path / "savee", Tone(), flat=request.param)
    return tmp_path / "savee"


def test_the_design_has_the_published_numbers():
    names = savee.design()
    assert len(set(names)) == len(names) == 480
    assert Counter(name[:2] for name in names) == dict.fromkeys(savee.SPEAKERS, 120)
    assert savee.CORPUS.expected["neutral"] == 120
    assert set(savee.CORPUS.expected.values()) == {60, 120}
    assert all(savee.NAME.fullmatch(name) for name in names)


def test_both_layouts_give_the_same_labels(tree):
    data = savee.read(tree, allow_partial=True)
    data.check()
    assert len(data.utterances) == 56
    assert data.classes_of()["KL-KL_sa01"] == "sadness"
    assert data.classes_of()["KL-KL_su02"] == "surprise"
    assert data.classes_of()["DC-DC_a01"] == "anger"
    assert data.tables["utt2orig"]["DC-DC_a01"] == "DC_a01"
    assert data.folds() == data.utt2spk
    assert set(data.spk2gender.values()) == {"m"}
    assert data.labels.partial
    originals = data.tables["utt2orig"]
    assert all(savee.CORPUS.speaker_of(originals[u]) == speaker for u, speaker in data.utt2spk.items())


def test_what_a_partial_copy_lacks_is_named_in_its_layout(tree):
    first = "DC_a03.wav" if (tree / "DC_a01.wav").exists() else "AudioData/DC/a03.wav"
    with pytest.raises(UserError, match=f"424 of 480 files that the release has are missing: {first}, "):
        savee.read(tree)


def test_a_whole_copy_is_not_partial(tmp_path):
    Tone().wav(tmp_path / "one.flac", "")
    (tmp_path / "savee").mkdir()
    for name in savee.design():
        (tmp_path / "savee" / f"{name}.wav").symlink_to(tmp_path / "one.flac")
    data = savee.read(tmp_path / "savee")
    assert not data.labels.partial
    assert Counter(data.classes_of().values()) == savee.CORPUS.expected


@pytest.mark.parametrize("stem", ["DC_a16", "DC_x01", "XY_a01", "DC_a1"])
def test_names_that_are_none_are_left_out(tree, stem, caplog):
    Tone().wav(tree / f"{stem}.wav", "")
    assert len(savee.read(tree, allow_partial=True).utterances) == 56
    assert f"1 clip in no label file, left out: {stem}.wav" in caplog.text


def test_a_folder_without_it(tmp_path):
    with pytest.raises(UserError, match=r"no files like DC_a01\.wav or DC/a01\.wav.*surrey"):
        savee.read(tmp_path)
