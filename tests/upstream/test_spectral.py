"""Bare names of spectral features leave S3PRL's normalisation by utterance out."""

import pytest
import torch
import yaml

from ser.upstream import load_upstream, tag_of
from ser.upstream.registry import SPECTRAL


def wave() -> torch.Tensor:
    noise = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    return 0.1 * noise * torch.linspace(0.1, 1, 16000)


@pytest.mark.parametrize("name", SPECTRAL)
def test_normalising_it_gives_s3prls_own(name: str) -> None:
    lengths = torch.tensor([16000])
    plain = load_upstream(name)(wave(), lengths).layers[0][0]
    normalised = load_upstream(f"s3prl:{name}")(wave(), lengths).layers[0][0]
    deviation = plain.std(0, unbiased=True)
    ours = (plain - plain.mean(0)) / (deviation + 1e-10)
    # The silent tail of a spectrum's dimension would divide rounding by rounding.
    alive = deviation > 1e-4
    torch.testing.assert_close(ours[:, alive], normalised[:, alive], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", SPECTRAL)
def test_loudness_survives_pooling(name: str) -> None:
    """The reason: after normalisation by utterance, a loud and a soft one have the same mean."""
    lengths = torch.tensor([16000])
    soft, loud = wave(), 10 * wave()
    for upstream, differs in ((load_upstream(name), True), (load_upstream(f"s3prl:{name}"), False)):
        shift = (upstream(loud, lengths).layers[0] - upstream(soft, lengths).layers[0]).mean(1).abs().max()
        assert (shift > 0.5) == differs


@pytest.mark.parametrize("name", SPECTRAL)
def test_the_two_have_folders_of_their_own(name: str) -> None:
    assert tag_of(name) == name
    assert tag_of(f"s3prl:{name}") == f"{name}-cmvn"


@pytest.mark.parametrize("name", SPECTRAL)
def test_the_hash_is_the_same_when_yaml_keeps_the_order_of_keys(name: str, monkeypatch) -> None:
    """As it does in a process that has imported openSMILE."""
    before = load_upstream(name).info.checkpoint
    in_order = {dict: lambda dumper, entries: dumper.represent_dict(entries.items())}
    monkeypatch.setattr(yaml.SafeDumper, "yaml_representers", yaml.SafeDumper.yaml_representers | in_order)
    assert yaml.safe_dump({"b": 1, "a": 1}).startswith("b")
    assert load_upstream(name).info.checkpoint == before
