"""Sound of video clips: whole, broken, cut short, under odd names, and without ffmpeg."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.corpora import ffmpeg
from tests.fixtures.meld import to_video
from tests.fixtures.speech import Tone


@pytest.fixture(scope="session")
def films(program, tmp_path_factory):
    """Three clips, never written to."""
    folder = tmp_path_factory.mktemp("films")
    for name in "abc":
        Tone().wav(folder / f"{name}.wav", name)
        to_video(program, folder / f"{name}.wav")
    return folder


def test_a_clip_without_sound_is_broken(program, tmp_path):
    film = tmp_path / "mute.mp4"
    command = [program, "-v", "error", "-f", "lavfi", "-i", "color=gray:size=16x16:rate=5:duration=1"]
    subprocess.run([*command, "-c:v", "mpeg4", str(film)], check=True)
    outcome = ffmpeg.extract_audio({tmp_path / "mute.wav": film})
    assert list(outcome.broken) == [film] and outcome.broken[film]
    assert not (tmp_path / "mute.wav").exists()


def test_a_clip_that_was_cut_short_is_told_each_time(program, tmp_path):
    """Its index is whole and stands first, so that something comes out of it."""
    wav, film = tmp_path / "a.wav", tmp_path / "a.mp4"
    soundfile.write(wav, 0.3 * np.sin(np.arange(64000) / 7), 16000)
    subprocess.run([program, "-v", "error", "-i", wav, "-movflags", "+faststart", film], check=True)
    film.write_bytes(film.read_bytes()[:-9000])
    for _ in range(2):
        outcome = ffmpeg.extract_audio({tmp_path / "out.wav": film})
        assert list(outcome.doubtful) == [film]
        assert 0 < soundfile.info(tmp_path / "out.wav").frames < 64000


def test_names_with_blanks_colons_and_hyphens(films, tmp_path):
    film = tmp_path / "-y concat:a b.mp4"
    shutil.copy(films / "a.mp4", film)
    assert ffmpeg.extract_audio({tmp_path / "out.wav": film}).broken == {}


def test_without_ffmpeg_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"need ffmpeg.*apt install ffmpeg.*--extras ffmpeg"):
        ffmpeg.extract_audio({tmp_path / "a.wav": tmp_path / "a.mp4"})


def test_jobs_change_nothing(films, tmp_path):
    clips = {tmp_path / f"{film.stem}.wav": film for film in sorted(films.glob("*.mp4"))}
    assert len(clips) == 3
    ffmpeg.extract_audio(clips, nj=1)
    one = [wav.read_bytes() for wav in clips]
    for wav in clips:
        wav.unlink()
    ffmpeg.extract_audio(clips, nj=3)
    assert [wav.read_bytes() for wav in clips] == one


def test_a_wav_file_that_cannot_be_written_is_named(films, tmp_path):
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"out/a.wav: cannot be written \("):
        ffmpeg.extract_audio({tmp_path / "out" / "a.wav": films / "a.mp4"})


def test_interrupted_and_resumed_equals_uninterrupted(films, tmp_path, monkeypatch):
    clips = {f"{name}.wav": films / f"{name}.mp4" for name in "abc"}
    ffmpeg.extract_audio({tmp_path / "whole" / wav: film for wav, film in clips.items()})
    broken_off = {tmp_path / "part" / wav: film for wav, film in clips.items()}
    write, written = soundfile.write, []

    def interrupted(stream, *args, **options):
        if len(written) == 2:
            stream.write(b"RIFF, and then the power fails")
            raise KeyboardInterrupt
        written.append(stream)
        write(stream, *args, **options)

    monkeypatch.setattr(soundfile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ffmpeg.extract_audio(broken_off)
    assert [wav.name for wav in broken_off if wav.exists()] == ["a.wav", "b.wav"]
    monkeypatch.undo()
    assert ffmpeg.extract_audio(broken_off).kept == 2
    for wav in clips:
        assert (tmp_path / "part" / wav).read_bytes() == (tmp_path / "whole" / wav).read_bytes()
    assert len(list((tmp_path / "part").iterdir())) == 3
