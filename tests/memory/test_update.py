"""The closed form of the memory's update, against loops over tokens, autograd and titans-pytorch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ser.memory.inner import losses, recall, recall_each, weighted_gradients
from ser.memory.neural import write_chunk
from ser.memory.update import coefficients
from tests.memory import reference

WIDTH = 4
DOUBLE = torch.float64
# Rates are of data, and exact zeros are what an ablation puts in their place.
rate = st.one_of(st.just(0.0), st.floats(0, 1))


class Tokens:
    """B memories, what is written in them and how fast."""

    def __init__(self, batch: int, count: int, depth: int, seed: int = 0, width: int = WIDTH) -> None:
        random = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=DOUBLE)

        self.memory = [normal(batch, width, width) / 2 for _ in range(depth)]
        self.surprise = [normal(batch, width, width) / 10 for _ in range(depth)]
        self.keys = F.normalize(normal(batch, count, width), dim=-1)
        self.values = normal(batch, count, width)
        self.rates = [torch.rand(batch, count, generator=random, dtype=DOUBLE) for _ in range(3)]
        self.valid = torch.ones(batch, count, dtype=torch.bool)

    def written(self, chunk: int) -> tuple[list[Tensor], list[Tensor]]:
        """(M, S) of ``ser.memory``, chunk by chunk."""
        memory, surprise = self.memory, self.surprise
        for begin in range(0, self.keys.shape[1], chunk):
            part = slice(begin, begin + chunk)
            tokens = (each[:, part] for each in (self.keys, self.values, *self.rates, self.valid))
            memory, surprise = write_chunk(memory, surprise, *tokens)
        return memory, surprise

    def looped(self, chunk: int) -> tuple[list[Tensor], list[Tensor]]:
        """(M, S) of the loop, one memory after the other."""
        rows = []
        for row in range(len(self.keys)):
            mine = self.valid[row]
            memory, surprise = ([layer[row] for layer in part] for part in (self.memory, self.surprise))
            rates = tuple(each[row, mine] for each in self.rates)
            rows.append(
                reference.write(memory, surprise, self.keys[row, mine], self.values[row, mine], rates, chunk)
            )
        return tuple(
            [torch.stack(layer) for layer in zip(*part, strict=True)] for part in zip(*rows, strict=True)
        )

    def leaves(self) -> list[Tensor]:
        """Everything that a gradient may flow into."""
        return [*self.memory, *self.surprise, self.keys, self.values, *self.rates]


def assert_same(found, expected, **tolerance) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **({"rtol": 1e-10, "atol": 1e-12} | tolerance))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 3, 4, 9, 16])
def test_chunks_equal_the_loop(depth: int, chunk: int) -> None:
    """Chunk 1 is the recurrence of Titans; others take the gradients of a chunk at its first memory."""
    tokens = Tokens(batch=3, count=9, depth=depth)
    for found, expected in zip(tokens.written(chunk), tokens.looped(chunk), strict=True):
        assert_same(found, expected)


def test_chunks_are_another_thing_than_tokens() -> None:
    """So that the test above can fail."""
    tokens = Tokens(batch=1, count=8, depth=2)
    one, four = tokens.written(1)[0], tokens.written(4)[0]
    assert (one[0] - four[0]).abs().max() > 0.01


@pytest.mark.parametrize("zero", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("chunk", [1, 4])
def test_rates_of_exactly_zero(zero: tuple[int, ...], chunk: int) -> None:
    tokens = Tokens(batch=2, count=8, depth=2)
    for number in zero:
        tokens.rates[number] = torch.zeros_like(tokens.rates[number])
    memory, surprise = tokens.written(chunk)
    for found, expected in zip((memory, surprise), tokens.looped(chunk), strict=True):
        assert_same(found, expected)
    if zero == (0, 1, 2):  # nothing learnt, no momentum, nothing forgotten
        assert all(torch.equal(m, old) for m, old in zip(memory, tokens.memory, strict=True))
        assert not any(s.any() for s in surprise)


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.lists(st.tuples(rate, rate, rate, st.booleans(), st.floats(-5, 5)), min_size=1, max_size=20),
    first=st.floats(-2, 2),
    surprised=st.floats(-2, 2),
)
def test_coefficients_are_the_recurrence(tokens: list, first: float, surprised: float) -> None:
    """For any rates, zeros and ones among them, and padding anywhere: by a loop over numbers."""
    memory, surprise = first, surprised
    for theta, eta, alpha, valid, gradient in tokens:
        if valid:
            surprise = eta * surprise - theta * gradient
            memory = (1 - alpha) * memory + surprise
    columns = torch.tensor(tokens, dtype=DOUBLE).T[:, None]
    theta, eta, alpha, valid, gradients = columns
    c = coefficients(theta, eta, alpha, valid.bool())
    found = c.kept * first + c.carried * surprised - (c.learnt * gradients).sum(1)
    assert float(found) == pytest.approx(memory, abs=1e-9)
    found = c.kept_surprise * surprised - (c.surprise * gradients).sum(1)
    assert float(found) == pytest.approx(surprise, abs=1e-9)


@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_padding_is_not_written(chunk: int) -> None:
    """Any lengths side by side: each memory is what its own tokens make it, whatever stands behind them."""
    tokens = Tokens(batch=5, count=11, depth=2)
    lengths = torch.tensor([11, 1, 4, 0, 8])
    tokens.valid = torch.arange(11) < lengths[:, None]
    written = tokens.written(chunk)
    before = [[layer[3].clone() for layer in part] for part in (tokens.memory, tokens.surprise)]
    expected = tokens.looped(chunk)
    for found, wanted, untouched in zip(written, expected, before, strict=True):
        assert_same(found, wanted)
        # A memory of which nothing is valid is left alone, to the bit.
        assert all(torch.equal(layer[3], old) for layer, old in zip(found, untouched, strict=True))
    tokens.keys = torch.where(tokens.valid[..., None], tokens.keys, 1e3)
    tokens.values = torch.where(tokens.valid[..., None], tokens.values, -1e3)
    for again, found in zip(tokens.written(chunk), written, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(again, found, strict=True))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_gradients_of_the_update_are_those_of_the_loop(depth: int) -> None:
    """To keys, values, rates, M_0 and S_0: a gradient of a gradient."""
    tokens = Tokens(batch=2, count=7, depth=depth)
    for leaf in tokens.leaves():
        leaf.requires_grad_()
    found, expected = [], []
    for gradients, run in ((found, tokens.written), (expected, tokens.looped)):
        memory, surprise = run(3)
        weight = torch.arange(WIDTH**2, dtype=DOUBLE).reshape(WIDTH, WIDTH).cos()
        total = sum((layer * weight).sum() + layer.square().sum() for layer in (*memory, *surprise))
        gradients.extend(torch.autograd.grad(total, tokens.leaves()))
    assert_same(found, expected, rtol=1e-8, atol=1e-9)
    assert all(each.abs().max() > 1e-4 for each in found)


def test_gradients_are_those_of_finite_differences() -> None:
    tokens = Tokens(batch=1, count=3, depth=2, width=2)
    leaves = [leaf.requires_grad_() for leaf in tokens.leaves()]

    def update(*leaves: Tensor) -> tuple[Tensor, ...]:
        memory, surprise = write_chunk(
            list(leaves[:2]), list(leaves[2:4]), *leaves[4:], torch.tensor([[True, True, False]])
        )
        return (*memory, *surprise)

    assert torch.autograd.gradcheck(update, leaves)


def test_what_is_passed_in_stays() -> None:
    tokens = Tokens(batch=2, count=6, depth=2)
    before = [leaf.clone() for leaf in tokens.leaves()]
    tokens.written(4)
    assert all(torch.equal(one, other) for one, other in zip(tokens.leaves(), before, strict=True))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_recall_and_loss_are_those_of_the_reference(depth: int) -> None:
    tokens = Tokens(batch=2, count=5, depth=depth)
    found = recall_each(tokens.memory, tokens.keys)
    for row in range(2):
        layers = [layer[row] for layer in tokens.memory]
        torch.testing.assert_close(recall(layers, tokens.keys[row]), found[row])
        expected = torch.stack([reference.recall(layers, key) for key in tokens.keys[row]])
        torch.testing.assert_close(found[row], expected, rtol=1e-10, atol=1e-12)
        inner = losses(layers, tokens.keys[row], tokens.values[row])
        torch.testing.assert_close(inner, (expected - tokens.values[row]).square().sum(-1))


def test_a_weighted_sum_of_gradients() -> None:
    tokens = Tokens(batch=2, count=5, depth=2)
    one, other = weighted_gradients(tokens.memory, tokens.keys, tokens.values, *tokens.rates[:2])
    for found, weights in ((one, tokens.rates[0]), (other, tokens.rates[1])):
        for row in range(2):
            layers = [layer[row].requires_grad_() for layer in tokens.memory]
            each = [reference.gradient(layers, tokens.keys[row, t], tokens.values[row, t]) for t in range(5)]
            for number in range(2):
                expected = sum(weights[row, t] * each[t][number] for t in range(5))
                torch.testing.assert_close(found[number][row], expected.detach(), rtol=1e-10, atol=1e-12)


def test_a_matrix_without_momentum_is_the_delta_rule() -> None:
    """M <- M - 2 theta k^T (k M - v): with 2 theta = 1, what was written is what is recalled."""
    tokens = Tokens(batch=1, count=1, depth=1)
    half, none = torch.full((1, 1), 0.5, dtype=DOUBLE), torch.zeros(1, 1, dtype=DOUBLE)
    zero = [torch.zeros_like(layer) for layer in tokens.surprise]
    [memory], _ = write_chunk(tokens.memory, zero, tokens.keys, tokens.values, half, none, none, tokens.valid)
    torch.testing.assert_close(recall_each([memory], tokens.keys), tokens.values)
    k, m = tokens.keys[0], tokens.memory[0][0]
    torch.testing.assert_close(memory[0], m - k.T @ (k @ m - tokens.values[0]))


class OurNetwork(nn.Module):
    """The memory's network as titans-pytorch wants it: weights are parameters."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ParameterList(nn.Parameter(torch.randn(WIDTH, WIDTH) / 2) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        return recall(list(self.layers), x)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("chunk", [1, 4, 8])
def test_titans_pytorch_writes_the_same(depth: int, chunk: int) -> None:
    """Its NeuralMemory with a gate for every token and weights renewed after ``chunk`` tokens.

    There the loss is a mean over the width unless another is given, a memory has a norm and a residual
    unless told not to, and a step is each token's own: here it is divided among the chunk's.
    """
    titans = pytest.importorskip("titans_pytorch", reason="titans-pytorch is not installed")
    torch.manual_seed(0)
    theirs = titans.NeuralMemory(
        WIDTH, chunk_size=1, batch_size=chunk, model=OurNetwork(depth), pre_rmsnorm=False,
        mem_model_norm_add_residual=False, store_memory_loss_fn=lambda m, v: (m - v).square().sum(-1),
    ).double()  # fmt: skip
    sequence = torch.randn(2, 8, WIDTH, dtype=DOUBLE)
    _, state = theirs(sequence)
    memory, surprise = ([layer.double() for layer in part.values()] for part in state.states)

    first = [p.expand(2, -1, -1, -1)[:, 0] for p in theirs.memory_model_parameters]
    tokens = Tokens(batch=2, count=8, depth=depth)
    tokens.memory, tokens.surprise = first, [torch.zeros_like(layer) for layer in first]
    tokens.keys, tokens.values = theirs.to_keys(sequence), theirs.to_values(sequence)
    step = theirs.to_adaptive_step(sequence).sigmoid() * chunk
    gates = (theirs.to_momentum(sequence)[0], theirs.to_decay_factor(sequence))
    tokens.rates = [step, *(gate[..., 0].sigmoid() for gate in gates)]
    found = tokens.written(chunk)
    assert_same(found[0], memory)
    assert_same(found[1], [layer[0] for layer in surprise])
