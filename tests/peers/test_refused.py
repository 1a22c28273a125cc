"""A user's mistake is one line that names file and key, and nothing is written."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from ser.core.errors import UserError
from ser.peers.config import read_config
from ser.peers.emotion2vec import parse_spec
from ser.peers.experiment import predict_peer
from ser.peers.files import PeerFiles, Settings
from ser.peers.load import load_peer
from tests.cli.refused import said
from tests.peers.audio import make_audio

REST = "name: x\nlicence: l\nsource: s\ntrained_on: t\n"


@pytest.fixture
def copy_of(peer_folder, tmp_path):
    """``copy_of(name)``: a peer's folder to be spoilt."""

    def make(name):
        return shutil.copytree(peer_folder(name), tmp_path / "model")

    return make


def refused(name, folder):
    with pytest.raises(UserError) as error:
        load_peer(read_config(name, model=str(folder)), "cpu")
    return str(error.value)


def change(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize(("name", "file"), [
    ("audeering-dim", "config.json"), ("audeering-dim", "pytorch_model.bin"),
    ("odyssey-categorical", "config.json"), ("odyssey-categorical", "model.safetensors"),
    ("emotion2vec-plus-base", "config.yaml"), ("emotion2vec-plus-base", "tokens.txt"),
    ("emotion2vec-plus-base", "model.pt"),
])  # fmt: skip
def test_a_file_that_is_missing(copy_of, name, file):
    folder = copy_of(name)
    (folder / file).unlink()
    line = refused(name, folder)
    assert str(folder) in line and (file in line or "weights" in line)


@pytest.mark.parametrize("name", ["audeering-dim", "odyssey-categorical", "emotion2vec-plus-base"])
def test_tensors_that_are_missing_or_of_another_shape(copy_of, name):
    keys = {"audeering-dim": "classifier.dense.weight", "odyssey-categorical": "pool_model.attention",
            "emotion2vec-plus-base": "d2v_model.blocks.2.mlp.fc1.weight"}  # fmt: skip
    folder, key = copy_of(name), keys[name]
    path = PeerFiles(str(folder), ("model.safetensors", "pytorch_model.bin", "model.pt")).weight_file
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    inner = state.get("model", state)
    whole = inner.pop(key)
    for value in (None, whole[:-1].clone()):
        if value is not None:
            inner[key] = value
        save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
        line = refused(name, folder)
        assert key.removeprefix("d2v_model.") in line and path.name in line
        assert ("of shape" in line) == (value is not None)


def test_weights_that_hold_code_are_not_run(copy_of, tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    folder = copy_of("emotion2vec-plus-base")
    torch.save({"model": {}, "cfg": Harm()}, folder / "model.pt")
    line = refused("emotion2vec-plus-base", folder)
    assert "no plain tensors" in line and "model.safetensors" in line
    assert not (tmp_path / "harm").exists()


def test_outputs_without_names_or_with_others(copy_of):
    folder = copy_of("audeering-dim")
    change(folder / "config.json", id2label={"0": "arousal", "2": "valence"})
    assert "id2label" in refused("audeering-dim", folder)
    change(folder / "config.json", id2label={"0": "arousal", "1": "dominance", "2": "anger"})
    line = refused("audeering-dim", folder)
    assert "config.json" in line and "anger" in line and "ranges" in line


def test_settings_of_another_architecture(copy_of):
    folder = copy_of("emotion2vec-plus-base")
    path = folder / "config.yaml"
    whole = yaml.safe_load(path.read_text())
    for key, value, words in (
        ("layer_norm_first", True, "layer_norm_first is not False"), ("depth", 2, "more blocks than the 2"),
        ("depth", 4, "blocks.3."), ("embed_dim", "wide", "embed_dim"), ("num_heads", 5, "no multiple"),
        ("norm_eps", "small", "norm_eps"),
    ):  # fmt: skip
        path.write_text(yaml.safe_dump(whole | {"model_conf": whole["model_conf"] | {key: value}}))
        assert words in refused("emotion2vec-plus-base", folder), key


@pytest.mark.parametrize(
    "spec",
    [
        "__import__('os').system('x')",
        "[(1, 2)]",
        "[(16, 10, 5)] * 99",
        "[]",
        "(",
        "[x]",
        "[(1, 2, 3)] * 1e999",
    ],
)
def test_a_front_end_that_is_no_list_of_convolutions(spec, tmp_path):
    with pytest.raises(UserError, match="feature_encoder_spec"):
        parse_spec(spec, Settings(tmp_path / "config.yaml", {}))


@pytest.mark.parametrize("where", ["./nowhere", "/nowhere/at/all", "nowhere", "a/b/c"])
def test_no_such_folder_never_asks_the_network(where):
    with pytest.raises(UserError, match="no such folder"):
        PeerFiles(where).path("config.json")


@pytest.mark.parametrize(("content", "words"), [
    ("- a\n", "not a mapping"), ("name: x\n", "family"), ("nmae: x\n", "nmae"),
    (f"{REST}family: hubert\nmodel: m\n", "hubert"),
    (f"{REST}family: odyssey\nmodel: ''\n", "model is empty"),
    (f"{REST}family: odyssey\nmodel: m\nwindow: 0\n", "window"),
    (f"{REST}family: odyssey\nmodel: m\nranges: {{a: [1, 0]}}\n", "ranges.a"),
])  # fmt: skip
def test_a_configuration_that_is_none(tmp_path, content, words):
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=words) as error:
        read_config(str(path))
    assert str(path) in str(error.value)


def test_an_unknown_peer_is_told_the_known_ones(capsys, tmp_path):
    line = said(capsys, "peer", "audering", "--data", tmp_path, "--exp", tmp_path / "exp")
    assert "audeering-dim" in line and "emotion2vec-plus-base" in line


def test_audio_that_cannot_be_heard_leaves_nothing(peer_folder, tmp_path):
    data = make_audio(tmp_path / "data", rate=16000, speakers=2, each=2)
    config = read_config("odyssey-categorical", model=str(peer_folder("odyssey-categorical")))
    name = data.utterances[2]
    for samples, words in ((np.zeros(399), "too short"), (np.zeros(0), name)):
        soundfile.write(data.wav_scp[name], samples, 16000)
        with pytest.raises(UserError, match=words) as error:
            predict_peer(config, [data.path], tmp_path / "exp", device="cpu")
        assert name in str(error.value)
    assert not (tmp_path / "exp").exists()


def test_data_that_do_not_go_together(peer_folder, tmp_path):
    config = read_config("odyssey-categorical", model=str(peer_folder("odyssey-categorical")))
    folds = make_audio(tmp_path / "a" / "all", rate=16000, speakers=2, each=2)
    other = make_audio(tmp_path / "b" / "all", rate=16000, speakers=2, each=2, corpus="ravdess", folds=False)
    same = make_audio(tmp_path / "c" / "all", rate=16000, speakers=2, each=2, corpus="ravdess", folds=False)
    exp = tmp_path / "exp"
    for sets, train, words in (
        ([folds.path, other.path], None, "utt2fold is predicted alone"),
        ([other.path, same.path], None, "two sets of one name"),
        ([folds.path], other.path, "--train-data is for test sets"),
        ([other.path], folds.path, "another corpus"),
    ):
        with pytest.raises(UserError, match=words):
            predict_peer(config, sets, exp, train, device="cpu")
    exp.mkdir()
    with pytest.raises(UserError, match="something else"):
        predict_peer(config, [other.path], exp, device="cpu")
    assert not list(exp.iterdir())
