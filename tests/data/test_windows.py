"""Windows of audio files: every sample once, the samples that AudioReader gives, in every format."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.data.audio import AudioReader
from ser.data.audio_header import BrokenAudio
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.windows import cut, windows_of


@given(
    frames=st.integers(1, 5000),
    rate=st.sampled_from([1, 7, 100]),
    window=st.floats(0.5, 60),
    share=st.floats(0.05, 1),
)
def test_windows_cover_everything_in_order(frames: int, rate: int, window: float, share: float) -> None:
    spans = cut(frames, rate, window, share * window)
    size = max(1, round(min(window * rate, frames)))
    assert spans[0][0] == 0 and spans[-1][1] == frames
    for (first, last), (next_first, next_last) in pairwise(spans):
        assert first < next_first <= last < next_last
    if frames > size:
        assert all(size / 2 <= last - first <= 1.5 * size + 1 for first, last in spans)
    else:
        assert spans == [(0, frames)]


@given(frames=st.integers(1, 5000), window=st.integers(1, 600))
def test_without_overlap_no_frame_is_in_two_windows(frames: int, window: int) -> None:
    assert sum(last - first for first, last in cut(frames, 1, window, window)) == frames


@pytest.mark.parametrize(
    ("window", "hop"), [(0, 0), (1, 2), (1, 0), (-1, -1), (float("nan"), 1), (1, float("nan"))]
)
def test_windows_that_would_skip_audio_are_refused(window: float, hop: float) -> None:
    with pytest.raises(UserError, match="hop must be positive and at most the window"):
        cut(100, 10, window, hop)


def test_a_window_may_be_endless() -> None:
    assert cut(100, 10, float("inf"), float("inf")) == [(0, 100)]


FORMATS = ("wav", "flac", "ogg", "mp3")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (8000, 3)])
def test_one_window_is_what_the_reader_gives(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    if suffix == "mp3" and channels > 2:
        pytest.skip("mp3 has no more than two channels")
    path = tmp_path / f"a.{suffix}"
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, (2 * rate + 17, channels))
    soundfile.write(path, wave, rate)
    data = DataDir(tmp_path, LabelSchema("x"), {"utt2spk": {"a": "a"}}, {"wav.scp": {"a": str(path)}})
    (window,) = windows_of(path, 15, 15)
    np.testing.assert_array_equal(window.read(16000), AudioReader(data).read("a"))
    assert (window.start, window.end) == (0, window.seconds)


@pytest.mark.parametrize("suffix", FORMATS)
def test_windows_together_are_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 5 * 16000 + 3), 16000)
    windows = windows_of(path, 1.3, 1.3)
    whole = soundfile.read(path, dtype="float32")[0]
    joined = np.concatenate([window.read(16000) for window in windows])
    # mpg123 rounds otherwise when it begins in the middle.
    np.testing.assert_allclose(joined, whole, rtol=0, atol=1e-6 if suffix == "mp3" else 0)


def test_audio_that_ends_early_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 80000), 16000)
    windows = windows_of(path, 1, 1)
    path.write_bytes(path.read_bytes()[:60000])
    assert len(windows[0].read(16000)) == 16000
    with pytest.raises(BrokenAudio, match=r"a\.flac"):
        windows[-1].read(16000)
