"""What the audio shows; that it is read once; that a run that was stopped goes on."""

import json
import os

import numpy as np
import pytest
import soundfile

from ser.data.datadir import Segment
from ser.lint import listen as listening
from ser.lint import sound
from ser.lint.finding import Level
from ser.lint.notes import Notes, Piece
from ser.lint.sound import Sound, clipped_share, loudest_frame, measure
from ser.lint.subject import Settings
from tests.lint.builder import RATE, findings, only, recorded

NOISE = np.random.default_rng(1).uniform(-0.3, 0.3, RATE // 2)


def test_the_same_samples_in_two_sets_whatever_file_holds_them(sets):
    recorded(sets.audio, {"ann-03": NOISE})
    flac = sets.audio / "gus-04.flac"
    soundfile.write(
        flac, np.stack([soundfile.read(sets.audio / "ann-03.wav")[0]] * 2, axis=1), RATE, "PCM_16"
    )
    sets["test"].recordings["wav.scp"]["gus-04"] = str(flac)
    finding = only(sets.lint(audio=True), "duplicate-audio")
    assert (
        finding.what
        == "1 recording under several ids in several sets or folds, 1 of them with different classes"
        or (finding.what == "1 recording under several ids in several sets or folds")
    )
    assert finding.offenders[0].text == "train ann-03 (anger) = test gus-04 (joy)"


def test_the_same_samples_twice_in_a_set_are_a_warning(sets):
    result = sets.listen({"ann-03": NOISE, "bob-04": NOISE})
    finding = only(result, "duplicate-audio", Level.WARNING)
    assert (
        finding.what
        == "1 recording under several ids in one set, or sets of one role, 1 of them with different classes"
    )


def test_digital_silence_is_silence_and_no_duplicate(sets):
    result = sets.listen({"ann-03": np.zeros(8000), "gus-04": np.zeros(8000)})
    assert list(findings(result)) == ["silence"]
    assert [f.offenders[0].text for f in findings(result)["silence"]] == [
        f"{name}: -120 dB at its loudest" for name in ("ann-03", "gus-04")
    ]


@pytest.mark.parametrize(
    ("wave", "name"),
    [
        (NOISE * 1e-4, "silence"),
        (np.clip(NOISE * 9, -1, 1), "clipping"),
        (NOISE + 0.1, "dc-offset"),
    ],
)
def test_each_fault_is_the_one_finding(sets, wave, name):
    finding = only(sets.listen({"finn-07": wave}), name, Level.WARNING)
    assert finding.offenders[0].text.startswith("finn-07: ")
    assert finding.offenders[0].where == f"{sets.folder}/test/wav.scp:8"


def test_several_sampling_rates(sets):
    recorded(sets.audio, {})
    soundfile.write(sets.audio / "eve-02.wav", NOISE[:4000], 8000)
    finding = only(sets.lint(audio=True), "sample-rate", Level.WARNING)
    assert finding.offenders[0].text == "8000 Hz: 1, as eve-02"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda wav: wav.unlink(), "no such audio file"),
        (lambda wav: wav.write_bytes(wav.read_bytes()[:5000]), "truncated"),
        (lambda wav: wav.write_text("no audio"), "no audio that can be read"),
        (lambda wav: soundfile.write(wav, np.full(8000, np.nan), RATE, "FLOAT"), "not finite"),
    ],
)
def test_broken_audio_is_an_error_that_can_be_allowed(sets, spoil, words):
    recorded(sets.audio, {})
    spoil(sets.audio / "bob-05.wav")
    finding = only(sets.lint(audio=True), "broken-audio")
    assert words in finding.offenders[0].text and finding.offenders[0].text.startswith("bob-05: ")
    assert finding.offenders[0].where == f"{sets.folder}/train/wav.scp:18"
    assert only(sets.lint(audio=True, allow=["broken-audio"]), "broken-audio", Level.WARNING).allowed


def test_a_duration_that_is_not_the_audio_s(sets):
    sets.change("test", "utt2dur", lambda name, value: "0.7" if name == "gus-03" else value)
    assert only(sets.listen(), "wrong-duration").offenders[0].text == "gus-03: 0.7, not 0.50"


def test_commands_are_not_run(sets, tmp_path):
    sets["test"].recordings["wav.scp"]["gus-03"] = f"touch {tmp_path}/ran |"
    only(sets.listen(), "pipes", Level.NOTE)
    assert not (tmp_path / "ran").exists()


def test_segments_are_heard_one_by_one(sets):
    """A recording of a dialogue with a silent and a loud half, and one that ends before its segment."""
    data = sets["test"]
    data.segments = {name: Segment(name, 0.0, 0.25) for name in data.utterances}
    data.segments["gus-03"] = Segment("gus-02", 0.25, 0.5)
    del data.recordings["wav.scp"]["gus-03"]
    data.segments["gus-05"] = Segment("gus-05", 0.5, 1.2)
    data.tables["utt2dur"] = {name: f"{s.end - s.start:g}" for name, s in data.segments.items()}
    half = NOISE * (np.arange(8000) < 4000)
    said = findings(sets.listen({"gus-02": half}, settings=Settings(min_seconds=0.2)))
    assert list(said) == ["broken-audio", "silence"]
    assert said["silence"][0].offenders[0].text.startswith("gus-03: ")
    assert said["silence"][0].offenders[0].where.endswith("test/segments:16")
    assert (
        "gus-05: segment 0.5 to 1.2 s ends after its recording" in said["broken-audio"][0].offenders[0].text
    )


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_and_pieces_make_no_difference(sets, jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(listening, "CHUNK", 7)
    sets.listen(jobs=jobs)
    result = sets.lint(audio=True, jobs=jobs, work=tmp_path / f"work{jobs}")
    one = {name: dict(table) for name, table in result.subject.sounds.items()}
    monkeypatch.undo()
    again = sets.lint(audio=True, jobs=1, work=tmp_path / "other").subject.sounds
    assert {name: dict(table) for name, table in again.items()} == one


def test_what_was_heard_is_not_heard_again_until_it_changes(sets, monkeypatch):
    first = sets.listen().subject.sounds
    heard = []

    def listen(file, cuts):
        heard.append(os.path.basename(file))
        return sound.listen(file, cuts)

    monkeypatch.setattr(listening, "listen", listen)
    assert sets.lint(audio=True).subject.sounds == first and heard == []
    soundfile.write(sets.audio / "cem-00.wav", NOISE, RATE)
    os.utime(sets.audio / "cem-00.wav", (1, 1))
    second = sets.lint(audio=True).subject.sounds
    assert heard == ["cem-00.wav"] and second["train"]["cem-00"] != first["train"]["cem-00"]


def test_a_run_that_is_stopped_goes_on(sets, monkeypatch):
    monkeypatch.setattr(listening, "CHUNK", 4)
    count = 0

    def stopping(file, cuts):
        nonlocal count
        count += 1
        if count == 30:
            raise KeyboardInterrupt
        return sound.listen(file, cuts)

    monkeypatch.setattr(listening, "listen", stopping)
    with pytest.raises(KeyboardInterrupt):
        sets.listen()
    assert sets.lint(audio=True).subject.sounds is not None
    assert count == 30 + 84 - 28  # all but the seven chunks that were noted


def test_notes_cut_short_anywhere_are_believed_as_far_as_they_are_whole(tmp_path):
    wavs = []
    for number in range(3):
        wavs.append(tmp_path / f"{number} ü.wav")
        soundfile.write(wavs[-1], NOISE, RATE)
    pieces = [Piece(str(wav), None) for wav in wavs]
    sounds = [Sound(16000, number + 1, digest="d") for number in range(3)]
    notes = Notes(tmp_path / "work" / "audio.jsonl")
    notes.add([(piece, [one]) for piece, one in zip(pieces, sounds, strict=True)])
    whole = notes.path.read_bytes()
    for length in range(0, len(whole), 7):
        notes.path.write_bytes(whole[:length])
        cut = Notes(notes.path)
        known = [cut.of(piece) for piece in pieces]
        assert all(found in (None, [one]) for found, one in zip(known, sounds, strict=True))
        cut.add([(pieces[2], [sounds[2]])])
        assert Notes(notes.path).of(pieces[2]) == [sounds[2]]
        assert [Notes(notes.path).of(piece) for piece in pieces[:2]] == known[:2]


def test_notes_do_not_grow_without_end(tmp_path):
    wav = tmp_path / "a.wav"
    soundfile.write(wav, NOISE, RATE)
    piece, one = Piece(str(wav), None), Sound(16000, 1)
    notes = Notes(tmp_path / "audio.jsonl")
    for _ in range(1100):
        notes.add([(piece, [one])])
    notes.tidy([piece])
    assert len(notes.path.read_bytes().splitlines()) == 1
    assert Notes(notes.path).of(piece) == [one]


def test_notes_of_another_release_are_not_believed(tmp_path):
    wav = tmp_path / "a.wav"
    soundfile.write(wav, NOISE, RATE)
    piece = Piece(str(wav), None)
    path = tmp_path / "audio.jsonl"
    path.write_text(
        "\n".join([json.dumps([str(wav), piece.stamp(), [{"hertz": 1}]]), "null", "[1, 2", "\xff"])
    )
    assert Notes(path).of(piece) is None
    assert Notes(path).of(Piece(str(tmp_path / "none.wav"), None)) is None


def test_levels_of_tones():
    times = np.arange(RATE) / RATE
    for amplitude in (1.0, 0.1, 0.003):
        tone = (amplitude * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
        assert loudest_frame(tone, RATE) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.05)
        assert loudest_frame(tone[:5], RATE) < 0
    assert loudest_frame(np.zeros(7, dtype=np.float32), RATE) == -120
    last = np.zeros(RATE + 100, dtype=np.float32)
    last[-100:] = 0.5  # in the last, shorter frame
    assert loudest_frame(last, RATE) == pytest.approx(10 * np.log10(0.25 * 100 / 400), abs=0.01)


def test_clipping_counts_runs_of_three():
    wave = np.zeros(100, dtype=np.float32)
    wave[[3, 4, 10, 20, 21, 22, 97, 98, 99]] = [1, 1, -1, 1, -1, 1, 1, 1, 1]
    assert clipped_share(wave) == pytest.approx(0.06)
    assert clipped_share(wave * 0.99) == 0
    assert clipped_share(np.ones(5, dtype=np.float32)) == 1
    assert measure(np.full(5, np.float32(0.25)), RATE).offset == 0.25
