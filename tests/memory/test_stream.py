"""A conversation as it happens, on real audio and features: the same answers as those of whole dialogues."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser.core.errors import UserError
from ser.core.files import write_text
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.features.extract import Extraction
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.memory.predict import predict_conversations
from ser.memory.stream import Conversation, Listener
from ser.memory.train import train_conversations
from ser.upstream import load_upstream
from tests.downstream.tones import write_tones
from tests.memory.conftest import small_config
from tests.memory.corpus import KINDS, as_saved, make_model
from tests.memory.test_neural import assert_equal


def dialogue_of(utterance: str) -> tuple[str, int]:
    """(dialogue, turn): a and b meet in x0 and x1, c and d in y0 and y1."""
    speaker, number = utterance[0], int(utterance[-2:])
    scene = ("x" if speaker in "ab" else "y") + str(number // 4)
    return scene, 2 * (number % 4) + (speaker in "bd") + 1


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> ConversationSources:
    folder = tmp_path_factory.mktemp("tones")
    path = write_tones(folder, longest=0.4, folds=False)
    utterances = [line.split()[0] for line in (path / "utt2spk").read_text().splitlines()]
    for table, place in (("utt2dialogue", 0), ("utt2turn", 1)):
        write_text(path / table, "".join(f"{u} {dialogue_of(u)[place]}\n" for u in utterances))
    write_text(path / "utt2fold", "".join(f"{u} {dialogue_of(u)[0][0]}\n" for u in utterances))
    data, feats = DataDir.load(path), folder / "feats" / "fbank" / "all"
    extraction = Extraction(data, feats, load_upstream("fbank"))
    extraction.run()
    extraction.combine()
    return ConversationSources(path, feats)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, tones: ConversationSources):
    """``listening(kind, scope)``: (listener, predictions of fold x)."""
    made = {}

    def make(kind: str = "memory", scope: str = "speaker"):
        if (kind, scope) not in made:
            folder = tmp_path_factory.mktemp("exp") / "exp"
            config = small_config(kind, scope, epochs=1)
            config.task.attributes = ["arousal"]
            experiment = ConversationExperiment(folder)
            train_conversations(config, tones, experiment, only_fold="x")
            predict_conversations(experiment)
            listener = Listener.load(folder)
            with torch.no_grad():  # after one epoch the gate is nearly shut
                if listener.model.history is not None:
                    listener.model.history.gate.fill_(1.0)
            made[kind, scope] = listener, folder
        return made[kind, scope]

    return make


def turns_of(tones: ConversationSources, scene: str) -> list[tuple[Path, str]]:
    """(file, speaker) of a dialogue's turns."""
    wav = dict(line.split() for line in (tones.data / "wav.scp").read_text().splitlines())
    order = sorted((u for u in wav if dialogue_of(u)[0] == scene), key=lambda u: dialogue_of(u)[1])
    return [(Path(wav[utterance]), utterance[0]) for utterance in order]


def answers(found) -> np.ndarray:
    return np.array([[*each.probabilities.values(), *each.attributes.values()] for each in found])


@pytest.mark.parametrize(("kind", "scope"), [("memory", "speaker"), ("gru", "dialogue"), ("none", "speaker")])
def test_streaming_is_predicting(listening, tones, kind: str, scope: str) -> None:
    """From the audio file to the label, the model as it was saved: to 1e-5 what ``predict`` wrote."""
    _, folder = listening(kind, scope)
    predictions = dict(ArkReader(folder / "seed0" / "foldx" / "test" / "pred.scp").items())
    listener = Listener.load(folder)
    for scene in ("x0", "x1"):
        turns = turns_of(tones, scene)
        found = listener.follow(turns, scene)
        expected = np.stack([predictions[file.stem] for file, _ in turns])
        np.testing.assert_allclose(answers(found), expected, atol=1e-5)
        assert [each.label for each in found] == [["clear", "hoarse"][row[:2].argmax()] for row in expected]


def test_a_conversation_that_was_saved_goes_on(listening, tones, tmp_path) -> None:
    listener, _ = listening()
    turns = turns_of(tones, "x0")
    expected = answers(listener.follow(turns))
    listener.begin("first").save(tmp_path / "fresh.safetensors")
    conversation, found = Conversation.load(tmp_path / "fresh.safetensors"), []
    assert (conversation.name, conversation.turn, conversation.speakers) == ("first", 0, ())
    for file, speaker in turns:
        answer, conversation = listener(file, conversation, speaker)
        found.append(answer)
        conversation.save(tmp_path / "state.safetensors")
        loaded = Conversation.load(tmp_path / "state.safetensors")
        assert (loaded.speakers, loaded.turn) == (conversation.speakers, conversation.turn)
        assert_equal(loaded.state, conversation.state)
        conversation = loaded
    np.testing.assert_array_equal(answers(found), expected)
    assert (conversation.turn, conversation.speakers) == (8, ("a", "b"))


def test_conversations_are_apart_and_what_is_passed_in_stays(listening, tones) -> None:
    """One listener, two conversations by turns; a turn tried twice is the same twice."""
    listener, _ = listening()
    one, other = turns_of(tones, "x0"), turns_of(tones, "y0")
    expected = answers(listener.follow(one)), answers(listener.follow(other))
    states, found = [listener.begin("one"), listener.begin("other")], ([], [])
    for turns in zip(one, other, strict=True):
        for number, (file, speaker) in enumerate(turns):
            listener(file, states[number], speaker)
            answer, states[number] = listener(file, states[number], speaker)
            found[number].append(answer)
    np.testing.assert_array_equal(answers(found[0]), expected[0])
    np.testing.assert_array_equal(answers(found[1]), expected[1])


def test_speakers_who_come_later_begin_at_the_start(listening, tones) -> None:
    listener, _ = listening()
    turns = turns_of(tones, "x0")
    fresh, _ = listener(turns[0][0], listener.begin(), "z")
    conversation = listener.begin()
    for file, speaker in turns:
        _, conversation = listener(file, conversation, speaker)
    late, after = listener(turns[0][0], conversation, "z")
    again, _ = listener(turns[0][0], conversation, "a")
    np.testing.assert_allclose(answers([late]), answers([fresh]), atol=1e-6)
    assert np.abs(answers([again]) - answers([fresh])).max() > 1e-5
    assert after.speakers == ("a", "b", "z")
    for name, value in conversation.state.tensors.items():
        assert torch.equal(after.state.tensors[name][:, :2], value)


def test_the_state_is_constant_in_the_number_of_turns(listening, tones, tmp_path) -> None:
    listener, _ = listening()
    conversation, sizes = listener.begin(), set()
    for file, _ in turns_of(tones, "x0") * 2:
        _, conversation = listener(file, conversation, "a")
        conversation.save(tmp_path / "state")
        sizes.add(sum(value.numel() for value in conversation.state.tensors.values()))
    assert len(sizes) == 1
    assert not any(value.requires_grad for value in conversation.state.tensors.values())


def test_samples_are_a_file(listening, tones) -> None:
    listener, _ = listening()
    file, speaker = turns_of(tones, "x0")[0]
    wave, rate = soundfile.read(file, dtype="float32")
    one, _ = listener(file, listener.begin(), speaker)
    two, _ = listener(wave, listener.begin(), speaker, rate=rate)
    np.testing.assert_allclose(answers([one]), answers([two]), atol=1e-6)
    assert one.end == pytest.approx(len(wave) / rate)


def test_nobody_named_where_the_memory_is_by_speaker(listening, tones) -> None:
    listener, _ = listening()
    [(file, _), *_] = turns_of(tones, "x0")
    for nobody in (None, ""):
        with pytest.raises(UserError, match="memory is by speaker, and nobody is named as speaker"):
            listener(file, listener.begin(), nobody)
    by_dialogue, _ = listening("gru", "dialogue")
    by_dialogue(file, by_dialogue.begin())


def test_turns_out_of_order_and_heard_before(listening, tones) -> None:
    listener, _ = listening()
    [(file, speaker), *_] = turns_of(tones, "x0")
    _, conversation = listener(file, listener.begin(), speaker, turn=3)
    for turn in (1, 3):
        with pytest.raises(UserError, match=rf"out of order, or heard before: 'turn {turn} after turn 3'"):
            listener(file, conversation, speaker, turn=turn)
    _, after = listener(file, conversation, speaker, turn=7)
    assert after.turn == 7


@pytest.mark.parametrize("kind", [*KINDS[1:], "none"])
def test_a_state_of_another_kind(listening, tones, kind: str) -> None:
    listener, _ = listening()
    [(file, speaker), *_] = turns_of(tones, "x0")
    with pytest.raises(UserError, match="a state of another kind of history"):
        listener(file, Conversation(make_model(kind).begin(1)), speaker)


def test_a_state_of_another_shape(listening, tones) -> None:
    listener, _ = listening()
    [(file, speaker), *_] = turns_of(tones, "x0")
    with pytest.raises(UserError, match=r"another shape: memory0 is \(5, 5\), not \(4, 4\).*Begin a new"):
        listener(file, Conversation(make_model(width=5).begin(1)), speaker)
    deep = Conversation(make_model(width=4, depth=3).begin(1))
    with pytest.raises(UserError, match="another kind of history: 'memory2'"):
        listener(file, deep, speaker)


def test_files_that_are_no_conversation(listening, tmp_path) -> None:
    _, folder = listening()
    with pytest.raises(UserError, match="not the state of a conversation"):
        Conversation.load(folder / "seed0" / "foldx" / "model.safetensors")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(UserError, match="not a safetensors file"):
        Conversation.load(tmp_path / "text")


def test_features_without_their_upstream() -> None:
    listener = Listener(as_saved(make_model()), torch.device("cpu"))
    with pytest.raises(UserError, match="came without their upstream: 'toy'"):
        listener(np.zeros(16000, np.float32), listener.begin(), "a", rate=16000)


def test_several_models_or_none(listening, tones, tmp_path) -> None:
    _, folder = listening()
    for wrong in ({"seed": 1}, {"fold": "y"}):
        with pytest.raises(UserError, match="0 trained models fit"):
            Listener.load(folder, **wrong)


def test_the_answer_does_not_wait_for_the_memory(listening, tones, monkeypatch) -> None:
    listener, _ = listening()
    [(file, speaker), *_] = turns_of(tones, "x0")
    wanted, after = listener(file, listener.begin(), speaker)
    written, write = [], listener.model.history.write
    monkeypatch.setattr(listener.model.history, "write", lambda *given: written.append(1) or write(*given))
    found, remember = listener.answer(file, listener.begin(), speaker)
    assert found == wanted and not written
    conversation = remember()
    assert written == [1] and conversation.turn == 1
    for name, value in after.state.tensors.items():
        assert torch.equal(conversation.state.tensors[name], value)
