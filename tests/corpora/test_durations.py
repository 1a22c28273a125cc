"""Durations from headers: the same for any number of processes; all broken files in one message."""

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.corpora import durations as module
from ser.corpora.durations import durations, table
from tests.fixtures.speech import Tone


@pytest.fixture
def wavs(tmp_path):
    files = {}
    for number in range(25):
        path = tmp_path / f"{number:02d}.{('wav', 'flac')[number % 2]}"
        soundfile.write(path, np.full(800 + 80 * number, 0.1), 8000)
        files[f"utt{24 - number:02d}"] = path  # the order of names is not that of the files
    return files


def test_seconds_of_the_samples(wavs):
    seconds = durations(wavs)
    assert list(seconds) == list(wavs)
    assert list(seconds.values()) == pytest.approx([0.1 + 0.01 * number for number in range(25)])


def test_processes_and_chunks_change_nothing(wavs, monkeypatch):
    alone = durations(wavs)
    monkeypatch.setattr(module, "CHUNK", 4)
    for nj in (1, 2, 50):
        shared = durations(wavs, nj)
        assert shared == alone
        assert list(shared) == list(alone)


@pytest.mark.parametrize("nj", [1, 2])
def test_all_broken_files_are_in_one_message(wavs, monkeypatch, nj):
    monkeypatch.setattr(module, "CHUNK", 4)
    paths = list(wavs.values())
    paths[0].write_bytes(b"")
    paths[8].write_bytes(paths[8].read_bytes()[:500])
    paths[9].write_text("no audio")
    paths[20].unlink()
    with pytest.raises(UserError, match=r"^4 of 25 audio files are broken: ") as caught:
        durations(wavs, nj)
    for words in (
        f"{paths[0]} (empty audio file)",
        f"{paths[8]} (truncated",
        f"{paths[9]} (no audio",
        "and 1 more",
    ):
        assert words in str(caught.value)


def test_no_files_no_durations():
    assert durations({}) == {}


def test_the_table_keeps_what_a_sample_is_worth(tmp_path):
    Tone().wav(tmp_path / "a.wav", "")
    seconds = durations({"a": tmp_path / "a.wav"})
    assert float(table(seconds)["a"]) == pytest.approx(seconds["a"], abs=1e-6)
    assert table({"a": 1.0, "b": 1234.56789}) == {"a": "1", "b": "1234.57"}
