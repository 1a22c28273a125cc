"""Training on conversations with a language model as host, on audio: in words, with a head, not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ser.core.files import read_json, write_text
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.downstream.config import TaskConfig
from ser.memory.config import ConversationOptimizerConfig, HistoryConfig, MalConfig, MemoryConfig
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.memory.hosts.audio_lm import load_audio_lm
from ser.memory.hosts.audio_lm_config import AudioLMConfig, LoraOptions
from ser.memory.predict import predict_conversations
from ser.memory.train import train_conversations
from tests.downstream.tones import write_tones


@pytest.fixture(scope="module")
def sources(tmp_path_factory, lm_folder) -> ConversationSources:
    path = write_tones(tmp_path_factory.mktemp("tones"), longest=0.4, folds=False)
    utterances = [line.split()[0] for line in (path / "utt2spk").read_text().splitlines()]
    for table, of in {
        "utt2dialogue": lambda u: u[0] + str(int(u[-2:]) // 3),
        "utt2turn": lambda u: str(int(u[-2:]) % 3 + 1),
        "utt2fold": lambda u: "x" if u[0] in "ab" else "y",
    }.items():
        write_text(path / table, "".join(f"{u} {of(u)}\n" for u in utterances))
    return ConversationSources(path, host=str(lm_folder("qwen2_audio")))


def config(kind: str, **options) -> MalConfig:
    return MalConfig(
        task=TaskConfig(class_weights="none"),
        language_model=AudioLMConfig(**options),
        history=HistoryConfig(kind=kind),
        memory=MemoryConfig(width=4, persistent=2),
        optimizer=ConversationOptimizerConfig(epochs=1, dialogues=1),
    )


def test_nothing_to_train_is_the_host_as_it_is(sources, tmp_path):
    experiment = ConversationExperiment(tmp_path / "exp")
    train_conversations(config("none", answer="word"), sources, experiment, only_fold="x")
    predict_conversations(experiment)
    folder = experiment.fold_dir(0, "x")
    fit = read_json(folder / "fit.json")
    assert (fit["epochs"], fit["trained_parameters"], fit["curve"]) == (0, 0, [])
    data = DataDir.load(sources.data)
    found = ArkReader(folder / "test" / "pred.scp")
    host = load_audio_lm(sources.host, AudioLMConfig(answer="word"), data.labels.classes, device="cpu")
    name = next(iter(found))
    with torch.no_grad():
        scores = host.word_scores(host.hear([AudioReader(data).read(name)]))
    np.testing.assert_allclose(found[name], scores.softmax(1)[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("answer", ["word", "head"])
def test_memory_and_lora_learn_on_a_language_model(sources, tmp_path, answer):
    experiment = ConversationExperiment(tmp_path / "exp")
    how = config("memory", answer=answer, lora=LoraOptions(rank=2))
    train_conversations(how, sources, experiment)
    predict_conversations(experiment, generate=answer == "word")
    for fold in "xy":  # the second begins where the first has begun
        fit = read_json(experiment.fold_dir(0, fold) / "fit.json")
        assert fit["epochs"] == 1 and fit["gate"] != 0 and fit["trained_parameters"] > 0
    test = experiment.fold_dir(0, "x") / "test"
    predicted = set(ArkReader(test / "pred.scp"))
    assert predicted == {u for u, fold in DataDir.load(sources.data).folds().items() if fold == "x"}
    assert (test / "generated.txt").is_file() == (answer == "word")
    if answer == "word":
        assert {line.split()[0] for line in (test / "generated.txt").read_text().splitlines()} == predicted


def test_folds_do_not_hand_on_what_they_have_learnt(sources, tmp_path):
    how = config("none", answer="word", lora=LoraOptions(rank=2))
    both, second = (ConversationExperiment(tmp_path / name) for name in ("both", "second"))
    train_conversations(how, sources, both)
    train_conversations(how, sources, second, only_fold="y")
    models = [exp.fold_dir(0, "y") / "model.safetensors" for exp in (both, second)]
    assert models[0].read_bytes() == models[1].read_bytes()
