"""CREMA-D: names, votes, demographics, and the release's slips, on a tree in its layout."""

import os
import shutil
from argparse import Namespace
from collections import Counter

import pytest
import soundfile

from ser.core.errors import UserError
from ser.corpora import crema_d
from ser.data.datadir import DataDir
from ser.data.report import validate
from tests.fixtures import crema_d as fixture
from tests.fixtures.speech import Tone

NAMES = ["_".join(map(str, clip)) for clip in fixture.clips()]
HEADER = ",".join(["", *"ADFHNS", "fileName", "numResponses"])
VOICE = "100001,0,0,0,1,10,0,1001_IEO_NEU_XX,11"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("crema_d") / "tree"
    fixture.build(root, Tone())
    return root


@pytest.fixture
def tree(built, tmp_path):
    return shutil.copytree(built, tmp_path / "CREMA-D")


def prepare(root, out, allow_partial=True, labels="intended"):
    args = Namespace(db_root=str(root), out=str(out), allow_partial=allow_partial, nj=1, labels=labels)
    crema_d.prepare(args)
    return DataDir.load(out / "all")


def counts_of_the_tree(monkeypatch):
    """Make the tree the whole release."""
    counts = Counter(crema_d.EMOTIONS[name.split("_")[2]] for name in NAMES)
    for emotion in crema_d.CLASSES:
        monkeypatch.setitem(crema_d.CORPUS.expected, emotion, counts[emotion])
    return dict(counts)


def test_the_published_counts_agree_with_each_other():
    assert sum(crema_d.CORPUS.expected.values()) == 7442
    assert Counter(crema_d.CORPUS.expected.values()) == {1271: 5, 1087: 1}


def test_labels_of_a_tree(tree, tmp_path):
    data = prepare(tree, tmp_path / "data")
    assert validate(tmp_path / "data" / "all") == []
    assert len(data.utterances) == len(NAMES)
    assert data.labels.classes == ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    assert data.labels.partial and data.labels.expected == crema_d.CORPUS.expected
    assert data.classes_of()["1001-1001_DFA_ANG_XX"] == "anger"
    assert data.classes_of()["1003-1003_IEO_DIS_MD"] == "disgust"
    assert data.tables["text"]["1001-1001_DFA_ANG_XX"] == "Don't forget a jacket."
    assert data.tables["text"]["1076-1076_MTI_SAD_XX"] == "Maybe tomorrow it will be cold."
    levels = {original: data.tables["utt2level"][name] for name, original in data.tables["utt2orig"].items()}
    assert levels["1003_IEO_DIS_MD"] == "MD"
    assert levels["1001_DFA_ANG_XX"] == levels["1040_ITH_SAD_X"] == "XX"
    assert all(crema_d.CORPUS.speaker_of(data.tables["utt2orig"][u]) == s for u, s in data.utt2spk.items())


def test_gender_and_age(tree, tmp_path):
    data = prepare(tree, tmp_path / "data")
    assert data.spk2gender == {str(actor): sex[0].lower() for actor, (_, sex) in fixture.ACTORS.items()}
    assert data.speakers["spk2age"]["1001"] == "51"
    assert data.trait("age")["1003-1003_IEO_DIS_MD"] == "21"


def test_votes_are_those_on_the_voice(tree, tmp_path):
    data = prepare(tree, tmp_path / "data")
    shares = {u: [float(share) for share in row.split()] for u, row in data.tables["utt2emodist"].items()}
    assert shares.keys() == data.utt2spk.keys()
    for utterance, found in shares.items():
        name = crema_d._spelt_out(data.tables["utt2orig"][utterance])
        voice, face = (list(fixture.votes_on(name, kind).values()) for kind in (1, 2))
        assert found == pytest.approx([count / sum(voice) for count in voice], abs=1e-5)
        assert sum(found) == pytest.approx(1, abs=1e-5)
        if voice != face:
            assert found != pytest.approx([count / sum(face) for count in face], abs=1e-5)


def test_perceived_labels_are_the_majority_and_none_where_listeners_tie(tree, tmp_path):
    data = prepare(tree, tmp_path / "data", labels="perceived")
    assert validate(tmp_path / "data" / "all") == []
    heard = data.classes_of()
    letters = dict(zip("ADFHNS", crema_d.CLASSES, strict=True))
    ties = 0
    for utterance, original in data.tables["utt2orig"].items():
        votes = fixture.votes_on(crema_d._spelt_out(original), 1)
        most = [letters[letter] for letter, count in votes.items() if count == max(votes.values())]
        ties += len(most) > 1
        assert heard.get(utterance) == (most[0] if len(most) == 1 else None)
    assert 0 < ties == len(data.utterances) - len(heard)
    assert len(data.tables["utt2emodist"]) == len(data.utterances)
    assert data.labels.expected == {"utterances": 7442}
    assert heard != prepare(tree, tmp_path / "data").classes_of()


def test_folds_hold_actors_together(tree, tmp_path):
    data = prepare(tree, tmp_path / "data")
    folds = data.folds()
    assert set(folds.values()) == {f"fold{number}" for number in range(1, 6)}
    assert all(len({folds[u] for u in utterances}) == 1 for utterances in data.spk2utt.values())


@pytest.mark.parametrize("place", [".", "AudioWAV", ".."])
def test_the_folder_may_be_above_or_below(tree, tmp_path, place):
    data = crema_d.read(tree / place, allow_partial=True)
    assert len(data.utterances) == len(NAMES)
    assert "utt2emodist" in data.tables and "spk2age" in data.speakers


def test_a_copy_of_the_audio_alone(tree, tmp_path, caplog):
    data = prepare(shutil.copytree(tree / "AudioWAV", tmp_path / "wavs"), tmp_path / "data")
    assert "utt2emodist" not in data.tables and not data.speakers
    assert "no processedResults/tabulatedVotes.csv, so no utt2emodist" in caplog.text
    assert "no VideoDemographics.csv, so neither gender nor age" in caplog.text
    with pytest.raises(UserError, match=r"perceived labels need processedResults/tabulatedVotes\.csv"):
        prepare(tmp_path / "wavs", tmp_path / "perceived", labels="perceived")
    assert not (tmp_path / "perceived").exists()


def test_a_partial_copy_is_refused_with_what_is_missing(tree, tmp_path):
    with pytest.raises(UserError, match=r"partial copy, 75 of 7442 utterances: 12 of 1271 anger"):
        prepare(tree, tmp_path / "data", allow_partial=False)
    assert not (tmp_path / "data").exists()


def test_a_clip_that_has_votes_and_is_absent(tree, tmp_path, caplog):
    (tree / "AudioWAV" / "1003_TSI_ANG_XX.wav").unlink()
    caplog.set_level("INFO")
    data = prepare(tree, tmp_path / "data")
    assert len(data.utterances) == len(NAMES) - 1
    assert "1 of 75 files that the votes list are missing: AudioWAV/1003_TSI_ANG_XX.wav" in caplog.text


def test_a_clip_that_is_there_and_has_no_votes(tree, tmp_path, caplog):
    shutil.copy(tree / "AudioWAV" / "1003_TSI_ANG_XX.wav", tree / "AudioWAV" / "1003_WSI_ANG_XX.wav")
    data = prepare(tree, tmp_path / "data")
    assert "1003-1003_WSI_ANG_XX" in data.classes_of()
    assert "1003-1003_WSI_ANG_XX" not in data.tables["utt2emodist"]
    assert "no votes on 1 clip: 1003_WSI_ANG_XX" in caplog.text


@pytest.mark.parametrize(
    "name", ["1003_TSI_ANG_XX (1)", "1003 TSI ANG XX", "1003_TSI_JOY_XX", "1003_XXX_ANG_XX"]
)
def test_files_of_other_names_are_told(tree, tmp_path, caplog, name):
    shutil.copy(tree / "AudioWAV" / "1003_TSI_ANG_XX.wav", tree / "AudioWAV" / f"{name}.wav")
    assert len(prepare(tree, tmp_path / "data").utterances) == len(NAMES)
    assert f"1 file not named as clips are, left out: AudioWAV/{name}.wav" in caplog.text


def test_the_whole_release_and_its_silent_clip(tree, tmp_path, monkeypatch, caplog):
    """It is kept where it has samples, and is no loss where it has none or is gone."""
    counts = counts_of_the_tree(monkeypatch)
    data = prepare(tree, tmp_path / "data", allow_partial=False)
    assert (data.labels.partial, data.labels.expected) == (False, counts)
    assert "1076_MTI_SAD_XX.wav has no sound in the release: kept" in caplog.text
    silent = tree / "AudioWAV" / "1076_MTI_SAD_XX.wav"
    soundfile.write(silent, [], 16000)
    data = prepare(tree, tmp_path / "data", allow_partial=False)
    assert "1076_MTI_SAD_XX.wav has no sound in the release: left out" in caplog.text
    assert len(data.utterances) == len(NAMES) - 1
    assert data.labels.expected == {**counts, "sadness": counts["sadness"] - 1}
    silent.unlink()
    assert not prepare(tree, tmp_path / "data", allow_partial=False).labels.partial


def test_more_than_the_release_is_refused(tree, tmp_path, monkeypatch):
    counts_of_the_tree(monkeypatch)
    shutil.copy(tree / "AudioWAV" / "1003_TSI_ANG_XX.wav", tree / "AudioWAV" / "1003_WSI_ANG_XX.wav")
    with pytest.raises(UserError, match="more than the release has"):
        prepare(tree, tmp_path / "data")


def test_stand_ins_of_git_lfs_are_told_from_audio(tree, tmp_path):
    for wav in (tree / "AudioWAV").glob("1001_*"):
        wav.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 73356\n")
    with pytest.raises(UserError, match=r"18 of 75 wav files are Git LFS's stand-ins.*git lfs pull"):
        prepare(tree, tmp_path / "data")


def test_broken_audio_is_named(tree, tmp_path):
    wav = tree / "AudioWAV" / "1003_TSI_ANG_XX.wav"
    wav.write_bytes(wav.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"1 of 75 audio files are broken: .*1003_TSI_ANG_XX.wav \(truncated"):
        prepare(tree, tmp_path / "data")


def test_the_same_clip_twice(tree, tmp_path):
    other = tree / "resampled" / "1003_TSI_ANG_XX.wav"
    other.parent.mkdir()
    shutil.copy(tree / "AudioWAV" / other.name, other)
    assert len(prepare(tree, tmp_path / "data").utterances) == len(NAMES)
    soundfile.write(other, [0.5] * 800, 8000)
    with pytest.raises(UserError, match="two files of one name that differ"):
        prepare(tree, tmp_path / "data")


def test_a_loop_of_links_is_refused(tree, tmp_path):
    os.symlink(tree, tree / "AudioWAV" / "again")
    with pytest.raises(UserError, match="symbolic links lead round in a circle"):
        prepare(tree, tmp_path / "data")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,0,0,0,1,10,0,1001_IEO_NEU_XX,11", "the row's number is not a whole number: 'x'"),
        ("100002,-1,0,0,1,10,0,1001_TIE_NEU_XX,11", "A is not a number of votes: '-1'"),
        ("100002,0,0,0,NA,10,0,1001_TIE_NEU_XX,11", "H is not a number of votes: 'NA'"),
        ("100002,0,0,0,1,10,0,,11", "empty fileName"),
        ("100002,0,0,0,1,10,0,../../1001_IEO_NEU_XX,11", "fileName is not like 1001_DFA_ANG_XX: '../"),
        ("100002,0,0,0,1,10,0,1001 IEO NEU XX,11", "fileName is not like 1001_DFA_ANG_XX: '1001 IEO"),
        ("100002,0,0,0,1,10,0,1001_IEO_NEU_XX,11", "a second row of one clip's voice"),
        ("100002,0,0,0,1,10,0,1001_TIE_NEU_XX", "8 cells, and the header has 9"),
    ],
)  # fmt: skip
def test_a_bad_row_of_votes_is_refused_with_its_line(tmp_path, row, words):
    path = tmp_path / "tabulatedVotes.csv"
    path.write_text(f"{HEADER}\n{VOICE}\n{row}\n")
    with pytest.raises(UserError) as caught:
        crema_d.read_votes(path)
    assert f"{path}:3: {words}" in str(caught.value)


def test_votes_with_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "tabulatedVotes.csv"
    path.write_bytes(f"\ufeff{HEADER}\r\n{VOICE}\r\n200001,9,0,0,0,0,0,1001_IEO_NEU_XX,9\r\n".encode())
    votes = crema_d.read_votes(path)
    assert votes == {"1001_IEO_NEU_XX": dict(zip(crema_d.CLASSES, (0, 0, 0, 1, 10, 0), strict=True))}


@pytest.mark.parametrize(
    ("text", "words"),
    [(HEADER.replace("fileName", "file") + f"\n{VOICE}\n", ":1: lacks the column fileName"),
     (f"{HEADER}\n200001,9,0,0,0,0,0,1001_IEO_NEU_XX,9\n", "no row of listeners who had the voice alone")],
)  # fmt: skip
def test_votes_without_what_is_needed(tmp_path, text, words):
    path = tmp_path / "tabulatedVotes.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        crema_d.read_votes(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1001,30,Male,Asian,Hispanic", "a second row of one actor: '1001'"),
        ("1092,30,M,Asian,Hispanic", "Sex is neither Male nor Female: 'M'"),
        ("1092,young,Male,Asian,Hispanic", "Age is not a number: 'young'"),
        ("1092,,Male,Asian,Hispanic", "Age is not a number of years"),
        ("1092,999,Male,Asian,Hispanic", "Age is not a number of years: '999'"),
        ("1092,30,Male,Asian", "4 cells, and the header has 5"),
    ],
)
def test_bad_demographics_are_refused_with_their_line(tree, tmp_path, row, words):
    path = tree / "VideoDemographics.csv"
    lines = len(path.read_text().splitlines())
    with open(path, "a") as stream:
        stream.write(f"{row}\n")
    with pytest.raises(UserError) as caught:
        prepare(tree, tmp_path / "data")
    assert f"{path}:{lines + 1}: {words}" in str(caught.value)


def test_an_actor_without_demographics(tree, tmp_path, caplog):
    """Kaldi wants spk2gender of all or none: by utterance, then."""
    path = tree / "VideoDemographics.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "1064" not in line))
    data = prepare(tree, tmp_path / "data")
    assert data.speakers == {}
    assert data.trait("gender")["1001-1001_DFA_ANG_XX"] == "m"
    assert data.trait("age")["1001-1001_DFA_ANG_XX"] == "51"
    assert not any(utterance.startswith("1064") for utterance in data.trait("gender"))
    assert "lacks 1 actor: 1064" in caplog.text


@pytest.mark.parametrize("root", [None, "/no/such/folder", "."])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"ODbL.*CheyneyComputerScience/CREMA-D"):
        crema_d.prepare(Namespace(db_root=root, out="data", allow_partial=False, nj=1, labels="intended"))
