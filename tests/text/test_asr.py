"""Whisper as the source of transcripts that a data directory lacks; a random one, which says nonsense."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.datadir import NO_TEXT, DataDir
from ser.text.asr import load_recogniser
from tests.downstream.corpus import make_set
from tests.text.models import text_encoder, whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return whisper(tmp_path_factory.mktemp("models") / "tiny-whisper")


def noises(count: int, seconds: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * (n + 1) * rng.normal(size=round(16000 * seconds * (1 + n)))).astype(np.float32)
            for n in range(count)]  # fmt: skip


def test_a_batch_gives_what_single_utterances_give(folder):
    recogniser = load_recogniser(f"hf:{folder}")
    waves = noises(3)
    together = recogniser.words(waves)
    assert together == [recogniser.words([wave])[0] for wave in waves]
    assert together == recogniser.words(waves)


def test_long_audio_is_the_words_of_its_pieces(folder):
    recogniser = load_recogniser(f"hf:{folder}")
    long = noises(1, 40.0)[0]
    pieces = recogniser.words([long[: 30 * 16000], long[30 * 16000 :]])
    assert recogniser.words([long]) == [" ".join(" ".join(pieces).split())]


def test_words_are_written_where_there_are_none(folder, tmp_path):
    data, _ = make_set(tmp_path, "set", ["a"], utterances=3)
    names = DataDir.load(data).utterances
    for name, wave in zip(names, noises(3), strict=True):
        soundfile.write(tmp_path / f"{name}.wav", wave, 16000)
    (data / "wav.scp").write_text("".join(f"{name} {tmp_path / name}.wav\n" for name in names))
    (data / "text").write_text(f"{names[0]} {NO_TEXT}\n{names[1]} kept as it is\n{names[2]} {NO_TEXT}\n")
    command = ["asr", str(data), "--model", f"hf:{folder}"]
    dispatch(command)
    loaded = DataDir.load(data)
    expected = load_recogniser(f"hf:{folder}").words([noises(3)[n] for n in (0, 2)])
    assert loaded.tables["text"][names[1]] == "kept as it is"
    assert loaded.tables["utt2asr"] == {names[n]: "tiny-whisper" for n in (0, 2)}
    assert [loaded.tables["text"][names[n]] for n in (0, 2)] == [words or NO_TEXT for words in expected]


def test_what_recognises_no_words(tmp_path, whisper_dir):
    for name, words in (
        ("whisper", "not the name of a recogniser"),
        (f"hf:{tmp_path / 'nowhere'}", "no such folder"),
        (f"hf:{text_encoder(tmp_path / 'bert')}", "only Whisper recognises words here"),
        (f"hf:{whisper_dir}", "an encoder alone recognises no words"),
    ):
        with pytest.raises(UserError, match=words):
            load_recogniser(name)
