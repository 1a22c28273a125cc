"""Pooling on frames: definitions in numpy, padding, single against batch, gradients included."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor

from ser.downstream.finetune.config import PoolingConfig
from ser.downstream.finetune.frame_pooling import LEAST_VARIANCE, FramePooling
from ser.downstream.pooling import masked_std

LENGTHS = torch.tensor([7, 20, 1, 13])
METHODS = ("mean", "mean+std", "attention", "attentive")
KINDS = list(product(METHODS, (0, 5)))
DIM = 6


def frames(padding: float = 0.0) -> Tensor:
    """(4, 20, D) with ``padding`` beyond each length."""
    x = 3 + torch.randn(4, 20, DIM, generator=torch.Generator().manual_seed(0))
    for row, length in enumerate(LENGTHS):
        x[row, length:] = padding
    return x


def make(method: str, lstm: int = 0, width: int = 0) -> FramePooling:
    torch.manual_seed(1)
    return FramePooling(PoolingConfig(method=method, lstm=lstm, width=width), DIM)


def gradients(pooling: FramePooling, x: Tensor, lengths: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Vectors, gradients of the parameters and of the frames, of a loss in which every number counts."""
    x = x.clone().requires_grad_()
    found = pooling(x, lengths)
    (found * torch.arange(1.0, found.shape[1] + 1)).square().sum().backward()
    grads = [p.grad.clone() for p in pooling.parameters()]
    pooling.zero_grad()
    return found.detach(), grads, x.grad


@pytest.mark.parametrize(
    ("method", "width"), [*[(m, 0) for m in METHODS], ("attention", 3), ("attentive", 3)]
)
def test_definitions_in_numpy(method: str, width: int) -> None:
    """softmax(v . tanh(W h + b)), weighted mean, weighted deviation, of each utterance's own frames."""
    pooling = make(method, width=width)
    found = pooling(frames(), LENGTHS).detach().numpy()
    for row, length in enumerate(LENGTHS.tolist()):
        h, w = frames()[row, :length].double().numpy(), np.full(length, 1 / length)
        if pooling.attention is not None:
            linear = pooling.attention.hidden
            assert linear.weight.shape == (width or DIM, DIM)
            W, b, v = (
                p.detach().double().numpy() for p in (linear.weight, linear.bias, pooling.attention.vector)
            )
            w = softmax(np.array([v @ np.tanh(W @ frame + b) for frame in h]))
        mean = w @ h
        deviation = np.sqrt(np.maximum(w @ h**2 - mean**2, LEAST_VARIANCE))
        expected = np.concatenate([mean, deviation]) if pooling.deviation else mean
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "lstm"), KINDS)
def test_padding_changes_nothing(method: str, lstm: int) -> None:
    """Whatever lies there, numbers or not, and however long: vectors, gradients, and none on the padding."""
    pooling = make(method, lstm)
    clean = gradients(pooling, frames(), LENGTHS)
    assert all(not clean[2][row, length:].any() for row, length in enumerate(LENGTHS))
    for padding in (1e4, float("nan")):
        torch.testing.assert_close(gradients(pooling, frames(padding), LENGTHS), clean, rtol=1e-5, atol=1e-6)
    longer = torch.cat([frames(), torch.full((4, 9, DIM), 7.0)], dim=1)
    vectors, grads, at = gradients(pooling, longer, LENGTHS)
    torch.testing.assert_close((vectors, grads, at[:, :20]), clean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "lstm"), KINDS)
def test_alone_as_in_a_batch(method: str, lstm: int) -> None:
    """The batch's vectors are those of each utterance alone, and its gradients their sum."""
    pooling = make(method, lstm)
    vectors, together, at = gradients(pooling, frames(), LENGTHS)
    alone = [
        gradients(pooling, frames()[row : row + 1, :length], LENGTHS[row : row + 1])
        for row, length in enumerate(LENGTHS.tolist())
    ]
    torch.testing.assert_close(vectors, torch.cat([each[0] for each in alone]), rtol=1e-5, atol=1e-6)
    for place, grad in enumerate(together):
        torch.testing.assert_close(grad, sum(each[1][place] for each in alone), rtol=1e-4, atol=1e-3)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(at[row, :length], alone[row][2][0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("method", "lstm"), KINDS)
def test_gradients_against_finite_differences(method: str, lstm: int) -> None:
    pooling, x = make(method, lstm), frames()
    _, _, at = gradients(pooling, x, LENGTHS)

    def loss(value: Tensor) -> float:
        found = pooling(value, LENGTHS).double()
        return float((found * torch.arange(1.0, found.shape[1] + 1)).square().sum().detach())

    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    step = 2e-3
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert float((at * direction).sum()) == pytest.approx(slope, rel=2e-2, abs=0.3)


@pytest.mark.parametrize("method", ["mean+std", "attentive"])
def test_deviation_of_constant_frames_has_a_finite_gradient(method: str) -> None:
    """Silence, digital or of one frame: the root's slope at 0 is infinite, and 0 times it is no number."""
    x = frames()
    x[1] = 0.7
    pooling = make(method)
    vectors, grads, at = gradients(pooling, x, LENGTHS)
    assert all(bool(g.isfinite().all()) for g in (vectors, at, *grads))
    torch.testing.assert_close(vectors[1:3, DIM:], torch.full((2, DIM), LEAST_VARIANCE**0.5))
    bare = torch.ones(1, 4, 1, requires_grad=True)
    masked_std(bare, torch.tensor([4])).sum().backward()
    assert not bool(bare.grad.isfinite().all())  # what the floor is for


def test_equal_scores_are_the_plain_statistics() -> None:
    for attentive, plain in (("attention", "mean"), ("attentive", "mean+std")):
        pooling = make(attentive)
        pooling.attention.vector.data.zero_()
        torch.testing.assert_close(pooling(frames(), LENGTHS), make(plain)(frames(), LENGTHS))


def test_the_order_of_frames_matters_to_the_lstm_alone() -> None:
    turned = frames()
    for row, length in enumerate(LENGTHS.tolist()):
        turned[row, :length] = turned[row, :length].flip(0)
    for method, lstm in KINDS:
        pooling = make(method, lstm)
        difference = (pooling(frames(), LENGTHS) - pooling(turned, LENGTHS)).detach().abs().max()
        assert (float(difference) > 1e-3) == bool(lstm)


@pytest.mark.parametrize(
    ("method", "lstm", "dim"),
    [("mean", 0, 6), ("mean+std", 0, 12), ("attention", 192, 192), ("attentive", 4, 8)],
)
def test_width_of_the_vector(method: str, lstm: int, dim: int) -> None:
    pooling = make(method, lstm)
    assert pooling.dim == dim and pooling(frames(), LENGTHS).shape == (4, dim)


@pytest.mark.parametrize("method", METHODS)
def test_statistics_are_float32_in_mixed_precision(method: str) -> None:
    pooling = make(method)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = pooling(frames(), LENGTHS)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, pooling(frames(), LENGTHS))
