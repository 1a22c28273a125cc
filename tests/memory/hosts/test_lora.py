"""LoRA in the host's language model."""

from __future__ import annotations

import pytest
import torch

from ser.core.errors import UserError
from ser.memory.hosts.audio_lm_config import LoraOptions
from tests.memory.hosts.models import available

RANK = 2


def trained(host):
    """The host after its LoRA has been given other values than it starts with."""
    torch.manual_seed(3)
    for parameter in host.trained_parameters():
        parameter.data.normal_(std=0.3)
    return host


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("family", available())
def test_untrained_changes_no_bit(load, waves, family, precision):
    plain = load(family, precision=precision)
    host = load(family, precision=precision, lora=LoraOptions(rank=RANK))
    heard = plain.hear(waves)
    assert torch.equal(host(heard), plain(heard))
    assert torch.equal(host.word_scores(heard), plain.word_scores(heard))
    assert host.generate(heard) == plain.generate(heard)
    assert not torch.equal(trained(host)(heard), plain(heard))


@pytest.mark.parametrize("family", available())
def test_only_lora_is_trained_and_all_of_it(load, waves, family):
    host = trained(load(family, lora=LoraOptions(rank=RANK, targets=["q_proj", "v_proj", "down_proj"])))
    host.word_scores(host.hear(waves)).sum().backward()
    names = [name for name, parameter in host.named_parameters() if parameter.grad is not None]
    assert len(names) == 3 * 3 * 2  # layers, modules, A and B
    assert all(name.startswith("decoder.layers.") and ".lora_" in name for name in names)
    assert set(names) == set(host.trained_state())
    assert all(parameter.dtype == torch.float32 for parameter in host.trained_parameters())


@pytest.mark.parametrize("family", available())
def test_its_state_makes_another_host_the_same(load, waves, family):
    one = trained(load(family, lora=LoraOptions(rank=RANK)))
    state = {name: value.clone() for name, value in one.trained_state().items()}
    other = load(family, lora=LoraOptions(rank=RANK))
    other.load_trained_state(state)
    heard = one.hear(waves)
    assert torch.equal(one.word_scores(heard), other.word_scores(heard))
    with pytest.raises(RuntimeError, match="another set"):
        load(family).load_trained_state(state)


@pytest.mark.parametrize("family", available())
def test_its_dropout_is_the_only_one_and_only_in_training(load, waves, family):
    host = trained(load(family, lora=LoraOptions(rank=RANK, dropout=0.5)))
    heard = host.hear(waves)
    host.train()
    assert not torch.equal(host(heard), host(heard))
    assert host.generate(heard) == host.generate(heard)
    host.eval()
    assert torch.equal(host(heard), host(heard))


def test_a_module_that_is_not_there(load):
    with pytest.raises(UserError, match=r"'query'.*Known are: .*q_proj"):
        load("qwen2_audio", lora=LoraOptions(rank=RANK, targets=["query"]))
