"""``ser predict`` on audio files, from the command line."""

import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.downstream.config import ModelConfig
from ser.upstream import load_upstream
from tests.downstream.finetune.audio_corpus import RATE, AudioCorpus, make_corpus

COLUMNS = ["file", "start", "end", "label", "p_calm", "p_happy", "p_sad", "arousal"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> AudioCorpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"), load_upstream("fbank"), utterances=12)


@pytest.fixture(scope="module")
def exp(corpus: AudioCorpus, tmp_path_factory) -> Path:
    return corpus.train(tmp_path_factory.mktemp("exp") / "tag")


@pytest.fixture
def audio(corpus: AudioCorpus, tmp_path: Path) -> Path:
    """A folder with three short files, one of them below, and a long one."""
    wavs = [corpus.wav(utterance) for utterance in corpus.data.utterances[:3]]
    (tmp_path / "audio" / "below").mkdir(parents=True)
    shutil.copy(wavs[0], tmp_path / "audio" / "b.wav")
    shutil.copy(wavs[1], tmp_path / "audio" / "below" / "a.WAV")
    soundfile.write(tmp_path / "audio" / "c.flac", soundfile.read(wavs[2])[0], RATE)
    long = np.concatenate([soundfile.read(wav)[0] for wav in wavs * 3])
    soundfile.write(tmp_path / "audio" / "d.ogg", long, RATE)
    (tmp_path / "audio" / "notes.txt").write_text("no audio")
    (tmp_path / "audio" / "._b.wav").write_text("what some systems leave on other people's disks")
    return tmp_path / "audio"


def predict(*words: object) -> None:
    dispatch(["predict", *map(str, words)])


def read(text: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == COLUMNS
    return rows


def numbers(row: dict[str, str]) -> list[float]:
    return [float(row[name]) for name in COLUMNS[4:]]


def test_files_and_folders_as_csv(
    exp: Path, corpus: AudioCorpus, audio: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out.csv"
    first = corpus.data.utterances[0]
    predict(exp, audio, corpus.wav(first), audio / "b.wav", "-o", out, "--fold", "s0", "--window", "2")
    assert capsys.readouterr().out == ""
    rows = read(out.read_text())
    files = [row["file"] for row in rows]
    once = [str(audio / "b.wav"), str(audio / "below" / "a.WAV"), str(audio / "c.flac")]
    assert files[:3] == once and files[-1] == str(corpus.wav(first))
    long = [row for row in rows if row["file"].endswith("d.ogg")]
    assert len(long) > 1 and len(rows) == 4 + len(long)
    assert [row["start"] for row in long[1:]] == [row["end"] for row in long[:-1]]
    expected = ArkReader(exp / "seed0" / "folds0" / "test" / "pred.scp")[first]
    np.testing.assert_allclose(numbers(rows[-1]), expected, rtol=0, atol=2e-5)
    for row in rows:
        probabilities = numbers(row)[:3]
        assert sum(probabilities) == pytest.approx(1, abs=3e-6)
        assert row["label"] == ["calm", "happy", "sad"][int(np.argmax(probabilities))]


def test_order_and_company_change_nothing(exp: Path, audio: Path, capsys) -> None:
    def rows(*words: object) -> dict[tuple[str, str], list[float]]:
        predict(exp, *words, "--window", "1")
        return {(row["file"], row["start"]): numbers(row) for row in read(capsys.readouterr().out)}

    files = sorted(path for path in audio.rglob("*") if path.suffix.lower() in (".wav", ".flac", ".ogg"))
    files = [file for file in files if not file.name.startswith(".")]
    together = rows(audio)
    assert together == rows(*reversed(files))
    alone = {key: value for file in files for key, value in rows(file).items()}
    assert alone.keys() == together.keys()
    for key, value in together.items():
        np.testing.assert_allclose(value, alone[key], rtol=0, atol=1e-5)


def test_a_whole_file_is_the_weighted_mean_of_its_windows(exp: Path, audio: Path, capsys) -> None:
    predict(exp, audio / "d.ogg", "--window", "1")
    windows = read(capsys.readouterr().out)
    predict(exp, audio / "d.ogg", "--window", "1", "--whole-file", "-o", "-")
    (whole,) = read(capsys.readouterr().out)
    weights = [float(row["end"]) - float(row["start"]) for row in windows]
    expected = np.average([numbers(row) for row in windows], axis=0, weights=weights)
    np.testing.assert_allclose(numbers(whole), expected, rtol=0, atol=1e-5)
    assert (whole["start"], whole["end"]) == ("0.000", windows[-1]["end"])


def test_windows_may_overlap(exp: Path, audio: Path, capsys) -> None:
    predict(exp, audio / "d.ogg", "--window", "2", "--hop", "1")
    starts = [float(row["start"]) for row in read(capsys.readouterr().out)]
    assert starts[:3] == [0, 1, 2]


def test_it_says_which_models_answer(exp: Path, audio: Path, caplog) -> None:
    caplog.set_level("INFO", logger="ser")
    predict(exp, audio / "b.wav")
    predict(exp, audio / "b.wav", "--seed", "0", "--fold", "s1")
    assert "1 file, mean of 4 models (seeds: 0; folds: s0, s1, s2, s3)" in caplog.text
    assert "1 file, one model (seed 0, fold s1)" in caplog.text


def test_broken_files_are_all_named_and_nothing_is_written(exp: Path, audio: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    (audio / "text.wav").write_text("not audio")
    (audio / "empty.flac").write_bytes(b"")
    soundfile.write(audio / "short.wav", np.zeros(20), RATE)
    soundfile.write(audio / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    with pytest.raises(
        UserError, match=r"2 of 8 files cannot be used: .*empty\.flac: .*text\.wav: .*--skip-broken"
    ):
        predict(exp, audio, "-o", out)  # those that headers tell, before anything is computed
    (audio / "text.wav").unlink(), (audio / "empty.flac").unlink()
    with pytest.raises(
        UserError, match=r"2 of 6 files cannot be used: .*nan\.wav: .*short\.wav: .* too short"
    ):
        predict(exp, audio, "-o", out)
    assert not out.exists()


def test_broken_files_can_be_left_out(exp: Path, audio: Path, tmp_path: Path, caplog) -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 5 * RATE)
    soundfile.write(audio / "cut.flac", wave, RATE)
    content = (audio / "cut.flac").read_bytes()
    (audio / "cut.flac").write_bytes(content[: len(content) // 2])
    (audio / "text.wav").write_text("not audio")
    out = tmp_path / "out.csv"
    predict(exp, audio, "-o", out, "--skip-broken", "--window", "1")
    files = {Path(row["file"]).name for row in read(out.read_text())}
    assert files == {"a.WAV", "b.wav", "c.flac", "d.ogg"}  # nothing of the first half of cut.flac
    assert "left out: " in caplog.text and "cut.flac" in caplog.text and "text.wav" in caplog.text
    with pytest.raises(UserError, match="no audio is left"):
        predict(exp, audio / "text.wav", "--skip-broken")


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_names_that_are_not_utf8_and_names_with_commas(exp: Path, audio: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/odd\xff, name.wav"
    shutil.copy(audio / "b.wav", odd)
    predict(exp, os.fsdecode(odd), "-o", tmp_path / "out.csv")
    assert read((tmp_path / "out.csv").read_text())[0]["file"].endswith("odd\ufffd, name.wav")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.wav"], "nowhere.wav: no such file or folder"),
        (["{empty}"], "no audio in this folder"),
        (["{wav}", "--hop", "20"], "hop must be positive and at most the window"),
        (["{wav}", "--window", "0"], "hop must be positive"),
        (["{wav}", "--seed", "3"], "no such model: 'seed 3'"),
        (["{wav}", "--one-speaker"], "--one-speaker is for models trained with"),
        (["{wav}", "--device", "abacus"], r"no such device: 'abacus'\. Known"),
        (["{wav}", "--parts", "[test]"], "--parts is for the experiment's own data"),
        (["{wav}", "--windw", "3"], "'window'"),
        (["-o", "out.csv"], "an option for audio files, and no audio is given: '--out'"),
    ],
)
def test_mistakes(exp: Path, audio: Path, tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty", wav=audio / "b.wav") for word in words]
    with pytest.raises(UserError, match=message):
        predict(exp, *words)


def test_one_speaker(corpus: AudioCorpus, tmp_path: Path, capsys) -> None:
    """All of a speaker's files together are standardised as in the corpus."""
    exp = corpus.train(tmp_path / "exp", ModelConfig(standardise="speaker"))
    expected = dict(ArkReader(exp / "seed0" / "folds1" / "test" / "pred.scp"))
    wavs = [corpus.wav(utterance) for utterance in expected]
    with pytest.raises(UserError, match=r"wants a speaker's other audio\. .* --one-speaker"):
        predict(exp, *wavs)
    with pytest.raises(UserError, match="one window of a speaker has no deviation"):
        predict(exp, wavs[0], "--one-speaker")
    predict(exp, *wavs, "--one-speaker", "--fold", "s1")
    found = [numbers(row) for row in read(capsys.readouterr().out)]
    np.testing.assert_allclose(found, list(expected.values()), rtol=0, atol=2e-5)


def test_without_audio_it_predicts_its_own_data(exp: Path) -> None:
    before = (exp / "seed0" / "folds0" / "test" / "pred.ark").read_bytes()
    shutil.rmtree(exp / "seed0" / "folds0" / "test")
    predict(exp)
    assert (exp / "seed0" / "folds0" / "test" / "pred.ark").read_bytes() == before
    predict(exp, "--parts", "[validation, train]")
    assert (exp / "seed0" / "folds0" / "train" / "pred.scp").is_file()
