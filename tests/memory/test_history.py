"""What every history keeps: the untrained host to the bit, read before write, states that are apart."""

import pytest
import torch

from ser.core.errors import UserError
from ser.memory.baselines import count_memory, fitting_width, make_history
from ser.memory.config import HistoryConfig, MemoryConfig
from ser.memory.history import Switches
from ser.memory.state import State
from tests.memory.corpus import KINDS, WIDTH, Remembered, dialogue, encoder_config, make_model
from tests.memory.test_neural import assert_equal

TOKENS = ["utterance", "frames"]


def walk(model, tokens: str, utterances: str, slots: str | None = None, switches=None, state=None):
    """Outputs ``(N, K)`` of utterances one after the other, and the states after each of them."""
    listening, outputs, states = Remembered(encoder_config(tokens)), [], []
    slots = slots or "0" * len(utterances)
    state = model.begin(1, max(map(int, slots)) + 1) if state is None else state
    for utterance, slot in zip(utterances, slots, strict=True):
        options = () if switches is None else (switches,)
        found, _, state = model(listening.take([utterance]), state, torch.tensor([int(slot)]), *options)
        outputs.append(found[0])
        states.append(state)
    return torch.stack(outputs), states


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_an_untrained_adapter_is_the_host_to_the_bit(kind: str, tokens: str) -> None:
    """Of every utterance of a dialogue, several side by side too."""
    model = make_model(kind, tokens, opened=False)
    listening = Remembered(encoder_config(tokens))
    state = model.begin(3, 2)
    for turn in ("ab", "cd", "ef"):
        heard = listening.take([f"{turn}{row}" for row in "xyz"])
        outputs, vectors, state = model(heard, state, torch.tensor([0, 1, 0]))
        assert torch.equal(vectors, model.host(heard))
        assert torch.equal(outputs, model.head(model.host(heard)))
    assert model.history.gate == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_adapter_learns(kind: str) -> None:
    """The gate is shut, but its gradient is not zero: of the second utterance, through the state."""
    model = make_model(kind, opened=False)
    outputs, _ = walk(model, "utterance", "ab")
    outputs.square().sum().backward()
    assert model.history.gate.grad.abs() > 0


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_read_before_write(kind: str, tokens: str) -> None:
    """An utterance reads what was before it, and never itself; and those after it read it."""
    model = make_model(kind, tokens)
    found, states = walk(model, tokens, "abcd")
    changed, after = walk(model, tokens, "axcd")
    assert torch.equal(found[0], changed[0])
    assert_equal(states[0], after[0])
    # The second utterance's own output is that of an utterance heard at this state and nowhere else.
    alone, _ = walk(model, tokens, "x", state=states[0])
    assert torch.equal(changed[1], alone[0])
    assert (found[2:] - changed[2:]).abs().amax(1).min() > 1e-6
    # What it writes does not reach its own output.
    silent, _ = walk(model, tokens, "x", state=states[0], switches=Switches(writes=False))
    assert torch.equal(silent[0], changed[1])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_first_utterance_reads_the_start_alone(kind: str) -> None:
    model = make_model(kind)
    expected, _ = walk(model, "utterance", "c")
    for before in ("a", "ab"):
        found, _ = walk(model, "utterance", before + "c", "0" * len(before) + "1")
        assert torch.equal(found[-1], expected[0])  # another slot, of which nothing was heard


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_turn_leaves_the_other_speakers_slot_alone(kind: str) -> None:
    model = make_model(kind)
    _, states = walk(model, "utterance", "abcde", "01010")
    for before, after, speaker in zip(states, states[1:], (1, 0, 1, 0), strict=False):
        for name, value in before.tensors.items():
            assert torch.equal(value[:, 1 - speaker], after.tensors[name][:, 1 - speaker])
            assert not torch.equal(value[:, speaker], after.tensors[name][:, speaker])
    # So each speaker's course is that of a dialogue of their own.
    _, alone = walk(model, "utterance", "ace")
    for name, value in alone[-1].tensors.items():
        torch.testing.assert_close(states[-1].tensors[name][:, :1], value)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_one_speaker_is_a_dialogue(kind: str) -> None:
    """With one speaker both scopes are one; with two they are not."""
    for cast, same in (("aaaa", True), ("abab", False)):
        found = []
        for scope in ("dialogue", "speaker"):
            slots = "".join(map(str, dialogue(cast).slots(scope)))
            found.append(walk(make_model(kind, scope=scope), "utterance", "uvwx", slots)[0])
        assert torch.equal(*found) == same


@pytest.mark.parametrize("kind", KINDS)
def test_detached_states_stop_gradients(kind: str) -> None:
    model, listening = make_model(kind), Remembered(encoder_config("utterance"))
    heard, later = listening.take(["a"]), listening.take(["b"])
    heard.tensors["pooled"].requires_grad_()
    here = torch.zeros(1, dtype=torch.long)
    for detached in (False, True):
        _, _, state = model(heard, model.begin(1), here)
        outputs, _, _ = model(later, state.detach() if detached else state, here)
        [gradient] = torch.autograd.grad(outputs.sum(), heard.tensors["pooled"], allow_unused=True)
        if detached:
            assert gradient is None
            assert not any(value.requires_grad for value in state.detach().tensors.values())
        else:
            assert gradient.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_after_a_reset_nothing_remains(kind: str) -> None:
    """A fresh state is a fresh state, whatever was heard; ``resets`` makes every utterance a first one."""
    model = make_model(kind)
    expected, fresh = walk(model, "utterance", "xyz")
    walk(model, "utterance", "abc")
    again, states = walk(model, "utterance", "xyz")
    assert torch.equal(expected, again)
    assert_equal(fresh[-1], states[-1])
    assert_equal(model.begin(1), State({k: v[None, None] for k, v in model.history.start().items()}))
    reset, _ = walk(model, "utterance", "abc", switches=Switches(resets=True))
    unwritten, kept = walk(model, "utterance", "abc", switches=Switches(writes=False))
    firsts = torch.stack([walk(model, "utterance", each)[0][0] for each in "abc"])
    assert torch.equal(reset, firsts)
    assert torch.equal(unwritten, firsts)
    assert_equal(kept[-1], model.begin(1))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_nothing_read_is_the_host(kind: str) -> None:
    model, none = make_model(kind), make_model("none")
    found, states = walk(model, "utterance", "abc", switches=Switches(reads=False))
    none.head.load_state_dict(model.head.state_dict())
    assert torch.equal(found, walk(none, "utterance", "abc")[0])
    assert_equal(states[-1], walk(model, "utterance", "abc")[1][-1])  # and yet everything was written


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_state_does_not_grow(kind: str) -> None:
    model = make_model(kind)
    _, states = walk(model, "utterance", "abcdefghijklmnopqrstuvwxyz" * 2)
    shapes = [{name: value.shape for name, value in state.tensors.items()} for state in states]
    assert all(shape == shapes[0] for shape in shapes)
    expected = {"memory": 2 * 2 * WIDTH**2, "mean": WIDTH + 1, "gru": WIDTH, "concatenated": 3 * WIDTH}
    assert {state.numbers for state in states} == {expected[kind]}


@torch.no_grad()
def test_the_running_mean_is_the_mean() -> None:
    """And the last vectors are the last, the latest first."""
    model, listening = make_model("mean"), Remembered(encoder_config("utterance"))

    def vector(name: str) -> torch.Tensor:
        return model.history.into(model.history.norm(model.host.tokens(listening.take([name]))))[0, 0]

    _, states = walk(model, "utterance", "abcde")
    for count, state in enumerate(states, 1):
        mean = torch.stack([vector(name) for name in "abcde"[:count]]).mean(0)
        torch.testing.assert_close(model.history.summary(state.slot(torch.tensor([0])))[0], mean)
    model = make_model("concatenated")
    _, states = walk(model, "utterance", "abcde")
    torch.testing.assert_close(states[-1].tensors["last"][0, 0], torch.stack([vector(n) for n in "edc"]))
    torch.testing.assert_close(states[0].tensors["last"][0, 0, 0], vector("a"))
    assert not states[0].tensors["last"][0, 0, 1:].any()


@pytest.mark.parametrize("dim", [4, 48])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_greatest_width_that_fits(kind: str, dim: int) -> None:
    def count(width: int) -> int:
        config = HistoryConfig(kind=kind, width=width, parameters=0)
        return make_history(config, MemoryConfig(), dim).count()

    for budget in (count(1), 1000, 12345, count(9), count(9) - 1, count(9) + 1):
        config = HistoryConfig(kind=kind, parameters=budget)
        width = fitting_width(config, dim, budget)
        assert count(width) <= budget < count(width + 1)
        history = make_history(config, MemoryConfig(), dim)
        assert (history.width, history.count()) == (width, count(width))
    with pytest.raises(UserError, match=rf"history\.kind {kind} of width 1 has {count(1)} parameters"):
        fitting_width(config, dim, count(1) - 1)


@pytest.mark.parametrize("memory", [MemoryConfig(), MemoryConfig(width=64, depth=1, persistent=0)])
def test_equal_parameters_are_nearly_equal(memory: MemoryConfig) -> None:
    """What is compared with the memory has at most its parameters, and less than one width fewer."""
    counts = {kind: make_history(HistoryConfig(kind=kind), memory, 256).count() for kind in KINDS}
    assert counts["memory"] == count_memory(memory, 256)
    assert all(0.95 * counts["memory"] < count <= counts["memory"] for count in counts.values()), counts


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_padding_reaches_nothing(kind: str) -> None:
    """NaN behind an utterance's tokens, of every kind of history and to its state."""
    history = make_model(kind, "frames").history
    lengths, speaker = torch.tensor([5, 2]), torch.tensor([0, 0])
    tokens = torch.randn(2, 5, history.dim)
    valid = (torch.arange(5) < lengths[:, None])[..., None].expand_as(tokens)
    expected, after = history(tokens, lengths, history.begin(2), speaker)
    found, state = history(torch.where(valid, tokens, torch.nan), lengths, history.begin(2), speaker)
    assert torch.equal(found[valid], expected[valid])
    assert_equal(state, after)
