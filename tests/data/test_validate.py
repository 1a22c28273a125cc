"""Every mistake in a data directory is found, with file, line and value; valid ones pass."""

import shutil

import numpy as np
import pytest
import soundfile

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.report import summary, validate
from ser.data.validate import unlabelled
from ser.data.wording import counted, first_few


def replace(name, old, new):
    """A mistake: ``old`` becomes ``new`` in a file."""

    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def remove(name):
    return lambda folder: (folder / name).unlink()


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


def segments(text):
    """Segments over recordings named as the utterances."""
    rows = {f"{speaker}-{n}": f"{speaker}-{n} 0 0.4" for speaker in ("ann", "bob") for n in range(3)}
    key, value = text.split(" ", 1)
    rows[key] = value
    lines = "".join(f"{key} {value}\n" for key, value in rows.items())
    return lambda folder: (folder / "segments").write_text(lines)


MISTAKES = [
    (remove("utt2spk"), "utt2spk: no such file"),
    (remove("spk2utt"), "spk2utt: no such file"),
    (remove("wav.scp"), "wav.scp: no such file"),
    (remove("labels.yaml"), "labels.yaml: no such file"),
    (replace("labels.yaml", "classes:", "clases:"), "labels.yaml:4: unknown key: 'clases'"),
    (replace("utt2emo", "ann-1 wild\n", ""), "utt2emo: utterance without a label: ann-1"),
    (replace("utt2emo", "ann-1 wild\n", "ann-1\n"), "utt2emo:2: key without a value: 'ann-1'"),
    (
        replace("utt2emo", "ann-1 wild", "ann-1 furious"),
        "utt2emo:2: no class of labels.yaml: ann-1 (furious)",
    ),
    (replace("utt2emo", "bob-2", "bob-3"), "utt2emo:6: not in utt2spk: bob-3"),
    (replace("utt2arousal", "ann-1 1.5", "ann-1 9.5"), "utt2arousal:2: outside 1 to 5"),
    (replace("utt2arousal", "ann-1 1.5", "ann-1 nan"), "utt2arousal:2: not a finite number: ann-1 (nan)"),
    (replace("utt2arousal", "ann-1 1.5", "ann-1 high"), "utt2arousal:2: not a finite number: ann-1 (high)"),
    (replace("utt2spk", "ann-0 ann\nann-1 ann\n", "ann-1 ann\nann-0 ann\n"), "utt2spk:2: not sorted"),
    (replace("utt2spk", "ann-1 ann\n", "ann-1 ann\nann-1 ann\n"), "utt2spk:3: duplicate key"),
    (replace("utt2spk", "ann-1 ann\n", "ann-1 ann a\n"), "utt2spk:2: the speaker must be one word: ann-1"),
    (replace("utt2spk", "ann-1 ann\n", "ann-1 bob\n"), "utt2spk:3: not in order of the speakers: ann-2"),
    (replace("spk2utt", "ann-0 ann-1", "ann-1 ann-0"), "spk2utt:1: spk2utt is not the inverse of utt2spk"),
    (replace("spk2utt", "bob ", "bill "), "spk2utt is not the inverse of utt2spk"),
    (replace("wav.scp", "ann-2", "ann-3"), "wav.scp:3: not in utt2spk: ann-3"),
    (
        write("wav.scp", "".join(f"{s}-{n} ~/x.wav\n" for s in ("ann", "bob") for n in range(3))),
        "a path with ~",
    ),
    (replace("spk2gender", "ann f", "ann female"), "spk2gender:1: neither m nor f: ann (female)"),
    (replace("spk2gender", "ann f\n", ""), "spk2gender: lacks an entry for: ann"),
    (replace("utt2dur", "ann-1 0.6", "ann-1 -0.6"), "utt2dur:2: not a positive number of seconds"),
    (replace("utt2dur", "ann-1 0.6\n", ""), "utt2dur: lacks an entry for: ann-1"),
    (replace("utt2dur", "ann-1 0.6", "ann-1 1.6"), "utt2dur:2: not the duration of the audio: ann-1"),
    (replace("text", "ann-1 so ", "ann-1 <s> "), "text:2: holds a word that Kaldi reserves"),
    (replace("text", "ann-1 so ", "ann-1 so\u00a0"), "text:2: holds white space other than blanks"),
    (lambda folder: (folder / "text").write_bytes("ann-0 schön\n".encode("latin-1")), "text:1: not UTF-8"),
    (write("utt2emodist", "ann-0 0.5 0.5\nann-1 1\n"), "utt2emodist:2: not 2 shares, one a class: ann-1 (1)"),
    (write("reco2dur", "ann-0 0.5\n"), "reco2dur: lacks an entry for: ann-1, ann-2, bob-0 and 2 more"),
    (segments("ann-1 ann-1 0.4"), "segments:2: segment 'ann-1' is not '<recording> <start> <end>'"),
    (segments("ann-1 ann-1 0.4 0.4"), "segments:2: segment 'ann-1' is not"),
    (segments("ann-1 zoe 0 0.4"), "segments:2: recording is not in wav.scp: ann-1"),
    (segments("ann-1 ann-0 0 0.4"), "wav.scp:2: no segment uses the recording: ann-1"),
    (segments("ann-1 ann-1 0 3.5"), "segments:2: segment ends after its recording: ann-1"),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=[words[:50] for _, words in MISTAKES])
def test_mistakes(toy, mistake, words):
    assert validate(toy.path) == []
    mistake(toy.path)
    problems = [str(problem) for problem in validate(toy.path)]
    assert any(words in problem for problem in problems), problems
    assert all(str(toy.path) in problem and "\n" not in problem for problem in problems)


def test_loading_raises_the_first_mistake(toy):
    replace("utt2emo", "ann-1 wild\n", "")(toy.path)
    with pytest.raises(UserError, match="utterance without a label: ann-1"):
        DataDir.load(toy.path)
    assert len(DataDir.load(toy.path, check=False).classes_of()) == 5


def test_all_mistakes_are_listed(toy):
    replace("utt2emo", "ann-1 wild", "ann-1 furious")(toy.path)
    replace("utt2arousal", "ann-1 1.5", "ann-1 9.5")(toy.path)
    replace("spk2gender", "ann f", "ann x")(toy.path)
    assert len(validate(toy.path)) == 3


def test_classes_may_be_missing_when_labels_yaml_says_so(toy):
    replace("utt2emo", "ann-1 wild\n", "")(toy.path)
    with (toy.path / "labels.yaml").open("a") as stream:
        stream.write("complete: []\n")
    assert validate(toy.path) == []
    assert unlabelled(DataDir.load(toy.path)) == {"utt2emo": 1, "utt2arousal": 1}
    assert "utt2arousal lacks 1 utterance" in summary(toy.path)


def test_attributes_must_be_complete_when_labels_yaml_says_so(toy):
    with (toy.path / "labels.yaml").open("a") as stream:
        stream.write("complete: [emo, arousal]\n")
    (problem,) = validate(toy.path)
    assert "utt2arousal: utterance without a label: bob-1" in str(problem)


def test_a_set_without_labels_is_valid(toy):
    remove("utt2emo")(toy.path)
    remove("utt2arousal")(toy.path)
    assert validate(toy.path) == []


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda wav: wav.unlink(), "no such audio file"),
        (lambda wav: wav.write_bytes(wav.read_bytes()[:5000]), "truncated"),
        (lambda wav: wav.write_bytes(b""), "empty audio file"),
        (lambda wav: soundfile.write(wav, np.zeros(0), 8000), "without samples"),
    ],
)
def test_audio_is_looked_at_when_asked(toy, mistake, words, tmp_path):
    mistake(tmp_path / "audio" / "bob-1.wav")
    (problem,) = validate(toy.path)
    assert words in str(problem)
    assert "wav.scp:5" in str(problem)
    assert "bob-1" in str(problem)
    assert validate(toy.path, wav=False) == []


def test_empty_and_missing_directories(toy, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, words in ((tmp_path / "empty", "empty data directory"), (tmp_path / "none", "no such data")):
        with pytest.raises(UserError, match=words):
            DataDir.load(folder)
    shutil.rmtree(toy.path)


def test_wording():
    assert [counted(n, "entry") for n in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert first_few(["a"]) == "a"
    assert first_few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
