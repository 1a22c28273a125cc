"""Attentive merging against the paper's equations, written out utterance by utterance."""

import pytest
import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.finetune.attm import AttentiveMerge

LENGTHS = torch.tensor([7, 20, 1, 13])
LAYERS, DIM = 5, 8


def states(padding: float = 0.0, seed: int = 0) -> list[Tensor]:
    """Hidden states 0 to L, (4, 20, D), with ``padding`` beyond each length."""
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randn(4, 20, DIM, generator=generator) for _ in range(LAYERS + 1)]
    for state in found:
        for row, length in enumerate(LENGTHS):
            state[row, length:] = padding
    return found


@pytest.fixture
def model() -> AttentiveMerge:
    torch.manual_seed(1)
    return AttentiveMerge(LAYERS, DIM)


@pytest.mark.parametrize(("layers", "dim"), [(12, 1024), (24, 1024), (5, 6), (1, 2)])
def test_shapes_of_the_paper(layers: int, dim: int) -> None:
    """W (H, 1), W1 (L, L/2), W2 (L/2, L), HL -> HL/4 -> H; on the meta device, where WavLM-large fits too."""
    with torch.device("meta"):
        model = AttentiveMerge(layers, dim)
    half, hidden = max(layers // 2, 1), max(layers * dim // 4, 1)
    assert model.w.shape == (dim, 1) and model.w1.shape == (layers, half) and model.w2.shape == (half, layers)
    first, activation, second = model.project
    assert (first.in_features, first.out_features) == (layers * dim, hidden)
    assert (second.in_features, second.out_features) == (hidden, dim) and isinstance(activation, nn.SiLU)


def test_equations(model: AttentiveMerge) -> None:
    """X (L, T, H) of one utterance: a, s, w, concatenation, bottleneck; hidden state 0 plays no part."""
    x, found = states(), model.merge(states(), LENGTHS)
    first, _, second = model.project
    sigmoid, silu = torch.sigmoid, lambda v: v * torch.sigmoid(v)
    for row, length in enumerate(LENGTHS.tolist()):
        X = torch.stack([state[row, :length] for state in x[1:]])
        a = X.sum(1) / length
        s = silu(
            torch.tensor(
                [
                    sum(float((a[layer, d] * model.w[d, 0]).detach()) for d in range(DIM))
                    for layer in range(LAYERS)
                ]
            )
        )
        w = sigmoid(silu(s @ model.w1) @ model.w2)
        torch.testing.assert_close(model.utterance_weights(x[1:], LENGTHS)[row], w, rtol=1e-4, atol=1e-6)
        for frame in range(length):
            y = torch.cat([w[layer] * X[layer, frame] for layer in range(LAYERS)])
            f = second.weight @ silu(first.weight @ y + first.bias) + second.bias
            torch.testing.assert_close(found[row, frame], f, rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing_and_has_no_gradient(model: AttentiveMerge) -> None:
    found = []
    for padding in (0.0, 1e4):
        layers = [state.requires_grad_() for state in states(padding)]
        frames = model.merge(layers, LENGTHS)
        own = torch.cat([frames[row, :length] for row, length in enumerate(LENGTHS)])
        model.zero_grad()
        own.square().sum().backward()
        assert layers[0].grad is None
        for state in layers[1:]:
            assert all(not state.grad[row, length:].any() for row, length in enumerate(LENGTHS))
        found.append((own.detach(), [p.grad.clone() for p in model.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_alone_as_in_a_batch(model: AttentiveMerge) -> None:
    together = model.merge(states(), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model.merge([state[row : row + 1, :length] for state in states()], LENGTHS[row : row + 1])
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-5, atol=1e-6)


def test_weights_are_each_utterances_own(model: AttentiveMerge) -> None:
    weights = model.utterance_weights(states()[1:], LENGTHS)
    assert weights.shape == (4, LAYERS) and bool(((weights > 0) & (weights < 1)).all())
    assert float((weights[0] - weights[1]).detach().abs().max()) > 0.01


def test_an_upstream_without_layers_is_refused() -> None:
    with pytest.raises(UserError, match="there are none"):
        AttentiveMerge(0, 4)
