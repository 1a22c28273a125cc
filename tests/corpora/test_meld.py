"""MELD: its csv files line by line, its folders, its damage; clips of a tree in its layout."""

import os
import shutil
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.corpora import ffmpeg, meld
from ser.data.datadir import DataDir
from ser.data.report import validate
from tests.fixtures import meld as fixture
from tests.fixtures.speech import Tone

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
)
ROW = '1,Hey!,Ross,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"'
SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A tree of wav files, to be copied and never written to."""
    root = tmp_path_factory.mktemp("meld") / "tree"
    fixture.build(root, Tone(), video=False)
    return root


@pytest.fixture
def tree(built, tmp_path):
    return shutil.copytree(built, tmp_path / "MELD.Raw")


def prepare(root, out, allow_partial=True):
    meld.prepare(Namespace(db_root=str(root), out=str(out), allow_partial=allow_partial, nj=2))
    return {name: DataDir.load(out / name) for name in meld.SETS.values()}


def counts_of_the_tree(monkeypatch):
    """Make the tree the whole release."""
    counts = {split: Counter(row[3] for row in fixture.rows(split)) for split in SPLITS}
    monkeypatch.setattr(meld, "COUNTS", counts)
    return counts


def test_the_published_counts_agree_with_each_other():
    totals = {split: sum(counts.values()) for split, counts in meld.COUNTS.items()}
    assert totals == {"train": 9989, "dev": 1109, "test": 2610}
    assert all(list(counts) == meld.CLASSES for counts in meld.COUNTS.values())
    assert sum(meld.CORPUS.expected.values()) == 13708


def test_sets_of_a_tree(tree, tmp_path):
    sets = prepare(tree, tmp_path / "data")
    for name, data in sets.items():
        assert validate(tmp_path / "data" / name) == []
        assert data.labels.classes == ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
        assert data.labels.partial
    train, dev, test = sets.values()
    assert [len(data.utterances) for data in sets.values()] == [56, 21, 21]
    of = {original: utterance for utterance, original in train.tables["utt2orig"].items()}
    rows = {f"train_dia{d}_utt{u}": row for d, u, *row in fixture.rows("train")}
    for original, (_, emotion, _) in rows.items():
        if original != "train_dia125_utt3":
            assert train.classes_of()[of[original]] == emotion
            assert train.tables["utt2sentiment"][of[original]] == fixture.SENTIMENTS.get(emotion, "negative")
            assert train.tables["utt2dialogue"][of[original]] == original.split("_utt")[0]
    assert train.utt2spk[of["train_dia1_utt2"]] == "Ross_and_Joey"
    assert train.utt2spk[of["train_dia2_utt1"]] == "All"
    assert train.utt2spk[of["train_dia3_utt4"]] == "Fireman_1"
    assert of["train_dia1_utt2"] == "Ross_and_Joey-train_dia1_utt2"
    assert dev.tables["utt2dialogue"]["Ross-dev_dia0_utt0"] == "dev_dia0"  # train has a dialogue 0 of its own
    assert test.labels.expected == meld.COUNTS["test"]


def test_quotes_of_windows_become_plain(tree, tmp_path):
    """train's are U+0092 and the like, dev's are curly."""
    assert b"I\xc2\x92m" in (tree / "train" / "train_sent_emo.csv").read_bytes()
    assert "I’m" in (tree / "dev_sent_emo.csv").read_text()
    sets = prepare(tree, tmp_path / "data")
    plain = {'Hey!', "What are you doing here?", "I'm so sorry.", "Oh my God... really?", "No, I don't know!",
             "Okay, let's go.", '"Thank you", she said.'}  # fmt: skip
    for data in sets.values():
        assert set(data.tables["text"].values()) == plain


def test_an_utterance_of_dots_alone(tree, tmp_path):
    path = tree / "train" / "train_sent_emo.csv"
    path.write_text(path.read_text().replace("Hey!", "\u0085", 1))
    assert prepare(tree, tmp_path / "data")["train"].tables["text"]["Ross-train_dia0_utt0"] == "..."


def test_turns_keep_their_order_over_gaps(tree, tmp_path):
    train = prepare(tree, tmp_path / "data")["train"]
    turns = sorted(int(train.tables["utt2turn"][utterance]) for utterance, dialogue
                   in train.tables["utt2dialogue"].items() if dialogue == "train_dia0")  # fmt: skip
    assert turns == [1, 2, 3, 4, 5, 7, 8]


def test_gender_is_told_of_the_main_characters_only(tree, tmp_path):
    train = prepare(tree, tmp_path / "data")["train"]
    assert "spk2gender" not in train.speakers
    gender = train.trait("gender")
    known = {speaker: gender.get(utterance) for utterance, speaker in train.utt2spk.items()}
    assert known["Ross"] == known["Joey"] == known["Chandler"] == "m"
    assert known["Phoebe"] == known["Monica"] == known["Rachel"] == "f"
    assert known["All"] is known["Ross_and_Joey"] is known["Fireman_1"] is None


def test_spellings_are_unified_over_all_splits(caplog):
    names = ["Phoebe", "Phoebe", "phoebe", "Mrs.  Green", "Mrs. Green", "Both", "Ross", "Ross and Joey"]
    with caplog.at_level("INFO", logger="ser"):
        ids = meld.unify(names)
    assert ids["phoebe"] == ids["Phoebe"] == "Phoebe"
    assert ids["Mrs.  Green"] == ids["Mrs. Green"] == "Mrs_Green"
    assert (ids["Both"], ids["Ross"], ids["Ross and Joey"]) == ("Both", "Ross", "Ross_and_Joey")
    assert "2 speakers spelt in several ways" in caplog.text


def test_the_most_frequent_spelling_wins_whatever_the_order():
    names = ["JOEY", "Joey", "Joey", "joey"]
    assert {frozenset(meld.unify(order).items()) for order in (names, names[::-1])} == {
        frozenset({("JOEY", "Joey"), ("Joey", "Joey"), ("joey", "Joey")})
    }


def csv_file(tmp_path, *rows, header=HEADER, encoding="utf-8", end="\n"):
    path = tmp_path / "train_sent_emo.csv"
    path.write_bytes(end.join([header, *rows, ""]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW.replace("joy", "happy"), "unknown emotion: 'happy'. MELD has anger, disgust"),
        (ROW.replace("positive", "good"), "unknown sentiment: 'good'"),
        (ROW.replace("joy", ""), "empty Emotion"),
        (ROW.replace("Ross", " "), "empty Speaker"),
        (ROW.replace(",0,0,", ",,0,"), "Dialogue_ID is not a whole number: ''"),
        (ROW.replace(",0,0,", ",0,1.5,"), "Utterance_ID is not a whole number: '1.5'"),
        (ROW.replace(",0,0,", ",0,../../etc/passwd,"), "Utterance_ID is not a whole number: '../../etc/"),
        (ROW.replace(",0,0,", ",0 1,0,"), "Dialogue_ID is not a whole number: '0 1'"),
        (ROW.replace(",0,0,", ",0,"), "10 cells, and the header has 11"),
        (ROW.replace("Hey!", "Hey, you!"), "12 cells, and the header has 11"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_with_its_line(tmp_path, row, words):
    path = csv_file(tmp_path, ROW.replace(",0,0,", ",7,7,"), row)
    with pytest.raises(UserError) as caught:
        meld.read_rows(path, "train")
    assert f"{path}:3: {words}" in str(caught.value)


def test_a_row_that_stands_twice_is_refused(tmp_path):
    path = csv_file(tmp_path, ROW, ROW.replace("joy", "anger"))
    with pytest.raises(UserError, match=r":3: a second row of one utterance, the first is on line 2"):
        meld.read_rows(path, "train")


def test_a_missing_column_is_refused(tmp_path):
    path = csv_file(
        tmp_path, "1,Hey!,Ross,joy,0,0", header="Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID"
    )
    with pytest.raises(UserError, match=r":1: lacks the column Sentiment"):
        meld.read_rows(path, "train")


@pytest.mark.parametrize(
    ("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("cp1252", "\r\n"), ("utf-8", "\r")]
)
def test_any_encoding_and_line_end(tmp_path, encoding, end):
    path = csv_file(tmp_path, ROW.replace("Hey!", "I’m"), encoding=encoding, end=end)
    rows = meld.read_rows(path, "dev")
    assert meld.plain_text(rows["dev_dia0_utt0"]["Utterance"]) == "I'm"


def test_case_of_labels_does_not_count(tmp_path):
    assert "train_dia0_utt0" in meld.read_rows(csv_file(tmp_path, ROW.replace("joy", "Joy")), "train")


def test_known_damage_is_no_partial_copy(tree, tmp_path, monkeypatch, caplog):
    counts = counts_of_the_tree(monkeypatch)
    sets = prepare(tree, tmp_path / "data", allow_partial=False)
    assert not any(data.labels.partial for data in sets.values())
    assert sets["train"].labels.expected == {**counts["train"], "neutral": counts["train"]["neutral"] - 1}
    assert sets["validation"].labels.expected["neutral"] == counts["dev"]["neutral"] - 1
    for data in sets.values():
        assert Counter(data.classes_of().values()) == data.labels.expected
    assert "known damage, left out: train_dia125_utt3" in caplog.text
    assert "known damage, left out: dev_dia110_utt7" in caplog.text


def test_a_mended_clip_is_taken(tree, tmp_path, monkeypatch):
    counts = counts_of_the_tree(monkeypatch)
    folder = tree / "train" / "train_splits"
    shutil.copy(folder / "dia0_utt0.wav", folder / "dia125_utt3.wav")
    train = prepare(tree, tmp_path / "data", allow_partial=False)["train"]
    assert "Joey-train_dia125_utt3" in train.utterances
    assert train.labels.expected == counts["train"]


def test_other_missing_clips_are_a_partial_copy(tree, tmp_path, monkeypatch, caplog):
    counts_of_the_tree(monkeypatch)
    for name in ("dia0_utt0", "dia2_utt7"):
        (tree / "test" / "output_repeated_splits_test" / f"{name}.wav").unlink()
    with pytest.raises(
        UserError, match=r"partial copy, 2 of 21 files .*test_splits|output_repeated"
    ) as caught:
        prepare(tree, tmp_path / "data", allow_partial=False)
    assert "output_repeated_splits_test/dia0_utt0.wav" in str(caught.value)
    assert not any((tmp_path / "data" / name).exists() for name in meld.SETS.values())
    sets = prepare(tree, tmp_path / "data")
    assert (len(sets["test"].utterances), sets["test"].labels.partial) == (19, True)
    assert not sets["train"].labels.partial


def test_clips_that_no_label_names_are_told(tree, tmp_path, caplog):
    prepare(tree, tmp_path / "data")
    assert "2 clips in no label file, left out" in caplog.text
    assert "final_videos_testdia1_utt0.wav" in caplog.text
    assert "._dia0_utt0" not in caplog.text


def test_more_rows_than_the_release_are_refused(tree, tmp_path, monkeypatch):
    counts = counts_of_the_tree(monkeypatch)
    counts["dev"]["joy"] -= 1
    with pytest.raises(UserError, match=r"more than the release has.*joy"):
        prepare(tree, tmp_path / "data")


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("train_splits_wav", "valid", "test_audio")])
def test_folders_of_other_names_and_flac(tree, tmp_path, names):
    for split, name in zip(SPLITS, names, strict=True):
        target = tmp_path / "other" / name
        target.mkdir(parents=True)
        shutil.copy(tree / fixture.LABELS[split], tmp_path / "other" / f"{split}_sent_emo.csv")
        for wav in (tree / fixture.FOLDERS[split]).glob("dia[0-9]_*.wav"):
            soundfile.write(target / f"{wav.stem}.flac", *soundfile.read(wav))
    sets = prepare(tmp_path / "other", tmp_path / "data")
    assert [len(data.utterances) for data in sets.values()] == [56, 21, 21]


def test_of_two_kinds_of_file_the_audio_is_taken(tree, tmp_path):
    (tree / "train" / "train_splits" / "dia0_utt0.mp4").write_bytes(b"never opened")
    train = prepare(tree, tmp_path / "data")["train"]
    assert train.wav_scp["Ross-train_dia0_utt0"].endswith("train_splits/dia0_utt0.wav")


def test_two_clips_of_one_name_are_refused_unless_they_are_the_same(tree, tmp_path):
    again = tree / "more" / "test"
    again.mkdir(parents=True)
    shutil.copy(tree / "test" / "output_repeated_splits_test" / "dia0_utt0.wav", again)
    assert len(prepare(tree, tmp_path / "data")["test"].utterances) == 21
    (again / "dia0_utt0.wav").write_bytes(b"something else")
    with pytest.raises(UserError, match="two files of one name that differ"):
        prepare(tree, tmp_path / "data")


def test_two_label_files_of_one_split(tree, tmp_path):
    shutil.copy(tree / "test_sent_emo.csv", tree / "test")
    prepare(tree, tmp_path / "data")
    with open(tree / "test" / "test_sent_emo.csv", "a") as stream:
        stream.write(ROW.replace(",0,0,", ",99,0,") + "\n")
    with pytest.raises(UserError, match=r"test_sent_emo.csv: differs from .*test/test_sent_emo.csv"):
        prepare(tree, tmp_path / "data")


def test_a_missing_label_file_says_where_to_get_it(tree, tmp_path):
    (tree / "dev_sent_emo.csv").unlink()
    with pytest.raises(UserError, match=r"no dev_sent_emo.csv in it or below.*affective-meld"):
        prepare(tree, tmp_path / "data")


def test_a_loop_of_links_is_refused(tree, tmp_path):
    os.symlink(tree, tree / "train" / "again")
    with pytest.raises(UserError, match="symbolic links lead round in a circle"):
        prepare(tree, tmp_path / "data")


def test_broken_audio_is_named(tree, tmp_path):
    wav = tree / "dev" / "dev_splits_complete" / "dia1_utt0.wav"
    wav.write_bytes(wav.read_bytes()[:900])
    with pytest.raises(UserError, match=r"1 of 21 audio files are broken: .*dia1_utt0.wav \(truncated"):
        prepare(tree, tmp_path / "data")


@pytest.mark.parametrize("root", [None, "/no/such/folder"])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path):
    with pytest.raises(UserError, match=r"affective-meld.*declare-lab"):
        meld.prepare(Namespace(db_root=root, out=str(tmp_path), allow_partial=False, nj=1))


# What follows decodes video.


@pytest.fixture(scope="session")
def filmed(built, program, tmp_path_factory):
    """The tree with six clips as mp4, never written to."""
    root = shutil.copytree(built, tmp_path_factory.mktemp("filmed") / "tree")
    for split in SPLITS:
        for utterance in (0, 1):
            fixture.to_video(program, root / fixture.FOLDERS[split] / f"dia0_utt{utterance}.wav")
    (root / "train" / "train_splits" / "dia125_utt3.wav").rename(
        root / "train" / "train_splits" / "dia125_utt3.mp4"
    )
    return root


@pytest.fixture
def films(filmed, tmp_path):
    return shutil.copytree(filmed, tmp_path / "MELD.Raw")


def test_clips_become_wav_files_outside_the_corpus(films, built, tmp_path, monkeypatch, caplog):
    counts_of_the_tree(monkeypatch)
    before = sorted(films.rglob("*"))
    train = prepare(films, tmp_path / "data", allow_partial=False)["train"]
    assert sorted(films.rglob("*")) == before
    wav = tmp_path / "data" / "audio" / "train" / "dia0_utt0.wav"
    assert train.wav_scp["Ross-train_dia0_utt0"] == str(wav)
    samples, rate = soundfile.read(wav)
    info = soundfile.info(wav)
    assert (rate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    # The original's tone, through stereo at 48 kHz and AAC: as long, as high, and nearly as loud.
    original, _ = soundfile.read(built / "train" / "train_splits" / "dia0_utt0.wav")
    assert abs(len(samples) - len(original)) < 0.05 * rate
    assert np.std(samples) == pytest.approx(np.std(original), rel=0.05)
    assert _pitch(samples) == pytest.approx(_pitch(original), abs=3)
    assert "known damage, left out: train_dia125_utt3" in caplog.text


def _pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 16000)))


def test_clips_are_decoded_once(films, tmp_path):
    prepare(films, tmp_path / "data")
    wavs = sorted((tmp_path / "data" / "audio").rglob("*.wav"))
    assert len(wavs) == 6
    (tmp_path / "data" / "audio" / "train" / "dia0_utt1.wav").unlink()
    (tmp_path / "data" / "audio" / "train" / ".writing-xdia0_utt1.wav").write_bytes(b"half")
    kept = {wav: wav.stat().st_ino for wav in wavs if wav.is_file()}
    prepare(films, tmp_path / "data")
    assert sorted((tmp_path / "data" / "audio").rglob("*.wav")) == wavs  # and nothing half written
    assert all(wav.stat().st_ino == number for wav, number in kept.items())


def test_a_clip_that_was_replaced_is_decoded_anew(films, tmp_path):
    prepare(films, tmp_path / "data")
    folder = films / "train" / "train_splits"
    shutil.copy(folder / "dia0_utt1.mp4", folder / "dia0_utt0.mp4")
    os.utime(folder / "dia0_utt0.mp4", (0, 1e9))
    prepare(films, tmp_path / "data")
    audio = tmp_path / "data" / "audio" / "train"
    assert (audio / "dia0_utt0.wav").read_bytes() == (audio / "dia0_utt1.wav").read_bytes()


def test_data_may_be_written_below_the_corpus(films, tmp_path):
    """What was decoded there is not taken for the corpus's own audio."""
    for _ in range(2):
        prepare(films, films / "data")
        audio = films / "data" / "audio" / "train"
        assert (audio / "dia0_utt0.wav").is_file()
        shutil.copy(films / "train" / "train_splits" / "dia0_utt2.wav", audio / "dia0_utt3.wav")
    wavs = DataDir.load(films / "data" / "train").wav_scp.values()
    assert sum(path.startswith(str(audio)) for path in wavs) == 2


def test_clips_that_cannot_be_decoded_are_a_partial_copy(films, tmp_path, monkeypatch):
    counts_of_the_tree(monkeypatch)
    (films / "dev" / "dev_splits_complete" / "dia0_utt0.mp4").write_bytes(b"no video")
    with pytest.raises(
        UserError, match=r"1 of 2 clips cannot be decoded: .*dev_splits_complete/dia0_utt0.mp4 \(\w"
    ):
        prepare(films, tmp_path / "data", allow_partial=False)
    sets = prepare(films, tmp_path / "data")
    assert (len(sets["validation"].utterances), sets["validation"].labels.partial) == (20, True)
    assert not (tmp_path / "data" / "audio" / "dev" / "dia0_utt0.wav").exists()


def test_a_copy_in_wav_needs_no_ffmpeg(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "find", lambda: pytest.fail("not needed"))
    prepare(tree, tmp_path / "data")
