"""Conversations that cannot be trained on or predicted, from the command line: one line, exit code 2."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.memory.dialogues import Dialogue
from ser.memory.fit import predict_dialogues
from ser.memory.predict import Predictor
from ser.memory.saved import SavedConversation
from tests.cli.refused import said
from tests.downstream.corpus import make_set as make_plain_set
from tests.memory.conftest import make_sources
from tests.memory.corpus import Remembered, encoder_config, make_set

MODEL = "seed0/fold0/model.safetensors"
FAST = ["--optimizer.epochs", "1", "--memory.width", "4", "--memory.chunk", "4"]

# Arks hold no NaN; these are finite, and the variance over them is not.
LOUD = np.linspace(-3e37, 3e37, 8, dtype=np.float32).reshape(2, 4)


def words_of(sources, exp: Path, *others) -> list[str]:
    """``ser memory-train`` of three sets."""
    words = ["memory-train", "--data", sources.data, "--feats", sources.feats, "--exp", exp, *FAST]
    words += ["--validation-data", sources.validation_data, "--validation-feats", sources.validation_feats]
    words += ["--test-data", f"[{sources.test_data[0]}]", "--test-feats", f"[{sources.test_feats[0]}]"]
    return [str(word) for word in (*words, *others)]


def refused(capsys, sources, tmp_path: Path, *others) -> str:
    """The one line of a training that was refused, and left nothing."""
    line = said(capsys, *words_of(sources, tmp_path / "exp", *others))
    assert not list((tmp_path / "exp").glob("seed*/fold*/*.safetensors"))
    assert not list((tmp_path / "exp").glob("seed*/fold*/fit.json"))
    return line


@pytest.mark.parametrize(("table", "entries", "message"), [
    ("utt2turn", {"a-test-d1-3": "1"}, "two utterances are turn 1 of dialogue d1"),
    ("utt2turn", {"a-test-d1-3": "third"}, "turn of 'a-test-d1-3' is not a whole number: 'third'"),
    ("utt2dialogue", {"a-test-d2-1": "d1"}, "two utterances are turn 1 of dialogue d1"),
])  # fmt: skip
def test_turns(tmp_path, capsys, table: str, entries: dict, message: str) -> None:
    """Of any set, before anything is trained."""
    line = refused(capsys, make_sources(tmp_path, tables={table: entries}), tmp_path)
    assert message in line
    assert str(tmp_path / "data" / "test" / "utt2turn") in line


@pytest.mark.parametrize("table", ["utt2dialogue", "utt2turn"])
def test_no_dialogues_or_turns(tmp_path, capsys, table: str) -> None:
    sources = make_sources(tmp_path)
    (sources.data / table).unlink()
    line = refused(capsys, sources, tmp_path)
    assert f"{sources.data / table}: no such table" in line
    assert "Conversations want utt2dialogue and utt2turn" in line


def test_a_dialogue_divided_between_folds(tmp_path, capsys) -> None:
    folds = {"d1": "x", "d2": "y", "d3": "x", "d4": "y", "d5": "x"}
    data, feats = make_set(tmp_path, "all", folds=folds, tables={"utt2fold": {"a-all-d1-3": "y"}})
    line = said(capsys, "memory-train", "--data", data, "--feats", feats, "--exp", tmp_path / "exp", *FAST)
    assert "dialogue d1 is divided: 3 of 4 utterances are here" in line
    assert "Make folds and sets of whole dialogues" in line
    assert not (tmp_path / "exp").exists()


def test_features_of_another_upstream(tmp_path, capsys) -> None:
    sources = make_sources(tmp_path)
    meta = sources.test_feats[0] / "meta.yaml"
    write_yaml(meta, read_yaml(meta) | {"checkpoint": "4567", "upstream": "other"})
    line = refused(capsys, sources, tmp_path)
    assert "features of another upstream than the training set's: 'other'" in line
    assert str(meta) in line


@pytest.mark.parametrize(("others", "message"), [
    (["--encoder.tokens", "frames"], "frames are kept of chosen layers"),
    (["--encoder.tokens", "frames", "--encoder.layer", "0"], "frames_layer0.scp"),
    (["--encoder.tokens", "frames", "--encoder.layer", "2"], "the upstream has 2 layers"),
    (["--memory.depth", "4"], "memory.depth is 1 to 3: '4'"),
    (["--memory.chunk", "0"], "memory.chunk must be at least 1: '0'"),
    (["--memory.momentum", "1"], "memory.momentum is at least 0 and less than 1"),
    (["--memory.step", "0"], "memory.step is between 0 and 1"),
    (["--memory.step", "nan"], "memory.step"),
    (["--history.kind", "lstm"], "history.kind"),
    (["--history.kind", "gru", "--history.parameters", "3"], "of width 1 has"),
    (["--optimizer.truncation", "-1"], "optimizer.truncation must be at least 0"),
    (["--optimizer.lr", "0"], "optimizer.lr must be positive"),
    (["--memory.widht", "3"], "memory.width"),
    (["--task.soft_weight", "0.5"], "votes are not learnt from here"),
    (["--host", "gpt2"], "give either --feats, for an upstream, or --host"),
    (["--fold", "z"], "no such fold: 'z'"),
    (["--job", "3", "--nj", "2"], "--job counts from 1 to --nj"),
])  # fmt: skip
def test_options(sources, tmp_path, capsys, others: list[str], message: str) -> None:
    assert message in refused(capsys, sources, tmp_path, *others)


def test_a_host_without_audio_tokens(tmp_path, capsys) -> None:
    """A language model that hears nothing."""
    from ser.upstream import torchaudio_stub  # noqa: F401  (before transformers, which imports torchaudio)

    transformers = pytest.importorskip("transformers")
    sources, folder = make_sources(tmp_path), tmp_path / "text"
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16, n_positions=8)
    transformers.GPT2Model(config).save_pretrained(folder)
    words = ["memory-train", "--data", sources.data, "--test-data", f"[{sources.test_data[0]}]"]
    words += [
        "--validation-data",
        sources.validation_data,
        "--host",
        folder,
        "--exp",
        tmp_path / "exp",
        *FAST,
    ]
    line = said(capsys, *words)
    assert str(folder) in line
    assert "gpt2" in line


def with_features(feats: Path, changes: dict) -> None:
    """Replace pooled means."""
    means = dict(ArkReader(feats / "pooled_mean.scp").items()) | changes
    with ArkWriter(feats / "pooled_mean") as writer:
        for utterance, value in sorted(means.items()):
            writer.write(utterance, np.asarray(value))


def test_a_memory_that_breaks_is_named(tmp_path, capsys) -> None:
    """Features whose squares are too great for float32: dialogue and utterance, when it is heard."""
    sources = make_sources(tmp_path)
    with_features(sources.validation_feats, {"e-validation-v0-2": LOUD})
    line = refused(capsys, sources, tmp_path)
    assert "memory of dialogue v0 is not finite after its inner update: 'e-validation-v0-2'" in line
    assert "look at this utterance's audio and features" in line


def test_no_prediction_is_left_of_a_test_set_that_breaks(tmp_path, capsys) -> None:
    sources = make_sources(tmp_path)
    with_features(sources.test_feats[0], {"a-test-d1-3": LOUD})
    dispatch(words_of(sources, tmp_path / "exp"))
    line = said(capsys, "memory-predict", tmp_path / "exp")
    assert "memory of dialogue d1 is not finite after its inner update: 'a-test-d1-3'" in line
    assert not (tmp_path / "exp" / "seed0" / "fold0" / "test").exists()


def test_experiments_of_the_other_kind(experiment, tmp_path, capsys) -> None:
    train, test = (make_plain_set(tmp_path, name, ["a", "b"]) for name in ("train", "test"))
    plain = ["train", "--data", train[0], "--feats", train[1], "--exp", tmp_path / "plain"]
    plain += ["--test-data", f"[{test[0]}]", "--test-feats", f"[{test[1]}]", "--optimizer.epochs", 1]
    dispatch([str(word) for word in plain])
    line = said(capsys, "memory-predict", tmp_path / "plain")
    assert "not an experiment of ser memory-train" in line
    assert "Use 'ser predict'" in line
    line = said(capsys, "predict", experiment.path)
    assert "ser memory-predict" in line
    line = said(capsys, "memory-predict", tmp_path / "nothing")
    assert "no such experiment" in line


def test_ablations(experiment, tmp_path, capsys) -> None:
    exp, into = experiment.path, tmp_path / "into"
    assert "no_memory" in said(capsys, "memory-predict", exp, "--ablate", "no_memory", "--into", into)
    for words in (["--ablate", "reset"], ["--into", into]):
        assert "--ablate and --into go together" in said(capsys, "memory-predict", exp, *words)
    assert not into.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years\n")
    line = said(capsys, "memory-predict", exp, "--ablate", "reset", "--into", tmp_path / "mine")
    assert "something else than predictions with --ablate is there" in line
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "three years\n"
    line = said(capsys, "memory-predict", exp, "--ablate", "reset", "--into", exp)
    assert "something else than predictions" in line
    assert (exp / "seed0/fold0/model.safetensors").is_file()
    line = said(capsys, "memory-predict", exp, "--check-leaks", "--ablate", "reset", "--into", into)
    assert "--check-leaks predicts nothing" in line
    assert "has no words" in said(capsys, "memory-predict", exp, "--generate")


def test_an_ablated_experiment_holds_predictions_and_no_model(experiment, sources, tmp_path, capsys) -> None:
    into = tmp_path / "into"
    for name in ("no_reads", "shuffled"):  # the second in the first one's place
        dispatch(["memory-predict", str(experiment.path), "--ablate", name, "--into", str(into)])
        fold = into / "seed0" / "fold0"
        assert read_json(fold / "fit.json") == read_json(experiment.path / "seed0/fold0/fit.json")
        assert not list(into.rglob("*.safetensors"))
        found = ArkReader(fold / "test" / "pred.scp")
        assert sorted(found) == sorted(ArkReader(experiment.path / "seed0/fold0/test/pred.scp"))
        assert f"at test time: {name.replace('_', ' ')}" in read_yaml(into / "info.yaml")["options"]
        dispatch(["score", str(into), "--data", str(sources.test_data[0]), "--draws", "10"])
        assert (into / "scores.json").is_file()


def test_an_utterance_without_label_is_heard_and_not_scored(experiment, sources, tmp_path) -> None:
    """In the middle of dialogue d1: it is predicted, changes what comes after it, and no score knows it."""
    nameless = "a-test-d1-3"
    test = experiment.path / "seed0" / "fold0" / "test"
    assert nameless in ArkReader(test / "pred.scp")
    shutil.copytree(experiment.path, tmp_path / "exp")
    dispatch(["score", str(tmp_path / "exp"), "--data", str(sources.test_data[0]), "--draws", "10"])
    scores = read_json(tmp_path / "exp" / "scores.json")
    labelled = len((sources.test_data[0] / "utt2emo").read_text().splitlines())
    assert labelled == len(ArkReader(test / "pred.scp")) - 1
    told = dict(zip(scores["utterances"]["ids"], scores["utterances"]["reference"], strict=True))
    assert [utterance for utterance, label in told.items() if label is None] == [nameless]
    # What it wrote is read by the speaker's next turn; the other speaker's is left alone.
    saved = SavedConversation.load(experiment.path / MODEL, Predictor(experiment).stage.model)
    with torch.no_grad():
        saved.model.history.gate.fill_(1.0)
    said = Dialogue("d1", ("u", nameless, "v", "w"), ("a", "a", "b", "a"))
    listening = Remembered(encoder_config("utterance"))
    one = predict_dialogues(saved, [said], listening)
    other = predict_dialogues(saved, [replace(said, utterances=("u", "other", "v", "w"))], listening)
    assert [torch.equal(one[u][1], other[u][1]) for u in "uvw"] == [True, True, False]


def test_data_that_changed_since_training(experiment, sources, tmp_path, capsys) -> None:
    """The model is not of what is there now."""
    shutil.copytree(experiment.path, tmp_path / "exp")
    other = make_sources(tmp_path)  # the same corpus, where every utterance has its label
    config = read_yaml(tmp_path / "exp" / "config.yaml")
    config["sources"]["test_data"] = [str(other.test_data[0])]
    write_yaml(tmp_path / "exp" / "config.yaml", config)
    into = tmp_path / "into"
    dispatch(["memory-predict", str(experiment.path), "--ablate", "reset", "--into", str(into)])
    for words in ([], ["--ablate", "no_reads", "--into", into], ["--check-leaks"]):
        line = said(capsys, "memory-predict", tmp_path / "exp", *words)
        assert "trained on other data, features or options than there are now" in line
    assert (into / "seed0" / "fold0" / "test" / "pred.scp").is_file()  # earlier predictions stay


def test_a_checkpoint_that_was_cut_or_is_of_another_host(experiment, tmp_path, capsys) -> None:
    shutil.copytree(experiment.path, tmp_path / "exp")
    model = tmp_path / "exp" / "seed0" / "fold0" / "model.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[:100])
    assert "not a safetensors file" in said(capsys, "memory-predict", tmp_path / "exp")
    model.write_bytes(whole.replace(b"0123", b"4567"))
    line = said(capsys, "memory-predict", tmp_path / "exp")
    assert "trained on another host: toy, checkpoint 4567" in line


def test_leaks_make_the_call_fail(experiment, capsys, monkeypatch) -> None:
    dispatch(["memory-predict", str(experiment.path), "--check-leaks"])
    out = capsys.readouterr().out
    assert out.count(": passed, largest change 0 in") >= 2
    from ser.memory.history import History

    look = History.look

    def leaking(self, tokens, lengths, state, *rest):
        edited, seen = look(self, tokens, lengths, state, *rest)
        self.heard = getattr(self, "heard", 0.0) + tokens.mean()
        return edited + 0.01 * self.heard, seen

    monkeypatch.setattr(History, "look", leaking)
    with pytest.raises(SystemExit) as end, torch.no_grad():
        dispatch(["memory-predict", str(experiment.path), "--check-leaks"])
    assert end.value.code == 2
    assert "another dialogue before: FAILED" in capsys.readouterr().out


def test_one_training_dialogue_and_nobody_to_validate_on(tmp_path, capsys) -> None:
    folds = {"d1": "x", "d2": "y"}
    data, feats = make_set(tmp_path, "all", {"d1": "ab", "d2": "cd"}, folds)
    line = said(capsys, "memory-train", "--data", data, "--feats", feats, "--exp", tmp_path / "exp", *FAST)
    assert "validation wants two training dialogues at least" in line


def test_user_errors_are_user_errors(sources, tmp_path) -> None:
    """From Python too."""
    with pytest.raises(UserError, match="no such fold"):
        dispatch(words_of(sources, tmp_path / "exp", "--fold", "z"))
