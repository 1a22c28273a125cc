"""From weights and a data directory to a row of a table, as a user does it."""

import numpy as np
import pytest
import torch

from ser.cli import benchmark, peer, score
from ser.core.files import read_yaml, write_yaml
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.peers.config import shipped
from tests.peers.audio import make_audio
from tests.scoring.builder import System, make_experiment

ATTRIBUTES = {"valence": (-1.0, 1.0), "arousal": (1.0, 5.0)}


def predictions(path, fold, name="test"):
    folder = path / "seed0" / f"fold{fold}" / name
    reader = ArkReader(folder / "pred.scp")
    return read_yaml(folder / "columns.yaml"), dict(zip(reader, reader.load(list(reader)), strict=True))


@pytest.fixture
def corpus(tmp_path):
    return make_audio(tmp_path / "data" / "all", speakers=3, each=7)


def test_a_row_like_any_other(corpus, peer_folder, peer_of, tmp_path, capsys):
    name, exp = "emotion2vec-plus-base", tmp_path / "exp" / "peer"
    peer.main([name, "--model", str(peer_folder(name)), "--data", str(corpus.path), "--exp", str(exp),
               "--device", "cpu"])  # fmt: skip
    linear = make_experiment(tmp_path / "exp" / "linear", corpus, System("linear"))
    # As ser train words it (below), where the builder has words of its own.
    words = {"protocol": "leave-one-speaker-out, 3 folds"}
    write_yaml(linear / "info.yaml", read_yaml(linear / "info.yaml") | words)
    for each in (exp, linear):
        score.main([str(each), "--data", str(corpus.path), "--draws", "20"])
    assert not (exp / "README.md").exists()  # the model card is its publisher's
    capsys.readouterr()
    benchmark.main(["table", str(exp), str(linear), "--out", str(tmp_path)])
    rows = [line for line in (tmp_path / "RESULTS.md").read_text().splitlines() if line.startswith("| ")]
    header, theirs, ours = (
        next(place for place, line in enumerate(rows) if words in line)
        for words in ("| UAR |", "emotion2vec+ base; not trained here", "| linear |")
    )
    assert header < min(theirs, ours) and abs(theirs - ours) == 1  # in one table
    assert "; may have heard this corpus in training; never says boredom |" in rows[theirs]
    info = read_yaml(exp / "info.yaml")
    assert info["upstream"]["parameters"] == peer_of(name).num_parameters
    assert len(info["upstream"]["checkpoint"]) == 64
    assert (info["peer"]["licence"], info["peer"]["window"]) == ("FunASR model licence", 30.0)
    assert info["peer"]["longer_than_window"] == {"test": 0}
    assert info["peer"]["mapping"]["of the data only"] == ["boredom"]
    assert info["peer"]["mapping"]["classes"]["fear"] == {"peer": ["fearful"], "data": "fear"}

    # One utterance by hand: resampled, alone, mapped by name.
    utterance = corpus.utterances[1]  # 8 kHz, two channels
    wave = torch.from_numpy(AudioReader(corpus).read(utterance))[None]
    with torch.inference_mode():
        own = dict(
            zip(
                peer_of(name).classes,
                peer_of(name)(wave, torch.tensor([wave.shape[1]]))[0].tolist(),
                strict=True,
            )
        )
    columns, found = predictions(exp, "03")
    names = {"anger": "angry", "disgust": "disgusted", "fear": "fearful", "happiness": "happy",
             "neutral": "neutral", "sadness": "sad"}  # fmt: skip
    assert columns == {"classes": corpus.labels.classes, "attributes": []}
    total = sum(own[theirs] for theirs in names.values())
    expected = [own[names[one]] / total if one in names else 0 for one in corpus.labels.classes]
    np.testing.assert_allclose(found[utterance], expected, rtol=1e-4, atol=1e-6)
    said = ArkReader(exp / "outputs" / "test.scp").load([utterance])[0]
    np.testing.assert_allclose(said, list(own.values()), rtol=1e-4, atol=1e-6)


def test_attributes_of_test_sets_in_the_units_of_the_corpus(peer_folder, peer_of, tmp_path):
    common = {"classes": [], "attributes": ATTRIBUTES, "folds": False, "rate": 16000}
    train = make_audio(tmp_path / "data" / "train", speakers=2, each=2, **common)
    sets = [make_audio(tmp_path / "data" / name, speakers=2, each=2, **common) for name in ("test1", "test2")]
    exp, name = tmp_path / "exp", "audeering-dim"
    words = [name, "--model", str(peer_folder(name)), "--exp", str(exp), "--device", "cpu", "--data"]
    words += [str(data.path) for data in sets]
    peer.main(words)
    assert read_yaml(exp / "info.yaml")["protocol"] == "not trained on this corpus"
    peer.main([*words, "--train-data", str(train.path)])  # written anew
    info = read_yaml(exp / "info.yaml")
    assert info["protocol"] == "the corpus's own sets, speakers shared between train and test"
    assert info["ranges"] == {"arousal": {"min": 1.0, "max": 5.0}, "valence": {"min": -1.0, "max": 1.0}}
    wave = torch.from_numpy(AudioReader(sets[1]).read(sets[1].utterances[0]))[None]
    with torch.inference_mode():
        arousal, _, valence = peer_of(name)(wave, torch.tensor([wave.shape[1]]))[0].tolist()
    columns, found = predictions(exp, "0", "test2")
    assert columns == {"classes": [], "attributes": ["arousal", "valence"]}
    np.testing.assert_allclose(found[sets[1].utterances[0]], [1 + 4 * arousal, 2 * valence - 1], rtol=1e-4)
    score.main([str(exp), "--data", str(sets[0].path), "--draws", "10"])
    assert (exp / "scores_test1.json").is_file()


def test_every_shipped_configuration_is_read_and_names_licence_and_source():
    from ser.peers.config import read_config

    assert len(shipped()) == 9
    for name in shipped():
        config = read_config(name)
        assert config.licence and config.source.startswith("https://huggingface.co/" + config.model)
        assert bool(config.ranges) == (name.startswith("audeering") or name.split("-")[1] in (
            "attributes", "arousal", "dominance", "valence"))  # fmt: skip


def test_protocol_words_are_those_of_training(corpus):
    """The row stands in the table of rows that ``ser train`` makes."""
    from ser.downstream.config import ValidationConfig
    from ser.downstream.protocol import cross_validation, describe
    from ser.peers.experiment import divide

    data = DataDir.load(corpus.path)
    folds, protocol = divide({"test": data}, None)
    assert (
        protocol
        == "leave-one-speaker-out, 3 folds"
        == describe(cross_validation(data), data.utt2spk, ValidationConfig())
    )
    assert [fold.name for fold in folds] == ["03", "04", "05"]
