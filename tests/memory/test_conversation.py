"""Dialogues run through a model: side by side or alone, in order, and never beyond their own past."""

import pytest
import torch

from ser.core.errors import UserError
from ser.memory import fit, leaks
from ser.memory.dialogues import Dialogue
from ser.memory.fit import predict_dialogues, take_window, window_utterances
from ser.memory.leaks import check_leaks
from ser.memory.model import converse
from ser.memory.predict import leak_checks
from ser.memory.state import State
from tests.memory.corpus import KINDS, SCENES, Remembered, as_saved, dialogue, encoder_config, make_model

CONVERSATIONS = [dialogue(cast, name) for name, cast in SCENES.items()]


def predicted(model, dialogues, tokens: str = "utterance", changed=None) -> dict[str, torch.Tensor]:
    found = predict_dialogues(as_saved(model), dialogues, Remembered(encoder_config(tokens), changed))
    return {utterance: torch.cat([vector, value]) for utterance, (vector, value) in found.items()}


def assert_close(found: dict, expected: dict, tolerance: float) -> None:
    assert found.keys() <= expected.keys()
    for utterance, value in found.items():
        torch.testing.assert_close(value, expected[utterance], rtol=0, atol=tolerance, msg=utterance)


@pytest.mark.parametrize("tokens", ["utterance", "frames"])
@pytest.mark.parametrize("scope", ["speaker", "dialogue"])
@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_side_by_side_is_one_by_one(kind: str, scope: str, tokens: str) -> None:
    """Lengths 1 to 5, one to three speakers."""
    model = make_model(kind, tokens, scope)
    together = predicted(model, CONVERSATIONS, tokens)
    assert sorted(together) == sorted(u for each in CONVERSATIONS for u in each.utterances)
    for each in CONVERSATIONS:
        assert_close(predicted(model, [each], tokens), together, 1e-5)
    assert_close(predicted(model, CONVERSATIONS[::-1], tokens), together, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_past_counts(kind: str) -> None:
    """Every utterance of a dialogue changed in its turn: those before stay to the bit, those after do not."""
    model, five = make_model(kind, scope="dialogue"), dialogue("aaaaa")
    expected = predicted(model, [five])
    for n, utterance in enumerate(five.utterances):
        other = Remembered(encoder_config("utterance")).features("other")
        found = predicted(model, [five], changed={utterance: other})
        for m, each in enumerate(five.utterances):
            same = torch.equal(found[each], expected[each])
            # Three vectors are what the concatenated history keeps.
            assert same == (m < n or (kind == "concatenated" and m > n + 3)), (utterance, each)


def test_dialogues_that_end_drop_out_and_windows_end_where_they_are_told() -> None:
    model, listening = make_model(), Remembered(encoder_config("utterance"))
    batch = sorted(CONVERSATIONS, key=len, reverse=True)
    with torch.no_grad():
        steps = list(converse(model, batch, listening, truncation=2))
    assert [len(step.utterances) for step in steps] == [5, 4, 3, 2, 1]
    assert [step.last for step in steps] == [False, True, False, True, True]
    assert steps[4].utterances == ["d35"]
    windows = window_utterances(batch, 2)
    assert windows == [
        [u for step in part for u in step.utterances] for part in (steps[:2], steps[2:4], steps[4:])
    ]
    assert window_utterances(batch, 0) == [[u for window in windows for u in window]]
    run = iter(steps)
    assert [len(take_window(run)) for _ in range(4)] == [2, 2, 1, 0]


def test_gradients_stop_where_a_window_ends() -> None:
    """The third utterance's loss reaches the second's features under no truncation, and not under 2."""
    model, listening = make_model(), Remembered(encoder_config("utterance"))
    for truncation, reaches in ((0, True), (3, True), (2, False), (1, False)):
        features = listening.features("d2").clone().requires_grad_()
        changed = Remembered(encoder_config("utterance"), {"d2": features})
        third = list(converse(model, [dialogue("aaa")], changed, truncation=truncation))[2]
        [gradient] = torch.autograd.grad(third.outputs.sum(), features, allow_unused=True)
        assert (gradient is not None and bool(gradient.any())) == reaches


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_that_is_not_finite_is_named(kind: str, value: float) -> None:
    bad = torch.full((2, 2, 4), value)
    with pytest.raises(
        UserError, match=r"memory of dialogue d3 is not finite after its inner update.*'d32'.*Lower"
    ):
        predicted(make_model(kind), CONVERSATIONS, changed={"d32": bad})


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_model_does_not_leak(kind: str) -> None:
    checks = check_leaks(as_saved(make_model(kind)), CONVERSATIONS, Remembered(encoder_config("utterance")))
    assert [check.passed for check in checks] == [True] * 3
    assert [check.predictions for check in checks] == [9, 15, 15]
    assert checks[0].largest == checks[1].largest == 0


def test_the_trained_model_does_not_leak(experiment) -> None:
    [checks] = leak_checks(experiment).values()
    assert all(check.passed for check in checks), [str(check) for check in checks]


def test_a_state_kept_across_dialogues_is_found(monkeypatch) -> None:
    """What a memory hidden in its module would do."""
    model, kept = make_model(), {}
    forward = model.forward

    def remember(heard, state, *rest):
        outputs, vectors, after = forward(heard, state, *rest)
        kept.update({name: value[0, 0] for name, value in after.tensors.items()})
        return outputs, vectors, after

    monkeypatch.setattr(model, "forward", remember)
    start = model.history.start()
    monkeypatch.setattr(model, "begin", lambda *sizes: State.begin(kept or start, *(*sizes, 1)[:2]))
    checks = check_leaks(as_saved(model), CONVERSATIONS, Remembered(encoder_config("utterance")))
    assert not any(check.passed for check in checks)
    assert "another dialogue before: FAILED, largest change" in str(checks[1])


def test_a_model_that_hears_the_whole_dialogue_first_is_found(monkeypatch) -> None:
    def peeking(model, dialogues, *rest):
        steps = list(converse(model, dialogues, *rest))
        told = sum(step.outputs.mean() for step in steps)
        for step in steps:
            step.outputs[:] += 0.01 * told
        return iter(steps)

    monkeypatch.setattr(leaks, "converse", peeking)
    monkeypatch.setattr(fit, "converse", peeking)
    checks = check_leaks(as_saved(make_model()), CONVERSATIONS, Remembered(encoder_config("utterance")))
    assert [check.passed for check in checks] == [False, True, False]


def test_a_model_that_minds_its_company_is_found(monkeypatch) -> None:
    """Statistics over the batch, as a BatchNorm in training mode has them."""
    model = make_model("none")
    forward = model.forward

    def together(*words):
        outputs, vectors, state = forward(*words)
        return outputs + 0.01 * outputs.mean(0), vectors, state

    monkeypatch.setattr(model, "forward", together)
    checks = check_leaks(as_saved(model), CONVERSATIONS, Remembered(encoder_config("utterance")))
    assert [check.passed for check in checks] == [True, True, False]


def test_one_utterance_is_a_dialogue() -> None:
    model = make_model()
    one = predicted(model, [Dialogue("d", ("x",), ("a",))])
    expected = model.host(Remembered(encoder_config("utterance")).take(["x"]))
    assert list(one) == ["x"]
    assert one["x"][: expected.shape[1]].isfinite().all()
