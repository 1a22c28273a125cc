"""Encoders come in and go out unchanged: the same hidden states in S3PRL and here."""

import pytest
import torch

from ser.core.errors import UserError
from ser.papt.config import PaptConfig, SpeakerConfig
from ser.papt.encoders import Heads, load_source
from ser.papt.encoders.s3prl_hubert import obstacle, write_hubert
from ser.papt.start import build
from ser.upstream import load_upstream
from ser.upstream.wav2vec2 import normalise, project, transform
from tests.papt import models
from tests.upstream.models import save


def states_of(source, wave):
    lengths = torch.tensor([wave.shape[1]])
    if source.normalise:
        wave = normalise(wave, lengths, source.epsilon)
    from ser.upstream.convolution import convolve

    features, frames = convolve(source.model.feature_extractor.conv_layers, wave, lengths)
    layers = len(source.model.encoder.layers)
    return transform(source.model, project(source.model, features, frames), frames, layers)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
def test_s3prl_checkpoints_give_s3prls_states(tmp_path, kind, large):
    path = getattr(models, f"write_{kind}")(tmp_path / "c.pt", large=large)
    name = f"s3prl:{kind}_local:{path}"
    wave = 0.05 * torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_upstream(name)(wave, torch.tensor([9000])).layers
        states = states_of(load_source(name), wave)
    assert len(states) == len(expected)
    # S3PRL's layer k of pre-norm models is what goes into the next one; its last is normed.
    for ours, theirs in zip(states, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["hubert-base", "hubert-large", "wavlm-base", "wav2vec2-adapter"])
def test_folders_keep_their_weights(tmp_path, kind):
    folder = save(kind, tmp_path / kind)
    source, upstream = load_source(f"hf:{folder}"), load_upstream(f"hf:{folder}")
    wave = torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = upstream(wave, torch.tensor([9000])).layers
        for ours, theirs in zip(states_of(source, wave), expected, strict=True):
            torch.testing.assert_close(ours, theirs)
    assert not source.model.training and all(p.requires_grad for p in source.model.parameters())
    stored = upstream.model.state_dict().get("masked_spec_embed")
    assert (stored is None) == (source.mask_embedding is None)


@pytest.mark.parametrize("large", [False, True])
def test_hubert_goes_through_and_comes_back(tmp_path, large):
    before = models.hubert_state(large)
    source = load_source(f"s3prl:hubert_local:{models.write_hubert(tmp_path / 'a.pt', large=large)}")
    heads = source.heads
    write_hubert(tmp_path / "b.pt", source.model, heads, source.mask_embedding, source.normalise, 50.0)
    after = torch.load(tmp_path / "b.pt", weights_only=True)
    assert after["model_weight"].keys() == before["model_weight"].keys()
    for name, value in before["model_weight"].items():
        assert torch.equal(after["model_weight"][name], value), name
    assert after["dictionaries_symbols"] == before["dictionaries_symbols"]
    assert after["task_cfg"]["normalize"] is True
    assert "does not add the speaker embeddings" in after["note"]
    load_upstream(f"s3prl:hubert_local:{tmp_path / 'b.pt'}")


def test_what_fairseqs_hubert_cannot_express_is_said():
    model = load_source("scratch:tiny").model
    assert obstacle("hubert", model.config) is None
    assert obstacle("wavlm", model.config) == "it is wavlm"
    model.config.conv_pos_batch_norm = True
    assert obstacle("hubert", model.config) == "conv_pos_batch_norm is True"


def checkpoint_heads(**fields):
    config = PaptConfig(speaker=SpeakerConfig("none"))
    config.objective.heads = "checkpoint"
    for name, value in fields.items():
        setattr(config.objective, name, value)
    return config


def test_heads_of_a_checkpoint_are_found_by_symbol(tmp_path):
    path = models.write_hubert(tmp_path / "h.pt", clusters=6)
    state = torch.load(path, weights_only=True)
    state["dictionaries_symbols"] = [["<s>", "5", "0", "1", "2", "3"]]
    torch.save(state, path)
    source = load_source(f"s3prl:hubert_local:{path}")
    model = build(source, 4, 1, checkpoint_heads())
    torch.testing.assert_close(model.label_embeddings.data, source.heads.embeddings[[2, 3, 4, 5]])
    assert model.final_proj.out_features == 8
    with pytest.raises(UserError, match="no embedding of a unit: '4'"):
        build(source, 6, 1, checkpoint_heads())
    with pytest.raises(UserError, match="final_proj has width 8"):
        build(source, 4, 1, checkpoint_heads(projection=9))


def test_widths_of_final_proj():
    source = load_source("scratch:tiny")
    assert build(source, 4, 1, PaptConfig()).final_proj.out_features == 32
    with pytest.raises(UserError, match="has no heads"):
        build(source, 4, 1, checkpoint_heads())
    source.heads = Heads(torch.zeros(5, 32), torch.zeros(5), torch.zeros(2, 5), ["0", "1"])
    assert build(source, 4, 1, PaptConfig()).final_proj.out_features == 5


def test_what_cannot_be_pretrained(tmp_path):
    with pytest.raises(UserError, match="no such size: 'scratch:huge'"):
        load_source("scratch:huge")
    for name in ("fbank", "s3prl:hubert_local", "egemaps"):
        with pytest.raises(UserError, match="can be pre-trained"):
            load_source(name)
    with pytest.raises(UserError, match="family 'whisper' cannot be pre-trained"):
        load_source(f"hf:{save('whisper-encoder', tmp_path / 'w')}")
    with pytest.raises(UserError, match="no such checkpoint"):
        load_source(f"s3prl:hubert_local:{tmp_path / 'none.pt'}")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(UserError, match="tensors and plain values"):
        load_source(f"s3prl:hubert_local:{tmp_path / 'junk.pt'}")
    wavlm = models.write_wavlm(tmp_path / "wavlm.pt")
    with pytest.raises(UserError, match="not a HuBERT checkpoint"):
        load_source(f"s3prl:hubert_local:{wavlm}")
    state = models.hubert_state()
    state["model_cfg"]["encoder_layers"] = 3
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"weights of another architecture.*layers\.2"):
        load_source(f"s3prl:hubert_local:{tmp_path / 'other.pt'}")
    state["model_cfg"]["conv_feature_layers"] = "__import__('os').system('true')"
    torch.save(state, tmp_path / "code.pt")
    with pytest.raises(UserError, match="not a description of convolutions"):
        load_source(f"s3prl:hubert_local:{tmp_path / 'code.pt'}")
