"""A personalised encoder as an upstream: where e_i enters, that batches are exact, what is refused."""

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import read_yaml, write_yaml
from ser.upstream import load_upstream, tag_of
from ser.upstream.personalised import PersonalisedEncoder
from ser.upstream.probe import TOLERANCE, probe, relative_difference, synthetic_speech
from ser.upstream.registry import parse_name
from ser.upstream.wav2vec2 import transform
from tests.papt.conftest import pretrained, task  # noqa: F401  (fixtures)
from tests.upstream.models import build, save

KINDS = ("hubert-base", "hubert-large", "wavlm-base")
WAVES = synthetic_speech(16000, (0.7, 1.3, 0.4))


def encoder_of(kind, fusion):
    torch.manual_seed(0)
    return PersonalisedEncoder(build(kind)[0].eval(), fusion, 3, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_equations(kind):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 20, 32, generator=random)
    frames, e = torch.tensor([20, 20]), torch.randn(2, 32, generator=random)
    with torch.inference_mode():
        states = {fusion: encoder_of(kind, fusion).transform(x, frames, e) for fusion in
                  ("last", "first", "prefix", "none")}  # fmt: skip
        model = encoder_of(kind, "none").model
        plain = transform(model, x, frames, 3)
        shifted = transform(model, x + e[:, None], frames, 3)
        longer = transform(model, torch.cat([e[:, None], x], 1), frames + 1, 3)
    for layer in range(4):
        torch.testing.assert_close(states["none"][layer], plain[layer])
        torch.testing.assert_close(states["last"][layer], plain[layer] + (layer == 3) * e[:, None])
        torch.testing.assert_close(states["first"][layer], shifted[layer])
        torch.testing.assert_close(states["prefix"][layer], longer[layer][:, 1:])
        assert not torch.allclose(states["prefix"][layer], plain[layer])


@pytest.mark.parametrize("fusion", ["last", "first", "prefix", "none"])
def test_batched_equals_single_with_speakers(pretrained, fusion):  # noqa: F811
    upstream = load_upstream(f"papt:{pretrained(fusion)}")
    assert probe(upstream, WAVES).passed
    vectors = upstream.vectors_of(["s2", "s0", "s1"])
    lengths = torch.tensor([len(wave) for wave in WAVES])
    batch = torch.randn(3, int(lengths.max()) + 500, generator=torch.Generator().manual_seed(1))
    for row, wave in zip(batch, WAVES, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    with torch.inference_mode():
        together = upstream(batch, lengths, vectors)
        for row, wave in enumerate(WAVES):
            own = None if vectors is None else vectors[row : row + 1]
            alone = upstream(torch.from_numpy(wave)[None], lengths[row : row + 1], own)
            frames = int(alone.lengths[0])
            assert int(together.lengths[row]) == frames
            for many, one in zip(together.layers, alone.layers, strict=True):
                assert relative_difference(many[row, :frames], one[0, :frames]) <= TOLERANCE


@pytest.mark.parametrize("fusion", ["last", "none"])
@pytest.mark.parametrize("kind", [None, "hubert-base", "hubert-large"])
def test_plain_s3prl_loads_the_same_encoder_without_speakers(pretrained, tmp_path_factory, kind, fusion):  # noqa: F811
    source = "scratch:tiny" if kind is None else f"hf:{save(kind, tmp_path_factory.mktemp('m') / kind)}"
    folder = pretrained(fusion, source) / "encoder"
    ours, theirs = (
        load_upstream(f"papt:{folder}"),
        load_upstream(f"s3prl:hubert_local:{folder / 'hubert.pt'}"),
    )
    # S3PRL adds 1e-5 to a waveform's variance, transformers 1e-7: with a variance of 1 it is all the same.
    wave = torch.randn(1, 12000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        mine, other = (upstream(wave, torch.tensor([12000])) for upstream in (ours, theirs))
    for x, y in zip(mine.layers, other.layers, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-3)


def test_wavlm_has_no_file_for_hubert_local(pretrained, tmp_path_factory):  # noqa: F811
    folder = save("wavlm-base", tmp_path_factory.mktemp("m") / "wavlm")
    out = pretrained("last", f"hf:{folder}")
    assert not (out / "encoder" / "hubert.pt").exists()
    upstream = load_upstream(f"papt:{out}")
    assert upstream.info.family == "wavlm" and probe(upstream, WAVES).passed


def test_names_and_info(pretrained):  # noqa: F811
    out = pretrained()
    assert parse_name(f"papt:{out}").library == "papt"
    assert tag_of(f"papt:{out}/encoder/") == tag_of(f"papt:{out}") == "last-tones"
    upstream = load_upstream(f"papt:{out}/encoder")
    info = upstream.info
    assert (info.family, info.frame_rate, info.num_layers, info.dim) == ("hubert", 50.0, 3, 32)
    assert info.checkpoint == load_upstream(f"papt:{out}").info.checkpoint
    assert not any(parameter.requires_grad for parameter in upstream.parameters())


def test_speaker_vectors(pretrained):  # noqa: F811
    upstream = load_upstream(f"papt:{pretrained()}")
    network = upstream.encoder.speaker
    with torch.inference_mode():
        own = upstream.vectors_of(["s3", "s1"])
        torch.testing.assert_close(own, network(torch.tensor([3, 1])))
        upstream.mix_speakers({"new": {"s1": 0.25, "s3": 0.75}, "nobody": {}})
        mixed = upstream.vectors_of(["new", "nobody", "s1"])
        torch.testing.assert_close(mixed[0], 0.25 * own[1] + 0.75 * own[0])
        torch.testing.assert_close(mixed[2], own[1])
    assert not mixed[1].any()
    assert upstream.settings["speakers"] == {"new": "s1:0.25 s3:0.75", "nobody": "-"}
    with pytest.raises(UserError, match="no embedding of this speaker: 'stranger'"):
        upstream.vectors_of(["s1", "stranger"])
    with pytest.raises(ValueError, match="speaker vectors"):
        upstream(torch.zeros(1, 4000), torch.tensor([4000]), own)
    assert load_upstream("mfcc").vectors_of(["anyone"]) is None
    assert load_upstream(f"papt:{pretrained('none')}").vectors_of(["anyone"]) is None


def test_what_is_no_encoder(pretrained, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match="no personalised encoder in this folder"):
        load_upstream(f"papt:{tmp_path}")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (pretrained() / "encoder").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    about = read_yaml(copy / "config.yaml")
    load_upstream(f"papt:{copy}")
    write_yaml(copy / "config.yaml", {**about, "fusion": "none"})
    with pytest.raises(UserError, match="weights of another architecture"):
        load_upstream(f"papt:{copy}")
    write_yaml(copy / "config.yaml", {name: about[name] for name in about if name != "normalise"})
    with pytest.raises(UserError, match="no field: 'normalise'"):
        load_upstream(f"papt:{copy}")
    write_yaml(copy / "config.yaml", about)
    (copy / "speakers.txt").write_text("s0\n")
    with pytest.raises(UserError, match=r"weights of another architecture.*speaker\.embedding"):
        load_upstream(f"papt:{copy}")
    (copy / "model.safetensors").write_bytes(np.zeros(10).tobytes())
    with pytest.raises(UserError, match="not a safetensors file"):
        load_upstream(f"papt:{copy}")
