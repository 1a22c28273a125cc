"""Mending: what fix changes it says, what it cannot know it refuses, and what it leaves is valid."""

import random

import pytest

from ser.core.errors import UserError
from ser.data.datadir import DataDir, Segment
from ser.data.fix import fix
from ser.data.report import validate
from ser.data.table import write_table


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_nothing_to_mend_changes_nothing(toy):
    before = {path.name: path.stat().st_mtime_ns for path in toy.path.iterdir()}
    assert fix(toy.path) == []
    assert {path.name: path.stat().st_mtime_ns for path in toy.path.iterdir()} == before


def test_disorder_repetition_and_line_ends_are_mended(toy):
    before = contents(toy.path)
    for name in ("utt2spk", "utt2emo", "wav.scp", "text"):
        lines = (toy.path / name).read_text().splitlines()
        lines += lines[:2]
        random.Random(0).shuffle(lines)
        (toy.path / name).write_bytes("\r\n".join([*lines, ""]).encode())
    (toy.path / "spk2utt").unlink()
    notes = "\n".join(fix(toy.path))
    assert "utt2spk: sorted" in notes
    assert "utt2spk: 2 lines dropped, repeated" in notes
    assert "utt2spk: line ends mended" in notes
    assert "spk2utt: written" in notes
    assert {name: text for name, text in contents(toy.path).items()} == before
    assert fix(toy.path) == []


def test_utterances_that_lack_something_are_dropped_and_named(toy):
    for name, utterance in (("wav.scp", "ann-0"), ("utt2emo", "bob-2"), ("text", "bob-1")):
        text = (toy.path / name).read_text().splitlines(keepends=True)
        (toy.path / name).write_text("".join(line for line in text if not line.startswith(utterance)))
    notes = fix(toy.path)
    assert "1 utterance dropped, not in wav.scp: ann-0" in notes
    assert "1 utterance dropped, not in utt2emo: bob-2" in notes
    assert "1 utterance dropped, not in text: bob-1" in notes
    assert validate(toy.path) == []
    assert DataDir.load(toy.path).utterances == ["ann-1", "ann-2", "bob-0"]
    assert "ann-0" in (toy.path / ".backup" / "utt2spk").read_text()


def test_strangers_and_empty_values_are_dropped(toy):
    with (toy.path / "utt2arousal").open("a") as stream:
        stream.write("zoe-1 3\nzoe-2\n")
    with (toy.path / "spk2gender").open("a") as stream:
        stream.write("zoe f\n")
    notes = fix(toy.path)
    assert "utt2arousal: 1 line dropped, without a value: zoe-2" in notes
    assert "utt2arousal: 1 entry dropped: zoe-1" in notes
    assert "spk2gender: 1 entry dropped: zoe" in notes
    assert validate(toy.path) == []


def test_partial_durations_and_genders_are_left_out(toy):
    (toy.path / "utt2dur").write_text("ann-0 0.5\n")
    (toy.path / "spk2gender").write_text("ann f\n")
    fix(toy.path)
    assert not (toy.path / "utt2dur").exists()
    assert not (toy.path / "spk2gender").exists()
    assert (toy.path / ".backup" / "spk2gender").read_text() == "ann f\n"
    assert validate(toy.path) == []


def test_durations_from_the_audio(toy):
    said = toy.durations()
    write_table(toy.path / "utt2dur", dict.fromkeys(toy.utterances, "9"))
    assert fix(toy.path, durations=True) == ["utt2dur: written from the headers of the audio"]
    assert DataDir.load(toy.path).durations() == said
    assert fix(toy.path, durations=True) == []


def test_segments_are_filtered_with_their_recordings(toy):
    toy.segments = {name: Segment(name, 0.1, 0.2) for name in toy.utterances}
    del toy.tables["utt2dur"]
    toy.write(toy.path)
    text = (toy.path / "wav.scp").read_text().splitlines(keepends=True)
    (toy.path / "wav.scp").write_text("".join(text[1:]))
    assert "1 utterance dropped, not in segments: ann-0" in fix(toy.path)
    assert validate(toy.path) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("utt2emo", "ann-1 calm\n", "utt2emo:7: key 'ann-1' has another value than on line 2: 'calm'"),
        ("utt2emo", "bob-2 \xff\n", "not UTF-8"),
        ("utt2arousal", "bob-1 77\n", "outside 1 to 5"),
        ("labels.yaml", "sizes: 3\n", "unknown key"),
    ],
)
def test_what_cannot_be_known_is_refused_and_nothing_is_written(toy, name, text, words):
    with (toy.path / name).open("ab") as stream:
        stream.write(text.encode("latin-1"))
    with (toy.path / "utt2spk").open("a") as stream:
        stream.write("aaa-1 aaa\n")
    before = {path.name: path.read_bytes() for path in toy.path.iterdir()}
    with pytest.raises(UserError) as caught:
        fix(toy.path)
    assert words in str(caught.value)
    assert {path.name: path.read_bytes() for path in toy.path.iterdir()} == before


def test_nothing_left(toy):
    write_table(toy.path / "wav.scp", {"zoe-1": "x.wav"})
    with pytest.raises(UserError, match="no utterance is in all of its tables"):
        fix(toy.path)
    with pytest.raises(UserError, match="no such data directory"):
        fix(toy.path / "none")
