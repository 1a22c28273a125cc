"""The synthetic corpus as sound and files: the same every time, resumable, and as it was planned."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.corpora import mini
from ser.corpora.mini import audio, design, espeak, voice
from ser.corpora.mini.speakers import VOICES, draw_speakers
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.data.report import validate

OPTIONS = {
    "out": "data",
    "utterances": 18,
    "speakers": 6,
    "families": 0,
    "shift": 1.0,
    "strength": 1.0,
    "wording": 1.0,
    "pitch_ambiguity": None,
    "raters": 0,
    "seed": 0,
    "dialogues": 3,
    "turns": 3,
}
PLAIN = design.Delivery(pitch=0, range=1, rate=1, level=-30, tilt=0, formant=1, noise_seed=7)
TEXT = "The keys are on the table next to the lamp."


@pytest.fixture
def spoken():
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (GPL, an extra) is not installed")


def prepare(folder, **options):
    """Make a small corpus in ``folder``; as in a recipe, paths are relative to it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        mini.prepare(Namespace(**{**OPTIONS, "nj": 2, **options}))
    finally:
        os.chdir(before)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (GPL, an extra) is not installed")
    folder = tmp_path_factory.mktemp("corpus")
    prepare(folder)
    return folder


@pytest.fixture
def inside(corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    return Path("data")


@pytest.mark.parametrize("name", ["train", "validation", "test", "dialogues"])
def test_data_directories_are_valid_and_their_audio_is_what_they_say(inside, name):
    assert validate(inside / name) == []
    data = DataDir.load(inside / name)
    reader = AudioReader(data)
    for utterance in data.utterances:
        samples = reader.read(utterance)
        assert data.durations()[utterance] == pytest.approx(len(samples) / 16000, abs=1e-6)
        assert 1 < len(samples) / 16000 < 6
        assert np.abs(samples).max() < 0.99
    assert data.labels.corpus == "mini" and "synthetic" in data.labels.release
    assert data.labels.derived == ["emo"]
    assert set(data.classes_of()) == set(data.utterances) == set(data.attribute("arousal"))
    assert data.spk2gender.keys() == data.spk2utt.keys()


def test_sets_share_no_speaker_and_hold_every_utterance(inside):
    sets = [DataDir.load(inside / name) for name in ("train", "validation", "test")]
    speakers = [set(data.spk2utt) for data in sets]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == OPTIONS["speakers"]
    assert sum(len(data.utterances) for data in sets) == OPTIONS["utterances"]
    assert all("utt2valence" in data.tables for data in sets)


def test_dialogues_hold_their_turns(inside):
    data = DataDir.load(inside / "dialogues")
    turns = {(data.tables["utt2dialogue"][u], int(data.tables["utt2turn"][u])) for u in data.utterances}
    assert turns == {(f"dia{d:04d}", turn) for d in (1, 2, 3) for turn in (1, 2, 3)}
    assert data.labels.classes == ["calm", "excited"]


def test_the_same_seed_makes_the_same_bytes_whatever_the_number_of_processes(corpus, tmp_path):
    prepare(tmp_path, nj=1)
    assert contents(tmp_path) == contents(corpus)


def test_every_voice_says_the_same_in_whatever_order(spoken):
    names = [f"en-us+{name}" for names in VOICES.values() for name in names]
    document = voice.ssml(TEXT, PLAIN)
    first = {name: espeak.speak(name, document) for name in names}
    again = {name: espeak.speak(name, document) for name in reversed(names)}
    for name in names:
        assert np.array_equal(first[name], again[name]), name
    assert len({samples.tobytes() for samples in first.values()}) == len(names)


def test_speech_does_not_depend_on_the_process_or_the_time_of_day(spoken):
    program = (
        "import hashlib; from ser.corpora.mini import espeak\n"
        "print(*(hashlib.sha256(espeak.speak(v, '<speak>We can wait.</speak>').tobytes()).hexdigest()"
        " for v in ('en-us+f2', 'en-us+sandro', 'en-us+m1')))"
    )
    said = set()
    for pause in (0, 1.1):
        time.sleep(pause)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1


def test_a_second_run_makes_no_audio(corpus, monkeypatch):
    before = contents(corpus)
    monkeypatch.setattr(audio, "make_audio", lambda *a, **k: pytest.fail("audio was made again"))
    prepare(corpus)
    assert contents(corpus) == before


def test_damaged_foreign_and_missing_files_are_made_again_and_no_others(corpus, tmp_path):
    prepare(tmp_path)
    files = sorted((tmp_path / "data" / "audio").rglob("*.wav"))
    right = {path: path.read_bytes() for path in files}
    missing, truncated, flipped, foreign = files[:4]
    missing.unlink()
    truncated.write_bytes(right[truncated][:-4000])
    middle = len(right[flipped]) // 2
    flipped.write_bytes(right[flipped][:middle] + b"\x55\x55" + right[flipped][middle + 2 :])
    foreign.write_bytes(right[files[5]])
    leftover = files[0].parent / ".writing-x"
    leftover.write_bytes(b"half")
    untouched = {path: path.stat().st_mtime_ns for path in files[4:]}
    prepare(tmp_path)
    assert {path: path.read_bytes() for path in files} == right
    assert {path: path.stat().st_mtime_ns for path in files[4:]} == untouched
    assert not leftover.exists()


def test_killed_and_run_again_equals_uninterrupted(corpus, tmp_path):
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    run = subprocess.Popen(
        [sys.executable, "-m", "ser.cli", "prepare", "mini", *options], cwd=tmp_path,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    files = tmp_path / "data" / "audio"
    while run.poll() is None and len(list(files.rglob("spk*.wav"))) < 3:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):  # on a busy machine it may have come to its end
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    reference = contents(corpus)
    for path in files.rglob("spk*.wav"):
        assert path.read_bytes() == reference[str(path.relative_to(tmp_path))]
    prepare(tmp_path)
    assert contents(tmp_path) == reference


def test_while_audio_changes_no_directory_passes_for_its_labels(spoken, tmp_path, monkeypatch):
    prepare(tmp_path)

    def killed(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(voice, "render", killed)
        with pytest.raises(UserError, match="ended with code -9"):
            prepare(tmp_path, seed=1)
    with pytest.raises(UserError, match=r"wav\.scp"):
        DataDir.load(tmp_path / "data" / "train")


def test_an_error_of_a_worker_is_the_callers(spoken, tmp_path, monkeypatch):
    def mute(*args):
        raise UserError("cannot speak")

    monkeypatch.setattr(voice, "render", mute)
    with pytest.raises(UserError, match="cannot speak"):
        prepare(tmp_path)
    assert not list(tmp_path.rglob("*.wav"))


def test_the_level_is_the_planned_one_and_the_tilt_does_not_change_it(spoken):
    for level, tilt in ((-40, 0), (-20, 0), (-30, 8), (-30, -8)):
        samples = voice.render("en-us+f1", TEXT, replace(PLAIN, level=level, tilt=tilt)) / 32768
        speech = samples[round(voice.PADDING * 16000) : -round(voice.PADDING * 16000)]
        assert 10 * np.log10(np.mean(speech**2)) == pytest.approx(level, abs=0.1)


def test_peaks_never_clip(spoken):
    samples = voice.render("en-us+m1", TEXT, replace(PLAIN, level=-3))
    assert 0.9 * 32767 < np.abs(samples.astype(int)).max() < 32767


def fundamentals(samples):
    """Fundamental frequency of the louder frames in semitones, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), 640)[::320]
    found = []
    for frame in frames[frames.std(axis=1) > samples.std()]:
        correlation = np.correlate(frame, frame, "full")[639:]
        lag = 35 + correlation[35:265].argmax()
        if correlation[lag] > 0.6 * correlation[0]:
            found.append(12 * np.log2(16000 / lag))
    return np.array(found)


@pytest.mark.parametrize("change", [{}, {"formant": 1.1}, {"formant": 0.92}])
def test_pitch_is_the_planned_one_whatever_the_vocal_tract(spoken, change):
    for name in ("en-us+f1", "en-us+linda"):
        own = np.median(fundamentals(voice.render(name, TEXT, PLAIN)))
        for semitones in (-4, 0, 4):
            samples = voice.render(name, TEXT, replace(PLAIN, pitch=semitones, **change))
            assert np.median(fundamentals(samples)) - own == pytest.approx(semitones, abs=1)


def test_a_vocal_tract_moves_the_spectrum_and_not_the_duration(spoken):
    def centroid(samples):
        power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
        return (power * np.arange(len(power))).sum() / power.sum() * 16000 / len(samples)

    long, plain, short = (
        voice.render("en-us+f1", TEXT, replace(PLAIN, formant=formant)) for formant in (0.9, 1.0, 1.1)
    )
    assert centroid(long) < centroid(plain) < centroid(short)
    assert len(long) == pytest.approx(len(plain), rel=0.05) == pytest.approx(len(short), rel=0.05)


def test_a_wider_range_spreads_the_pitch(spoken):
    def spread(factor):
        return fundamentals(voice.render("en-us+f1", TEXT, replace(PLAIN, range=factor))).std()

    assert spread(0.4) < spread(1.0) < spread(1.9)


def test_rate_and_tilt_do_what_they_are_called(spoken):
    slow, fast = (len(voice.render("en-us+m2", TEXT, replace(PLAIN, rate=rate))) for rate in (0.8, 1.25))
    assert slow > 1.3 * fast
    noise = np.random.default_rng(0).standard_normal(16000)
    before, after = (np.abs(np.fft.rfft(x)) ** 2 for x in (noise, voice.shelf(noise, 6.0)))
    gain = 10 * np.log10(
        [after[band].sum() / before[band].sum() for band in (slice(0, 100), slice(6000, 8000))]
    )
    assert gain == pytest.approx([0, 6], abs=0.5)


def test_text_is_escaped():
    document = voice.ssml("Fish & chips <b>", PLAIN)
    assert "Fish &amp; chips &lt;b&gt;" in document


def test_an_unknown_language_is_named(spoken):
    with pytest.raises(UserError, match="xx-nowhere"):
        espeak.speak("xx-nowhere", "<speak>Hello</speak>")


def test_without_espeakng_loader_the_message_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._library.cache_clear()
    with pytest.raises(UserError, match="pip install espeakng-loader"):
        prepare(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_library_that_does_not_load_is_one_line(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda path: (_ for _ in ()).throw(OSError("wrong ELF class")))
    espeak._library.cache_clear()
    with pytest.raises(UserError, match="does not load: 'wrong ELF class'"):
        prepare(tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("strength", 1.5, "--strength is not between 0 and 1"),
        ("strength", float("nan"), "--strength is not between 0 and 1"),
        ("speakers", 4, "at least 6 speakers"),
        ("utterances", 5, "--utterances: fewer than speakers"),
        ("seed", -1, "--seed is less than 0"),
        ("turns", 1, "--turns is less than 2"),
        ("nj", 0, "--nj is less than 1"),
    ],
)
def test_options_out_of_range_are_refused_and_nothing_is_written(tmp_path, option, value, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, **{option: value})
    assert not list(tmp_path.iterdir())


def test_the_plan_of_a_file_changes_with_everything_that_is_heard():
    utterance = design.plan_utterances(draw_speakers(6, 0), 1, 1.0, 0)[0]
    plans = {audio.plan_of(utterance, "1"), audio.plan_of(utterance, "2")}
    for name in ("pitch", "range", "rate", "level", "tilt", "formant", "noise_seed"):
        changed = replace(utterance.delivery, **{name: getattr(utterance.delivery, name) + 1})
        plans.add(audio.plan_of(replace(utterance, delivery=changed), "1"))
    assert len(plans) == 9
