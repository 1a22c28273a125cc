"""What cannot be loaded, configured or heard is said in one line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm import load_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig, LoraOptions
from tests.memory.hosts.conftest import CLASSES
from tests.memory.hosts.models import available
from tests.upstream.models import save as save_encoder

WRONG = {
    "prompt is empty": {"prompt": "  "},
    r"unknown placeholder .*'\{labels\}'.*\{classes\}": {"prompt": "Which of {labels}?"},
    "layer must be at least 0": {"layer": -1},
    "counts from 0: '3'": {"insertion": "layer", "layer": 3},
    "max_new_tokens must": {"max_new_tokens": 0},
    "checkpointing goes with insertion projector": {"checkpointing": True, "insertion": "layer"},
    "a class that is not there: 'joy'": {"words": {"joy": "happy"}},
    "the same word: 'sad'": {"words": {"happy": "sad"}},
    "word of a class is empty: 'happy'": {"words": {"happy": " "}},
    "lora.rank": {"lora": LoraOptions(rank=-1)},
    "lora.alpha": {"lora": LoraOptions(rank=1, alpha=0.0)},
    "lora.targets": {"lora": LoraOptions(rank=1, targets=[])},
    "lora.dropout": {"lora": LoraOptions(rank=1, dropout=1.0)},
}


@pytest.mark.parametrize("message", WRONG)
def test_configuration(load, message):
    with pytest.raises(UserError, match=message):
        load("qwen2_audio", **WRONG[message])


def loading(folder):
    return load_audio_lm(str(folder), AudioLMConfig(), CLASSES, device="cpu")


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        loading(tmp_path / "nowhere")


def test_a_model_without_audio_tokens(tmp_path):
    with pytest.raises(UserError, match=r"no audio language model .*'whisper'.*qwen2_audio, voxtral"):
        loading(save_encoder("whisper-encoder", tmp_path / "whisper"))


def test_weights_that_do_not_fill_it(lm_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "projector" in name)
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"1 missing.*{lost.split('.')[-2]}"):
        loading(folder)


def test_a_feature_extractor_of_another_window(lm_folder, tmp_path):
    folder = shutil.copytree(lm_folder("voxtral"), tmp_path / "window")
    file = folder / "preprocessor_config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "chunk_length": 3, "n_samples": 48000, "nb_max_frames": 300}))
    with pytest.raises(UserError, match="windows of 300 frames, and the audio tower takes 200"):
        loading(folder)


@pytest.mark.parametrize("family", available())
def test_audio_that_is_too_short(load, family):
    host = load(family)
    with pytest.raises(UserError, match=r"too short for \w+ to make a token of it: '0\.00 s'"):
        host.hear([np.zeros(0, dtype=np.float32)])
    if family != "voxtral":  # which hears the silence up to the end of its window, too
        with pytest.raises(UserError, match="too short"):
            host.hear([np.zeros(300, dtype=np.float32)])


@pytest.mark.parametrize("family", available())
def test_audio_that_is_too_long(load, family):
    host = load(family)
    longest = {"qwen2_audio": 2, "voxtral": 40, "audioflamingo3": 4}[family]
    reason = f"than {family} takes, {longest} s"
    if family == "voxtral":
        reason = "tokens; voxtral has 512 positions"
    host.hear([np.zeros(16000 * longest // 2, dtype=np.float32)])
    with pytest.raises(UserError, match=reason):
        host.hear([np.zeros(16000 * longest + 1, dtype=np.float32)])


def test_rows_of_different_windows_are_kept_apart(load):
    """One, two and two windows in a batch; the second of the last is nearly empty."""
    host = load("voxtral")
    random = np.random.default_rng(1)
    waves = [(0.1 * random.standard_normal(n)).astype(np.float32) for n in (9000, 60000, 32001)]
    heard = host.hear(waves)
    assert heard.tensors["features"].shape[:2] == (3, 2)
    assert heard.lengths.tolist() == [25, 50, 50]
    tokens = host.tokens(heard)
    for row, wave, length in zip(tokens, waves, heard.lengths.tolist(), strict=True):
        alone = host.tokens(host.hear([wave]))[0]
        torch.testing.assert_close(row[:length], alone, atol=1e-5, rtol=1e-5)


def test_audio_that_is_too_long_may_be_cut(load, caplog):
    host, wave = load("qwen2_audio", longer="cut"), np.random.default_rng(0).standard_normal(48000)
    wave = (0.1 * wave).astype(np.float32)
    with caplog.at_level("WARNING"):
        cut = host.hear([wave])
    assert "of 3.00 s its beginning is heard" in caplog.text
    whole = host.hear([wave[:32000]])
    assert torch.equal(cut.tensors["features"], whole.tensors["features"])
    assert torch.equal(cut.lengths, whole.lengths)
