"""A conversation costs the same memory however long it is, and training that of its window."""

import gc
from itertools import islice
from pathlib import Path

import pytest
import torch

from ser.memory.config import ConversationHeadConfig, EncoderHostConfig, MemoryConfig
from ser.memory.dialogues import Dialogue
from ser.memory.fit import take_window
from ser.memory.hosts.encoder import EncoderHost, of_frames
from ser.memory.listening import Listening
from ser.memory.model import ConversationModel, converse
from ser.memory.neural import NeuralMemory

DIM, WIDTH, TOKENS = 6, 32, 3
META = {"upstream": "noise", "tag": "noise", "family": "encoder", "checkpoint": "", "sample_rate": 16000}


class Noise(Listening):
    """Frames that are new for every utterance."""

    def take(self, utterances):
        return of_frames([torch.randn(TOKENS, DIM) for _ in utterances], 1)


def make_model(scope: str = "dialogue", depth: int = 2) -> ConversationModel:
    torch.manual_seed(0)
    host = EncoderHost(EncoderHostConfig(tokens="frames", layer=0), (1, 1, DIM), META)
    history = NeuralMemory(DIM, MemoryConfig(width=WIDTH, depth=depth, persistent=1))
    torch.nn.init.constant_(history.gate, 0.5)
    return ConversationModel(host, history, ConversationHeadConfig(), 2, scope)


def dialogue_of(turns: int) -> Dialogue:
    """Two speakers in turn."""
    return Dialogue("d", tuple(f"d-{n}" for n in range(turns)), tuple("ab"[n % 2] for n in range(turns)))


def tensors_alive() -> int:
    """Bytes of all tensors that Python holds, memory that they share counted once."""
    gc.collect()
    alive = (each for each in gc.get_objects() if issubclass(type(each), torch.Tensor))
    storages = (each.untyped_storage() for each in alive)
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def resident() -> int:
    """Bytes of memory that the process occupies now; its peak may be another test's."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        pytest.skip("no /proc")
    return int(statm.read_text().split()[1]) * 4096


@pytest.mark.parametrize("scope", ["dialogue", "speaker"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_state_does_not_grow(scope, depth):
    model, noise = make_model(scope, depth).eval(), Noise()
    slots = dialogue_of(2).slots(scope)
    state, sizes = model.begin(1, max(slots) + 1), []
    with torch.no_grad():
        for n in range(10):
            _, _, state = model(noise.take(["u"]), state, torch.tensor([slots[n % 2]]))
            held = sum(value.untyped_storage().nbytes() for value in state.tensors.values())
            sizes.append((state.numbers, held))
    # Memory and surprise of each layer; float32.
    assert set(sizes) == {(2 * depth * WIDTH**2, 4 * (max(slots) + 1) * 2 * depth * WIDTH**2)}
    assert bool(state.finite().all())


@pytest.mark.parametrize("turns", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_dialogue_keeps_nothing_of_its_utterances(turns):
    model = make_model("speaker").eval()
    one_state = 4 * 2 * model.begin(1).numbers
    with torch.no_grad():
        steps = converse(model, [dialogue_of(turns)], Noise())
        assert sum(1 for _ in islice(steps, 40)) == 40
        tensors, objects, process = tensors_alive(), len(gc.get_objects()), resident()
        heard = sum(1 for _ in islice(steps, turns - 41))
        # Tensors first: garbage is collected for them.
        grown = (tensors_alive() - tensors, len(gc.get_objects()) - objects, resident() - process)
    assert heard == turns - 41
    # Had the states been kept, it were ``heard`` times ``one_state``: 31 MB of 1,000 utterances.
    assert grown[0] < one_state and grown[1] < 200 and grown[2] < max(heard // 4, 60) * one_state, grown


def test_what_is_kept_is_seen():
    model, noise = make_model().eval(), Noise()
    state, kept, speaker = model.begin(1), [], torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        _, _, state = model(noise.take(["u"]), state, speaker)
        before = tensors_alive()
        for _ in range(10):
            kept.append(state)
            _, _, state = model(noise.take(["u"]), state, speaker)
    assert tensors_alive() - before == 10 * 4 * state.numbers


def nodes(outputs: torch.Tensor) -> int:
    """Operations that a backward pass from here goes through, and so what it keeps."""
    seen, waiting = set(), [outputs.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return len(seen)


@pytest.mark.parametrize("truncation", [1, 4])
def test_the_graph_of_training_ends_with_its_window(truncation):
    found = []
    steps = converse(make_model(), [dialogue_of(24)], Noise(), truncation=truncation)
    while window := take_window(steps):
        found.append(nodes(window[-1].outputs))
    # The first window begins at the learned M_0.
    assert len(found) == 24 // truncation and len(set(found[1:])) == 1
    through_all = [nodes(step.outputs) for step in converse(make_model(), [dialogue_of(24)], Noise())]
    assert through_all == sorted(set(through_all)) and through_all[-1] > 3 * found[-1]
