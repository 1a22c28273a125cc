"""Raw audio to labels: the same as extraction and prediction of a data directory, whatever the batch."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import ser
from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.downstream.config import ModelConfig
from ser.downstream.examples import load_examples
from ser.downstream.recogniser import Recogniser, Recognition, average
from ser.downstream.saved import SavedModel
from ser.upstream import load_upstream
from tests.downstream.finetune.audio_corpus import CLASSES, AudioCorpus, make_corpus
from tests.upstream.models import save

CLOSE = {"rtol": 0, "atol": 1e-5}


def values(found: Recognition) -> np.ndarray:
    return np.array([*found.probabilities.values(), *found.attributes.values()])


@pytest.fixture(scope="module")
def model(trained: Path) -> Recogniser:
    return ser.load(trained)


def test_a_file_gives_the_mean_of_all_models_on_its_extracted_features(
    model: Recogniser, trained: Path, audio_corpus: AudioCorpus
) -> None:
    examples = load_examples([(audio_corpus.data, audio_corpus.feats)], [], [], 2, "global")
    folders = sorted(trained.glob("seed*/fold*"))
    assert len(folders) == 8
    members = [SavedModel.load(folder / "model.safetensors") for folder in folders]
    for utterance in audio_corpus.data.utterances[::5]:
        pooled = examples.pooled.take(examples.rows([utterance]))
        with torch.no_grad():
            expected = np.mean(
                [each.predict(each.model.embed(pooled))[0].numpy() for each in members], axis=0
            )
        found = model(audio_corpus.wav(utterance))
        np.testing.assert_allclose(values(found), expected, **CLOSE)
        assert list(found.probabilities) == CLASSES and list(found.attributes) == ["arousal"]
        assert found.label == CLASSES[int(expected[:3].argmax())]
        assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_a_fold_gives_what_it_predicted_for_its_test_speaker(
    trained: Path, audio_corpus: AudioCorpus
) -> None:
    one = ser.load(trained, seed=1, fold="s2")
    for utterance, expected in ArkReader(trained / "seed1" / "folds2" / "test" / "pred.scp").items():
        np.testing.assert_allclose(values(one(audio_corpus.wav(utterance))), expected, **CLOSE)


@pytest.mark.parametrize(("name", "standardise"), [("fbank", "none"), ("egemaps", "quantile")])
def test_other_upstreams_and_standardisation(tmp_path: Path, name: str, standardise: str) -> None:
    if name == "egemaps":
        pytest.importorskip("opensmile")
    corpus = make_corpus(tmp_path, load_upstream(name), utterances=12)
    model = ModelConfig(pooling="std_per_layer", standardise=standardise)
    one = ser.load(corpus.train(tmp_path / "exp", model), fold="s0")
    for utterance, expected in ArkReader(tmp_path / "exp" / "seed0" / "folds0" / "test" / "pred.scp").items():
        np.testing.assert_allclose(values(one(corpus.wav(utterance))), expected, **CLOSE)


def test_samples_are_as_good_as_a_file(model: Recogniser, audio_corpus: AudioCorpus, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stereo = (rng.uniform(-0.3, 0.3, (11025 * 3, 2)) * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", stereo, 11025)
    expected = values(model(tmp_path / "a.wav"))
    np.testing.assert_array_equal(values(model(stereo, rate=11025)), expected)
    np.testing.assert_array_equal(values(model(stereo / 2**15, rate=11025)), expected)


def test_a_long_file_is_its_windows(model: Recogniser, tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16000 * 7) * np.repeat(
        [1, 0.1, 0.5, 1, 0.3, 1, 0.01], 16000
    )
    soundfile.write(tmp_path / "long.wav", wave, 16000, subtype="FLOAT")
    windows = model.windows(tmp_path / "long.wav", window=2)
    assert [(each.start, each.end) for each in windows] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    for each in windows:
        part = wave[int(each.start * 16000) : int(each.end * 16000)].astype(np.float32)
        np.testing.assert_allclose(values(each), values(model(part, rate=16000)), **CLOSE)
    whole = model(tmp_path / "long.wav", window=2)
    expected = np.average([values(each) for each in windows], axis=0, weights=[2, 2, 2, 1])
    np.testing.assert_allclose(values(whole), expected, **CLOSE)
    assert (whole.start, whole.end) == (0, 7)


def test_the_average_is_weighted_by_duration() -> None:
    found = average(
        [
            Recognition(0, 3, "a", {"a": 0.6, "b": 0.4}, {"x": 1.0}),
            Recognition(3, 4, "b", {"a": 0, "b": 1}, {"x": 5.0}),
        ]
    )
    assert found == Recognition(0, 4, "b", pytest.approx({"a": 0.45, "b": 0.55}), {"x": 2.0})


def test_nothing_random_is_touched(model: Recogniser, audio_corpus: AudioCorpus) -> None:
    state = torch.get_rng_state()
    first = model(audio_corpus.wav(audio_corpus.data.utterances[0]))
    assert torch.equal(torch.get_rng_state(), state)
    assert model(audio_corpus.wav(audio_corpus.data.utterances[0])) == first


def test_an_upstream_that_has_moved(trained: Path, whisper_folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(trained, tmp_path / "moved")
    info = (moved / "info.yaml").read_text()
    (moved / "info.yaml").write_text(info.replace(str(whisper_folder), str(tmp_path / "gone")))
    with pytest.raises(UserError, match=r"cannot be loaded.*--upstream hf:<folder>"):
        ser.load(moved)
    shutil.copytree(whisper_folder, tmp_path / "here")
    assert ser.load(moved, upstream=f"hf:{tmp_path / 'here'}").ensemble.classes == CLASSES
    other = save("hubert-base", tmp_path / "other")
    with pytest.raises(UserError, match=r"another upstream than that of .*moved: its family is whisper"):
        ser.load(moved, upstream=f"hf:{other}")
    weights = tmp_path / "here" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"another upstream than that of .*: its checkpoint is"):
        ser.load(moved, upstream=f"hf:{tmp_path / 'here'}")


def test_whisper_s_context_is_the_recorded_one(tmp_path: Path, whisper_folder: Path) -> None:
    corpus = make_corpus(tmp_path, load_upstream(f"hf:{whisper_folder}", context="30 s"), utterances=8)
    one = ser.load(corpus.train(tmp_path / "exp"), fold="s0")
    assert one.upstream.info.context == "30 s"
    utterance, expected = next(iter(ArkReader(tmp_path / "exp/seed0/folds0/test/pred.scp").items()))
    np.testing.assert_allclose(values(one(corpus.wav(utterance))), expected, **CLOSE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((np.zeros(16000, np.float32),), {}), "samples want their rate"),
        (((np.zeros((2, 3, 4), np.float32), 16000), {}), r"samples are \(T,\) or"),
        (((np.zeros(0, np.float32), 16000), {}), r"samples are \(T,\) or"),
        (((np.zeros(16000, np.int64), 16000), {}), "float in"),
        (((np.full(16000, np.nan), 16000), {}), "not finite"),
        (((np.zeros(100, np.float32), 16000), {}), "too short for tiny-whisper"),
        ((("nowhere.wav",), {}), "no such audio file"),
    ],
)
def test_audio_that_is_none(model: Recogniser, arguments: tuple, message: str) -> None:
    positional, named = arguments
    with pytest.raises(UserError, match=message):
        model(*positional, **named)


def test_experiments_that_cannot_be_used(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such experiment"):
        ser.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no such model: 'seed 7 fold s9'\. Trained are: seed0/folds0"):
        ser.load(trained, seed=7, fold="s9")
    mixed = shutil.copytree(trained, tmp_path / "mixed")
    fit = mixed / "seed1" / "folds0" / "fit.json"
    text = fit.read_text()
    start = text.index('"fingerprint": "') + len('"fingerprint": "')
    fit.write_text(text[:start] + "0" * 64 + text[start + 64 :])
    with pytest.raises(UserError, match="some folds were trained on other data"):
        ser.load(mixed)
    assert len(ser.load(mixed, seed=0).ensemble.models) == 4


def test_speaker_standardisation_wants_a_speaker(tmp_path: Path, audio_corpus: AudioCorpus) -> None:
    model = ser.load(audio_corpus.train(tmp_path / "exp", ModelConfig(standardise="speaker")))
    with pytest.raises(
        UserError, match=r"wants a speaker's other audio\. Use 'ser predict' with --one-speaker"
    ):
        model(audio_corpus.wav(audio_corpus.data.utterances[0]))
