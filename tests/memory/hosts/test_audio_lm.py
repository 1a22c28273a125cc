"""Properties of every audio language model as a host of memory, at every place a memory can stand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.memory.hosts.models import available

PLACES = {
    "projector": {"insertion": "projector"},
    "layer 0": {"insertion": "layer", "layer": 0},
    "layer 2": {"insertion": "layer", "layer": 2},
}
EVERYWHERE = [(family, place) for family in available() for place in PLACES]
ANSWERS = ("__call__", "word_scores", "generate")


class Residual(nn.Module):
    """X + gate * f(X), counting its calls and keeping what it saw."""

    def __init__(self, dim: int, gate: float) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.f, self.gate, self.seen = nn.Linear(dim, dim), gate, []

    def forward(self, tokens, lengths):
        self.seen.append((tokens.detach().clone(), lengths.clone()))
        return tokens + self.gate * self.f(tokens)


@pytest.fixture(scope="module")
def hosts(load):
    """``hosts(family, place)``: loaded once; the tests below change nothing in it."""
    made = {}

    def make(family: str, place: str):
        if (family, place) not in made:
            made[family, place] = load(family, **PLACES[place])
        return made[family, place]

    return make


def same(one, other) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize(("family", "place"), EVERYWHERE)
class TestEdit:
    """What is true of an edit."""

    def test_one_that_changes_nothing_changes_no_bit(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)
        for answer in ANSWERS:
            plain = getattr(host, answer)(heard)
            assert same(plain, getattr(host, answer)(heard, lambda tokens, lengths: tokens))
            assert same(plain, getattr(host, answer)(heard, Residual(host.info.dim, gate=0.0)))

    def test_is_called_once_on_all_utterances(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)
        for answer in ANSWERS:
            edit = Residual(host.info.dim, gate=0.5)
            getattr(host, answer)(heard, edit)
            [(tokens, lengths)] = edit.seen
            assert tokens.shape == (3, int(heard.lengths.max()), host.info.dim)
            assert tokens.dtype == torch.float32
            assert lengths.tolist() == heard.lengths.tolist()

    def test_sees_the_audio_tokens_of_its_place(self, hosts, waves, family, place):
        host, outputs, start = hosts(family, place), [], 0
        source = host.projector
        if place == "layer 2":
            source, start = host.decoder.layers[1], len(host.prompt.before)
        hook = source.register_forward_hook(lambda module, inputs, output: outputs.append(output))
        edit = Residual(host.info.dim, gate=0.0)
        host(host.hear(waves), edit)
        hook.remove()
        [(tokens, lengths)] = edit.seen
        for row, output, length in zip(tokens, outputs[0], lengths.tolist(), strict=True):
            assert torch.equal(row[:length], output[start : start + length])
            assert not row[length:].any()

    def test_changes_the_answer(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)
        for answer in ANSWERS[:2]:
            edited = getattr(host, answer)(heard, Residual(host.info.dim, gate=1.0))
            assert (edited - getattr(host, answer)(heard)).abs().amax(dim=1).min() > 1e-3

    def test_of_the_padding_changes_nothing(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)

        def noise_beyond(tokens, lengths):
            beyond = torch.arange(tokens.shape[1]) >= lengths[:, None]
            return torch.where(beyond[..., None], 100.0, tokens)

        for answer in ANSWERS:
            assert same(getattr(host, answer)(heard), getattr(host, answer)(heard, noise_beyond))

    def test_gets_gradients(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)
        for answer in ANSWERS[:2]:
            edit = Residual(host.info.dim, gate=0.1)
            getattr(host, answer)(heard, edit).square().sum().backward()
            assert edit.f.weight.grad.abs().max() > 0
            assert all(parameter.grad is None for parameter in host.parameters())

    def test_that_fails_leaves_nothing_behind(self, hosts, waves, family, place):
        host = hosts(family, place)
        heard = host.hear(waves)
        before = host(heard)

        def broken(tokens, lengths):
            raise FloatingPointError("NaN in the inner loop")

        for answer in ANSWERS:
            with pytest.raises(FloatingPointError):
                getattr(host, answer)(heard, broken)
        assert not any(layer._forward_pre_hooks for layer in host.decoder.layers)
        assert torch.equal(host(heard), before)

    def test_must_keep_the_shape(self, hosts, waves, family, place):
        host = hosts(family, place)
        with pytest.raises(ValueError, match="must keep the shape"):
            host(host.hear(waves), lambda tokens, lengths: tokens[:, :-1])

    def test_batched_is_single(self, hosts, waves, family, place):
        host = hosts(family, place)
        edit = Residual(host.info.dim, gate=0.5)
        heard = host.hear(waves)
        vectors, scores, texts = (getattr(host, answer)(heard, edit) for answer in ANSWERS)
        for i, wave in enumerate(waves):
            alone = host.hear([wave])
            torch.testing.assert_close(host(alone, edit)[0], vectors[i], atol=1e-4, rtol=0)
            torch.testing.assert_close(host.word_scores(alone, edit)[0], scores[i], atol=1e-4, rtol=0)
            assert host.generate(alone, edit) == [texts[i]]


@pytest.mark.parametrize("family", available())
class TestHost:
    """What is true of a host, wherever the memory stands."""

    def test_is_frozen_and_in_evaluation_mode(self, load, family):
        host = load(family)
        host.train()
        assert host.training and host.trained_parameters() == [] and host.trained_state() == {}
        assert not any(part.training for name, part in host.named_modules() if name)

    def test_half_precision_runs(self, load, waves, family):
        host = load(family, precision="bf16")
        heard = host.hear(waves)
        edit = Residual(host.info.dim, gate=0.0)
        vectors, scores = host(heard), host.word_scores(heard)
        assert host.head.weight.dtype == torch.bfloat16
        assert vectors.dtype == scores.dtype == torch.float32
        assert torch.equal(vectors, host(heard, edit)) and torch.equal(scores, host.word_scores(heard, edit))
        assert edit.seen[0][0].dtype == torch.float32
        whole = load(family)
        torch.testing.assert_close(vectors, whole(heard), atol=0.5, rtol=0.1)

    def test_recomputing_activations_changes_no_gradient(self, load, waves, family):
        def gradients(**options):
            host = load(family, **options).train()
            edit = Residual(host.info.dim, gate=0.1)
            host.word_scores(host.hear(waves), edit).sum().backward()
            assert len(edit.seen) == 1
            return host, edit.f.weight.grad

        _, plain = gradients()
        host, recomputed = gradients(checkpointing=True)
        torch.testing.assert_close(recomputed, plain)
        recomputing, generated = host.training, host.generate(host.hear(waves))
        assert recomputing and host.training and generated == load(family).generate(host.hear(waves))

    def test_says_what_it_is(self, load, family):
        host = load(family, insertion="layer", layer=1)
        about = host.describe()
        assert about["family"] == family and about["dim"] == host.info.width == 32
        assert about["insertion"] == "audio tokens before decoder layer 1"
        assert about["checkpoint"] == load(family).info.checkpoint
        assert about["parameters"] == sum(parameter.numel() for parameter in host.parameters())
