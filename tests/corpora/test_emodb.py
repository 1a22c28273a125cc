"""EmoDB: the names of its files, its listening test, whole and partial copies; and the real corpus."""

import shutil
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.corpora import emodb
from ser.data.datadir import DataDir
from ser.data.report import validate

STEMS = ("03a01Fa", "03b10Wb", "08a05Nb", "16b10Tb")


@pytest.fixture
def partial(tmp_path):
    """Four files that bear the corpus's names, and their rows of the listening test."""
    root = tmp_path / "emodb"
    (root / "wav").mkdir(parents=True)
    for stem in STEMS:
        soundfile.write(root / "wav" / f"{stem}.wav", np.full(8000, 0.1), 16000)
    rows = [
        f"{n}\xa0\xa0\t{stem}.wav\t{90 + n},00\xa0\xa0 \t{70 + n},50\xa0 " for n, stem in enumerate(STEMS)
    ]
    listening = "\n".join(["Nr.\tSatz\terkannt\tnatürlich", *rows, "99\t03a01Ab.wav\t65,00\t35,00", ""])
    (root / "erkennung.txt").write_text(listening, encoding="latin-1")
    return root


def test_a_partial_copy_is_refused_with_what_is_missing(partial, tmp_path):
    with pytest.raises(UserError) as caught:
        emodb.prepare(Namespace(db_root=str(partial), out=str(tmp_path / "data"), allow_partial=False, nj=1))
    assert "partial copy, 531 of 535 files that the release has are missing: wav/03a01Nc.wav" in str(
        caught.value
    )
    assert "--allow-partial" in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_labels_of_a_partial_copy(partial, tmp_path):
    emodb.prepare(Namespace(db_root=str(partial), out=str(tmp_path / "data"), allow_partial=True, nj=1))
    assert validate(tmp_path / "data" / "all") == []
    data = DataDir.load(tmp_path / "data" / "all")
    assert data.classes_of() == {
        "03-03a01Fa": "happiness", "03-03b10Wb": "anger", "08-08a05Nb": "neutral", "16-16b10Tb": "sadness",
    }  # fmt: skip
    assert data.utt2spk["08-08a05Nb"] == "08"
    assert data.folds() == data.utt2spk
    assert data.spk2gender == {"03": "m", "08": "f", "16": "f"}
    assert data.speakers["spk2age"] == {"03": "31", "08": "34", "16": "31"}
    assert data.tables["utt2orig"]["16-16b10Tb"] == "16b10Tb"
    assert data.tables["text"]["03-03a01Fa"] == "Der Lappen liegt auf dem Eisschrank."
    assert data.attribute("naturalness")["03-03b10Wb"] == 71.5
    assert data.attribute("recognition")["03-03b10Wb"] == 91
    assert set(data.durations().values()) == {0.5}
    assert data.labels.partial
    assert data.labels.expected["anger"] == 127
    assert all(emodb.CORPUS.speaker_of(data.tables["utt2orig"][u]) == s for u, s in data.utt2spk.items())


@pytest.mark.parametrize("place", [".", "wav", ".."])
def test_the_folder_may_be_above_or_below(partial, place):
    assert len(emodb.read(partial / place, allow_partial=True).utterances) == 4
    assert "utt2naturalness" in emodb.read(partial / place, allow_partial=True).tables


def test_without_the_listening_test_there_is_no_naturalness(partial):
    (partial / "erkennung.txt").unlink()
    data = emodb.read(partial, allow_partial=True)
    assert data.labels.attributes == {}
    data.check()


@pytest.mark.parametrize(
    ("row", "words"),
    [("1\t03a01Fa.wav\t101,00\t50,00", "not a percentage: '101,00'"),
     ("1\t03a01Fa.wav\tviel\t50,00", "not a percentage: 'viel'"),
     ("1\t03a01Fa.wav\t99,00", "not 'number, file, recognised, natural'")],
)  # fmt: skip
def test_a_malformed_listening_test_is_refused_with_its_line(partial, row, words):
    path = partial / "erkennung.txt"
    path.write_text(f"Nr.\tSatz\terkannt\tnat\n{row}\n", encoding="latin-1")
    with pytest.raises(UserError) as caught:
        emodb.read_listening_test(path)
    assert f"{path}:2: {words}" in str(caught.value)


def test_broken_audio_is_named(partial):
    wav = partial / "wav" / "03b10Wb.wav"
    wav.write_bytes(wav.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"1 of 4 audio files are broken: .*03b10Wb.wav \(truncated"):
        emodb.read(partial, allow_partial=True)


@pytest.mark.parametrize("root", [None, "", "/no/such/folder", "."])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"CC0-1\.0.*bilderbar.*zenodo"):
        emodb.prepare(Namespace(db_root=root, out="data", allow_partial=False, nj=1))


def test_takes_that_were_not_released_are_left_out_with_a_warning(partial, caplog):
    """The listening test rates them, and some copies have them."""
    shutil.copy(partial / "wav" / "03a01Fa.wav", partial / "wav" / "03a01Ab.wav")
    assert len(emodb.read(partial, allow_partial=True).utterances) == 4
    assert "1 clip in no label file, left out: wav/03a01Ab.wav" in caplog.text


def test_the_release_as_listed():
    """535 names, each once, in C order; the published numbers of each class; ten speakers."""
    names = emodb.release()
    assert names == sorted(set(names))
    letters = Counter(emodb.NAME.fullmatch(name).group(3) for name in names)
    assert {emodb.EMOTIONS[letter]: number for letter, number in letters.items()} == emodb.CORPUS.expected
    assert {name[:2] for name in names} == set(emodb.GENDERS) == set(emodb.AGES)


def test_every_missing_file_is_in_the_log(partial, caplog):
    with caplog.at_level("INFO", logger="ser"):
        emodb.read(partial, allow_partial=True)
    told = {line.rpartition("/")[2] for line in caplog.text.splitlines() if "missing: /" in line}
    assert told == {f"{name}.wav" for name in emodb.release()} - {f"{stem}.wav" for stem in STEMS}


def test_the_real_corpus(emodb_dir, tmp_path):
    """Counts as published: 535 utterances, 10 speakers, 7 classes; ratings of the listening test."""
    emodb.prepare(Namespace(db_root=str(emodb_dir), out=str(tmp_path), allow_partial=False, nj=1))
    assert validate(tmp_path / "all") == []
    data = DataDir.load(tmp_path / "all")
    assert len(data.utterances) == 535
    assert sorted(data.tables["utt2orig"].values()) == emodb.release()
    assert not data.labels.partial
    assert Counter(data.classes_of().values()) == {
        "anger": 127, "boredom": 81, "neutral": 79, "happiness": 71, "fear": 69, "sadness": 62, "disgust": 46,
    }  # fmt: skip
    assert sorted(data.spk2utt) == ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert Counter(data.spk2gender.values()) == {"m": 5, "f": 5}
    assert sum(data.durations().values()) / 60 == pytest.approx(24.8, abs=0.05)
    recognition, naturalness = data.attribute("recognition"), data.attribute("naturalness")
    assert len(recognition) == len(naturalness) == 535
    assert (min(recognition.values()), min(naturalness.values()), max(naturalness.values())) == (80, 45, 100)
    assert (recognition["03-03a01Fa"], naturalness["03-03a01Fa"]) == (90, 75)
