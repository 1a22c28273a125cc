"""Ablations at test time: what each of them is equal to, and what it changes."""

import pytest
import torch

from ser.core.errors import UserError
from ser.memory.interventions import NAMES, borrowed, predict_ablated, predict_after, shuffled
from tests.memory.corpus import KINDS, Remembered, as_saved, dialogue, encoder_config, make_model
from tests.memory.test_conversation import CONVERSATIONS, assert_close, predicted

LISTENING = Remembered(encoder_config("utterance"))


def ablated(model, name: str, dialogues=CONVERSATIONS, **options) -> dict[str, torch.Tensor]:
    found = predict_ablated(as_saved(model), dialogues, LISTENING, name, **options)
    return {utterance: torch.cat([vector, value]) for utterance, (vector, value) in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_ablation_predicts_everything_and_changes_something(name: str) -> None:
    model, dialogues = make_model(), [*CONVERSATIONS, dialogue("aabbaaab", "long")]
    expected, found = predicted(model, dialogues), ablated(model, name, dialogues)
    assert found.keys() == expected.keys()
    assert max(float((found[u] - expected[u]).abs().max()) for u in expected) > 1e-4
    first = [each.utterances[0] for each in CONVERSATIONS]
    if name != "no_reads":  # nothing was written before a first utterance, however it is written
        assert_close({u: found[u] for u in first}, expected, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_written_is_everything_forgotten(kind: str) -> None:
    model = make_model(kind)
    one, other = ablated(model, "no_writes"), ablated(model, "reset")
    assert all(torch.equal(one[utterance], other[utterance]) for utterance in one)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_read_is_no_history_with_the_same_head(kind: str) -> None:
    model, without = make_model(kind), make_model("none")
    without.head.load_state_dict(model.head.state_dict())
    found, expected = ablated(model, "no_reads"), predicted(without, CONVERSATIONS)
    assert all(torch.equal(found[utterance], expected[utterance]) for utterance in expected)


@pytest.mark.parametrize("scope", ["speaker", "dialogue"])
@pytest.mark.parametrize("kind", KINDS)
def test_histories_in_their_own_order_change_nothing(kind: str, scope: str) -> None:
    """The way of ``shuffled`` and ``other_dialogue``, without shuffling or another dialogue."""
    model = make_model(kind, scope=scope)
    expected = predicted(model, CONVERSATIONS)
    for each in CONVERSATIONS:
        said = list(zip(each.utterances, each.slots(scope), strict=True))
        found = predict_after(as_saved(model), each, (said[:n] for n in range(len(each))), LISTENING)
        assert_close({u: torch.cat(value) for u, value in found.items()}, expected, 1e-5)
        # The next dialogue after the only one is the dialogue itself.
        assert_close(ablated(model, "other_dialogue", [each]), expected, 1e-5)


@pytest.mark.parametrize("cast", ["a", "ab", "aa"])
def test_two_turns_cannot_be_shuffled(cast: str) -> None:
    model, short = make_model(), [dialogue(cast)]
    assert_close(ablated(model, "shuffled", short), predicted(model, short), 1e-5)


def test_a_mean_does_not_mind_the_order() -> None:
    for scope in ("speaker", "dialogue"):
        model = make_model("mean", scope=scope)
        assert_close(ablated(model, "shuffled"), predicted(model, CONVERSATIONS), 1e-5)


def test_shuffled_histories_are_the_same_utterances() -> None:
    long = dialogue("abcab" * 6)
    said = list(zip(long.utterances, long.slots("speaker"), strict=True))
    histories = list(shuffled(long, "speaker", 0))
    assert [sorted(each) for each in histories] == [sorted(said[:n]) for n in range(30)]
    assert sum(each != said[:n] for n, each in enumerate(histories)) > 25
    assert histories == list(shuffled(long, "speaker", 0)) != list(shuffled(long, "speaker", 1))


def test_borrowed_histories_are_as_long_and_of_speakers_in_order() -> None:
    mine, theirs = dialogue("aabba", "m"), dialogue("xyz", "t")
    histories = list(borrowed(mine, theirs, "speaker"))
    assert [len(each) for each in histories] == [0, 1, 2, 3, 4]
    assert histories[4] == [("t1", 0), ("t2", 1), ("t3", 0), ("t1", 0)]
    assert list(borrowed(mine, theirs, "dialogue"))[3] == [("t1", 0), ("t2", 0), ("t3", 0)]


def test_the_same_ablation_twice_is_the_same() -> None:
    model = make_model()
    one, two = ablated(model, "shuffled"), ablated(model, "shuffled")
    assert all(torch.equal(one[utterance], two[utterance]) for utterance in one)


def test_an_unknown_ablation() -> None:
    with pytest.raises(UserError, match=r"no such ablation: 'no_memory'.*There are no_reads, no_writes"):
        ablated(make_model(), "no_memory")


@pytest.mark.parametrize("value", [torch.nan])
def test_a_memory_that_is_not_finite_is_named(value: float) -> None:
    bad = Remembered(encoder_config("utterance"), {"d32": torch.full((2, 2, 4), value)})
    with pytest.raises(UserError, match=r"memory of dialogue d3 is not finite.*'d32'"):
        predict_ablated(as_saved(make_model()), CONVERSATIONS, bad, "shuffled")
