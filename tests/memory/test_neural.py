"""The neural memory as a whole: against loops of its equations, and what must not change it."""

import pytest
import torch
from torch import Tensor

from ser.memory.config import MemoryConfig
from ser.memory.history import Switches
from ser.memory.neural import NeuralMemory, Projection
from ser.memory.state import State
from tests.memory import reference

DIM, WIDTH = 5, 4
ONE = torch.zeros(1, dtype=torch.long)


def make(seed: int = 0, **options) -> NeuralMemory:
    """A memory in which nothing is at its start: gates open, rates of data, convolutions that mix."""
    torch.manual_seed(seed)
    config = {"width": WIDTH, "depth": 2, "persistent": 2, "kernel": 3, "chunk": 4} | options
    memory = NeuralMemory(DIM, MemoryConfig(**config))
    with torch.no_grad():
        for name, parameter in memory.named_parameters():
            if "convolution" in name or name.endswith("linear.weight") or name == "gate":
                parameter.add_(0.5 * torch.randn_like(parameter))
    return memory


def random_tokens(*lengths: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Utterances side by side, ``(B, N, DIM)`` with zeros behind, and their lengths."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randn(len(lengths), max(lengths), DIM, generator=random)
    of = torch.tensor(lengths)
    return tokens * (torch.arange(tokens.shape[1]) < of[:, None])[..., None], of


def assert_equal(one: State, other: State) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, value in one.tensors.items():
        assert torch.equal(value, other.tensors[name]), name


def assert_close(one: State, other: State, **tolerance) -> None:
    for name, value in one.tensors.items():
        torch.testing.assert_close(value, other.tensors[name], **tolerance)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_equations(depth: int, chunk: int) -> None:
    """Three utterances of a dialogue: what is read, and what M and S become."""
    memory = make(depth=depth, chunk=chunk).double()
    state, slot = memory.state_dict(), {k: v[None] for k, v in memory.start().items()}
    layers, surprise = list(memory.first), [torch.zeros_like(layer) for layer in memory.first]
    for number, length in enumerate((5, 1, 7)):
        inside = torch.randn(
            1, length, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(number)
        )
        lengths = torch.tensor([length])
        found = memory.read(inside, lengths, slot)
        slot = memory.write(inside, lengths, slot, Switches())
        expected, layers, surprise = reference.utterance(state, inside[0], layers, surprise, chunk, "token")
        torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-11)
        for name, wanted in (("memory", layers), ("surprise", surprise)):
            for layer, value in enumerate(wanted):
                torch.testing.assert_close(slot[f"{name}{layer}"][0], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("options", [
    {"persistent": 0}, {"kernel": 1}, {"persistent": 0, "kernel": 1, "width": 1}, {"kernel": 9},
    {"gates": "chunk"}, {"momentum": 0.0}, {"forgetting": 0.0}, {"momentum": 0.0, "forgetting": 0.0},
])  # fmt: skip
def test_equations_of_every_option(options: dict) -> None:
    memory = make(**options).double()
    width, gates = memory.width, options.get("gates", "token")
    inside = torch.randn(1, 7, width, dtype=torch.float64)
    lengths, slot = torch.tensor([7]), {k: v[None] for k, v in memory.start().items()}
    found, after = memory.read(inside, lengths, slot), memory.write(inside, lengths, slot, Switches())
    layers, zero = list(memory.first), [torch.zeros_like(layer) for layer in memory.first]
    expected, layers, surprise = reference.utterance(memory.state_dict(), inside[0], layers, zero, 4, gates)
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-11)
    for layer in range(2):
        torch.testing.assert_close(after[f"memory{layer}"][0], layers[layer], rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(after[f"surprise{layer}"][0], surprise[layer], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("switch", "option"), [("momentum", "momentum"), ("forgetting", "forgetting")])
def test_a_rate_switched_off_is_a_rate_of_zero(switch: str, option: str) -> None:
    """no_momentum and no_forgetting of a trained memory are eta = 0 and alpha = 0."""
    memory, without = make(), make(**{option: 0.0})
    missing = without.load_state_dict(memory.state_dict(), strict=False)
    assert not missing.missing_keys
    tokens, lengths = random_tokens(6)
    _, found = memory(tokens, lengths, memory.begin(1), ONE, Switches(**{switch: False}))
    _, expected = without(tokens, lengths, without.begin(1), ONE)
    assert_equal(found, expected)
    _, on = memory(tokens, lengths, memory.begin(1), ONE)
    assert not torch.equal(on.tensors["memory0"], found.tensors["memory0"])


@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize("gates", ["token", "chunk"])
def test_padding_changes_nothing(chunk: int, gates: str) -> None:
    """Not even NaN; and however much of it there is."""
    memory = make(chunk=chunk, gates=gates)
    tokens, lengths = random_tokens(6, 1, 4)
    speaker = torch.zeros(3, dtype=torch.long)
    expected, state = memory(tokens, lengths, memory.begin(3), speaker)
    valid = (torch.arange(6) < lengths[:, None])[..., None]
    for value in (torch.nan, torch.inf, 1e30):
        found, after = memory(torch.where(valid, tokens, value), lengths, memory.begin(3), speaker)
        assert torch.equal(found[valid.expand_as(found)], expected[valid.expand_as(found)])
        assert_equal(after, state)
    longer = torch.cat([tokens, torch.full((3, 5, DIM), torch.nan)], dim=1)
    found, after = memory(longer, lengths, memory.begin(3), speaker)
    torch.testing.assert_close(found[:, :6] * valid, expected * valid, rtol=1e-5, atol=1e-6)
    assert_close(after, state, rtol=1e-5, atol=1e-6)


def test_side_by_side_is_one_by_one() -> None:
    """Dialogues of any lengths and any speakers, two utterances each."""
    memory, speakers = make(), [torch.tensor([0, 1, 0, 1]), torch.tensor([1, 1, 0, 0])]
    turns = [random_tokens(6, 1, 4, 9, seed=2), random_tokens(2, 8, 3, 1, seed=3)]
    state, outputs = memory.begin(4, 2), []
    for (tokens, lengths), speaker in zip(turns, speakers, strict=True):
        found, state = memory(tokens, lengths, state, speaker)
        outputs.append(found)
    for row in range(4):
        alone = memory.begin(1, 2)
        for (tokens, lengths), speaker, expected in zip(turns, speakers, outputs, strict=True):
            length = int(lengths[row])
            found, alone = memory(tokens[[row], :length], lengths[[row]], alone, speaker[[row]])
            torch.testing.assert_close(found[0], expected[row, :length], rtol=1e-5, atol=1e-6)
        assert_close(alone, state.rows(torch.tensor([row])), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_the_convolution_sees_no_later_token(kernel: int) -> None:
    torch.manual_seed(0)
    projection = Projection(WIDTH, kernel)
    torch.nn.init.normal_(projection.linear.weight)
    if projection.convolution is not None:
        torch.nn.init.normal_(projection.convolution.weight)
    z = torch.randn(1, 10, WIDTH)
    changed = z.clone()
    changed[0, 5] += 1
    touched = (projection(z) != projection(changed)).any(-1)[0]
    assert touched.nonzero().flatten().tolist() == list(range(5, 5 + kernel))


def test_the_convolution_starts_as_the_identity() -> None:
    projection, z = Projection(WIDTH, 4), torch.randn(2, 6, WIDTH)
    torch.testing.assert_close(projection(z), torch.nn.functional.silu(projection.linear(z)))


def test_rates_start_where_they_are_told() -> None:
    memory = NeuralMemory(DIM, MemoryConfig(width=WIDTH, step=0.2, momentum=0.7, forgetting=0.05))
    z = torch.randn(2, 3, WIDTH)
    for name, value in (("step", 0.2), ("momentum", 0.7), ("forgetting", 0.05)):
        torch.testing.assert_close(getattr(memory, name)(z), torch.full((2, 3), value))


def test_gradients_reach_everything_through_a_later_utterance() -> None:
    """What is read at the second utterance learns what was written at the first: M_0, keys, values, rates."""
    memory = make()
    (tokens, lengths), (later, of_later) = random_tokens(5), random_tokens(3, seed=4)
    tokens.requires_grad_()
    _, state = memory(tokens, lengths, memory.begin(1), ONE)
    edited, _ = memory(later, of_later, state, ONE)
    edited.square().sum().backward()
    for name, parameter in memory.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert tokens.grad.abs().max() > 0


def test_gradients_of_the_whole_are_those_of_the_loop() -> None:
    memory = make(chunk=3).double()
    inside = torch.randn(2, 1, 5, WIDTH, dtype=torch.float64)
    lengths, slot = torch.tensor([5]), {k: v[None] for k, v in memory.start().items()}
    slot = memory.write(inside[0], lengths, slot, Switches())
    total = memory.read(inside[1], lengths, slot).square().sum()
    names = [
        name
        for name, _ in memory.named_parameters()
        if name.split(".")[0] not in ("norm", "into", "out", "gate")
    ]
    parameters = dict(memory.named_parameters())
    found = torch.autograd.grad(total, [parameters[name] for name in names])
    layers, zero = list(memory.first), [torch.zeros_like(layer) for layer in memory.first]
    _, layers, surprise = reference.utterance(parameters, inside[0, 0], layers, zero, 3, "token")
    again, _, _ = reference.utterance(parameters, inside[1, 0], layers, surprise, 3, "token")
    expected = torch.autograd.grad(again.square().sum(), [parameters[name] for name in names])
    for name, one, other in zip(names, found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=name)


def test_the_state_that_is_passed_in_stays() -> None:
    memory = make()
    tokens, lengths = random_tokens(6, 3)
    speaker = torch.tensor([0, 1])
    _, state = memory(tokens, lengths, memory.begin(2, 2), speaker)
    before = {name: value.clone() for name, value in state.tensors.items()}
    first, _ = memory(tokens, lengths, state, speaker)
    again, _ = memory(tokens, lengths, state, speaker)
    assert torch.equal(first, again)
    assert_equal(state, State(before))


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e15])
@pytest.mark.parametrize("depth", [1, 3])
def test_long_dialogues_of_any_loudness_stay_finite(scale: float, depth: int) -> None:
    memory = make(depth=depth, chunk=64)
    state = memory.begin(1).detach()
    with torch.no_grad():
        for number in range(20):
            tokens, lengths = random_tokens(1 + number % 7, seed=number)
            edited, state = memory(scale * tokens, lengths, state, ONE)
            assert edited.isfinite().all()
            assert state.finite().all()


def test_half_precision_of_the_host_is_not_the_memorys() -> None:
    """Tokens come and go in bfloat16, under autocast too; the fast weights are float32."""
    memory = make()
    tokens, lengths = random_tokens(6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        edited, state = memory(tokens.bfloat16(), lengths, memory.begin(1), ONE)
    assert edited.dtype == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in state.tensors.values())
    _, expected = memory(tokens.bfloat16().float(), lengths, memory.begin(1), ONE)
    assert_equal(state, expected)
