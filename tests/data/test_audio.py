"""Audio: any format comes out as 16 kHz mono float32; broken files are named."""

import struct

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio, read_header
from ser.data.datadir import DataDir, Segment
from ser.data.labels import LabelSchema
from ser.data.riff import missing_bytes


def directory(tmp_path, wav_scp, segments=None):
    """A directory in memory about some audio files, one speaker."""
    names = wav_scp if segments is None else segments
    tables = {"utt2spk": {name: "s" for name in names}}
    return DataDir(tmp_path, LabelSchema("toy"), tables, {"wav.scp": wav_scp}, segments=segments)


def reader_of(tmp_path, path, **options):
    return AudioReader(directory(tmp_path, {"s-1": str(path)}), **options)


def tone(rate, seconds=1.0, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [("wav", "PCM_16", 1e-3), ("wav", "PCM_24", 1e-3), ("wav", "FLOAT", 1e-3), ("flac", "PCM_16", 1e-3),
     ("ogg", "VORBIS", 0.1)],
)  # fmt: skip
def test_formats_and_rates(tmp_path, rate, suffix, subtype, tolerance):
    path = tmp_path / f"x.{suffix}"
    left = tone(rate)
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), rate, subtype=subtype)
    reader = reader_of(tmp_path, path)
    wave = reader.read("s-1")
    assert wave.dtype == np.float32
    assert wave.shape == (16000,)
    assert reader.seconds("s-1") == pytest.approx(1.0)
    inner = slice(800, -800)  # a resampler's edges are its own affair
    np.testing.assert_allclose(wave[inner], tone(16000)[inner] / 2, atol=tolerance)


def test_16_khz_mono_is_bit_exact(tmp_path):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 1000, dtype=np.int16)
    soundfile.write(tmp_path / "x.wav", samples, 16000)
    np.testing.assert_array_equal(
        reader_of(tmp_path, tmp_path / "x.wav").read("s-1"), samples / np.float32(2**15)
    )


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_segments_are_cut_where_they_say(tmp_path, suffix):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 32000, dtype=np.int16)
    soundfile.write(tmp_path / f"r.{suffix}", samples, 16000)
    segments = {"s-a": Segment("r", 0.25, 0.75), "s-b": Segment("r", 1.5, 2.4), "s-c": Segment("r", 1.5, 2.6)}
    reader = AudioReader(directory(tmp_path, {"r": str(tmp_path / f"r.{suffix}")}, segments))
    whole = samples / np.float32(2**15)
    np.testing.assert_array_equal(reader.read("s-a"), whole[4000:12000])
    np.testing.assert_array_equal(reader.read("s-b"), whole[24000:])
    assert reader.seconds("s-a") == 0.5
    with pytest.raises(BrokenAudio, match=r"'s-c': segment 1.5 to 2.6 s ends after its recording of 2.000 s"):
        reader.read("s-c")


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda path: cut(path, 20000), "truncated: 12044 bytes less than its header says"),
        (lambda path: cut(path, 30), "no audio that can be read"),
        (lambda path: cut(path, 0), "empty audio file"),
        (lambda path: path.unlink(), "no such audio file"),
        (lambda path: path.write_text("no audio"), "no audio that can be read"),
        (lambda path: soundfile.write(path, np.zeros(0), 16000), "without samples"),
        (lambda path: (path.unlink(), path.mkdir()), "not a file"),
    ],
)
def test_broken_files_are_named(tmp_path, mistake, words):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16000), 16000)
    mistake(path)
    reader = reader_of(tmp_path, path)
    for attempt in (reader.read, reader.seconds):
        with pytest.raises(BrokenAudio) as caught:
            attempt("s-1")
        assert words in str(caught.value)
        assert "'s-1'" in str(caught.value)
        assert str(path) in str(caught.value)


def test_not_a_number(tmp_path):
    samples = tone(16000)
    samples[7] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(BrokenAudio, match="not finite"):
        reader_of(tmp_path, tmp_path / "x.wav").read("s-1")


def test_truncated_flac(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 64000), 16000)
    cut(path, path.stat().st_size // 2)
    with pytest.raises(BrokenAudio):
        reader_of(tmp_path, path).read("s-1")


def test_pipes_are_refused_unless_allowed(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(16000), 16000)
    entry = f"cat {tmp_path}/x.wav |"
    with pytest.raises(UserError, match=r"wav\.scp:1: .*command.*--allow-pipes"):
        reader_of(tmp_path, entry)
    reader = reader_of(tmp_path, entry, allow_pipes=True)
    assert reader.read("s-1").shape == (16000,)
    assert reader.seconds("s-1") == 1.0
    with pytest.raises(BrokenAudio, match=r"exit code 1, .*No such file"):
        reader_of(tmp_path, "cat /no/such/file | cat |", allow_pipes=True).read("s-1")


def test_sizes_that_writers_into_pipes_leave(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16000), 16000)
    good = path.read_bytes()
    assert good[36:40] == b"data"
    for size in (0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF):
        path.write_bytes(good[:40] + struct.pack("<I", size) + good[44:])
        assert missing_bytes(path) == 0
    path.write_bytes(good[:40] + struct.pack("<I", 40000) + good[44:])
    assert missing_bytes(path) == 8000
    with pytest.raises(BrokenAudio):
        read_header(path)


def test_rf64(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16000), 16000, format="RF64")
    assert missing_bytes(path) == 0
    cut(path, path.stat().st_size - 100)
    assert missing_bytes(path) == 100


def test_unknown_utterance(tmp_path):
    with pytest.raises(UserError, match="no such utterance: 's-2'"):
        reader_of(tmp_path, tmp_path / "x.wav").read("s-2")
