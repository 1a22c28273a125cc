"""Speakers without an embedding: who is near whom, and what is made of it."""

import numpy as np
import pytest
import torch

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.data.table import read_table
from ser.papt.speakers import mixtures_for, speaker_vectors
from ser.upstream import load_upstream
from tests.papt.corpus import write_data

TRAINED = {"a": np.array([1.0, 0, 0]), "b": np.array([0, 1.0, 0]), "c": np.array([0.9, 0.1, 0.0])}
UNSEEN = {"x": np.array([2.0, 0.1, 0]), "y": np.array([0.1, 3.0, 0.1])}


@pytest.mark.parametrize(
    ("rule", "k", "of_x", "of_y"),
    [
        ("nearest", 5, {"a": 1.0}, {"b": 1.0}),
        ("knn", 2, {"a": 0.5, "c": 0.5}, {"b": 0.5, "c": 0.5}),
        ("mean", 5, dict.fromkeys("abc", 1 / 3), dict.fromkeys("abc", 1 / 3)),
        ("zero", 5, {}, {}),
    ],
)
def test_rules(rule, k, of_x, of_y):
    found = mixtures_for(["b", "x", "y"], TRAINED, UNSEEN, rule, k)
    assert found == {"b": {"b": 1.0}, "x": of_x, "y": of_y}


def test_length_of_a_vector_does_not_matter_and_k_has_bounds():
    longer = {name: 7 * vector for name, vector in UNSEEN.items()}
    assert mixtures_for("xy", TRAINED, longer, "knn", 2) == mixtures_for("xy", TRAINED, UNSEEN, "knn", 2)
    for k in (0, 4):
        with pytest.raises(UserError, match="3 training speakers"):
            mixtures_for("xy", TRAINED, UNSEEN, "knn", k)


def test_stored_vectors_are_means_of_means_of_the_encoder_alone(pretrained, task):
    folder = pretrained() / "encoder"
    upstream, data = load_upstream(f"papt:{folder}"), DataDir.load(task.train)
    reader, means = AudioReader(data), {}
    with torch.inference_mode():
        for utterance in data.utterances:
            wave = torch.from_numpy(reader.read(utterance))[None]
            states = upstream(wave, torch.tensor([wave.shape[1]]))
            means[utterance] = states.layers[-1][0].mean(0).numpy()
    stored = ArkReader(folder / "spk_vectors.scp")
    for speaker, vector in speaker_vectors(means, data.utt2spk).items():
        np.testing.assert_allclose(stored[speaker], vector, atol=1e-5)


def test_a_speaker_under_another_name_finds_himself(pretrained, task, tmp_path):
    """The training utterances again, their speakers renamed: each one's nearest is himself."""
    data = DataDir.load(task.train)
    renamed = {name: f"n{speaker}" for name, speaker in data.utt2spk.items()}
    tables = {"utt2spk": {f"n{name}": speaker for name, speaker in renamed.items()}}
    wav_scp = {f"n{name}": entry for name, entry in data.wav_scp.items()}
    DataDir(tmp_path, data.labels, tables, {"wav.scp": wav_scp}).write(tmp_path / "data")
    out, encoder = tmp_path / "spk2papt", f"papt:{pretrained()}"
    command = ["speakers", str(tmp_path / "data"), "--upstream", encoder, "--out", str(out)]
    dispatch([*command, "--unseen", "nearest"])
    assert read_table(out) == {f"ns{index}": f"s{index}:1" for index in range(4)}
    dispatch([*command, "--unseen", "zero"])
    assert set(read_table(out).values()) == {"-"}
    dispatch(["speakers", str(task.train), "--upstream", encoder, "--out", str(out), "--unseen", "zero"])
    assert read_table(out) == {f"s{index}": f"s{index}:1" for index in range(4)}

    features = {}
    for name, folder, more in (
        ("own", task.train, []),
        ("new", tmp_path / "data", ["--speakers", str(out)]),
    ):
        if name == "new":
            dispatch([*command, "--unseen", "nearest"])
        dispatch(["extract", str(folder), str(tmp_path / name), "--upstream", encoder, *more])
        features[name] = ArkReader(tmp_path / name / "pooled_mean.scp")
    for utterance in data.utterances:
        np.testing.assert_allclose(features["own"][utterance], features["new"][f"n{utterance}"], atol=1e-6)


def test_extraction_depends_on_who_speaks(pretrained, task, tmp_path):
    data, encoder = DataDir.load(task.validation), f"papt:{pretrained()}"
    command = ["extract", str(data.path), str(tmp_path / "f"), "--upstream", encoder]
    with pytest.raises(UserError, match=r"no embedding of this speaker: 'v0'.*ser speakers"):
        dispatch(command)
    found = []
    for text in ("v0 s0:1\nv1 s1:1\n", "v0 s1:1\nv1 s1:1\n", "v0 -\nv1 -\n"):
        (tmp_path / "spk2papt").write_text(text)
        dispatch([*command, "--speakers", str(tmp_path / "spk2papt")])
        found.append({name: x[-1] for name, x in ArkReader(tmp_path / "f" / "pooled_mean.scp").items()})
    of_v0 = [name for name in data.utterances if data.utt2spk[name] == "v0"]
    of_v1 = [name for name in data.utterances if data.utt2spk[name] == "v1"]
    assert not any(np.allclose(found[0][name], found[1][name], atol=1e-3) for name in of_v0)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in of_v1)
    vectors = load_upstream(encoder).vectors_of(["s0", "s1"]).numpy()
    for names, row in ((of_v0, 0), (of_v1, 1)):
        for name in names:
            np.testing.assert_allclose(found[0][name] - found[2][name], vectors[row], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v0 s0\nv1 s1:1\n", r"spk2papt:1: the mixture of 'v0' is not"),
        ("v0 s0:1\nv1 s1:x\n", r"spk2papt:2: the mixture of 'v1' is not"),
        ("v0 s9:1\nv1 s1:1\n", r"spk2papt:1: the encoder has no speaker 's9'"),
        ("v0 s0:1\n", "no embedding of this speaker: 'v1'"),
    ],
)
def test_wrong_tables(pretrained, task, tmp_path, text, message):
    (tmp_path / "spk2papt").write_text(text)
    with pytest.raises(UserError, match=message):
        dispatch(
            ["extract", str(task.validation), str(tmp_path / "f"), "--upstream", f"papt:{pretrained()}",
             "--speakers", str(tmp_path / "spk2papt")]
        )  # fmt: skip
    assert not (tmp_path / "f").exists()


def test_who_has_no_speakers(pretrained, task, tmp_path):
    tapt = f"papt:{pretrained('none')}"
    table = tmp_path / "spk2papt"
    table.write_text("v0 s0:1\n")
    for upstream in (tapt, "mfcc"):
        with pytest.raises(UserError, match="this upstream has no speakers"):
            dispatch(
                ["speakers", str(task.train), "--upstream", upstream, "--unseen", "mean", "--out", str(table)]
            )
        with pytest.raises(UserError, match=r"is not personalised.*Leave --speakers out"):
            dispatch(
                ["extract", str(task.train), str(tmp_path / "f"), "--upstream", upstream, "--speakers",
                 str(table)]
            )  # fmt: skip
    dispatch(["extract", str(task.validation), str(tmp_path / "f"), "--upstream", tapt])


def test_unknown_speakers_among_new_ones(pretrained, tmp_path):
    data = write_data(tmp_path / "new", 4, 2, prefix="z")
    out = tmp_path / "spk2papt"
    command = ["speakers", str(data.path), "--upstream", f"papt:{pretrained()}", "--out", str(out)]
    dispatch([*command, "--unseen", "knn", "--k", "3"])
    for parts in read_table(out).values():
        names, shares = zip(*(part.split(":") for part in parts.split()), strict=True)
        assert len(set(names)) == 3 and sum(map(float, shares)) == pytest.approx(1)
    with pytest.raises(UserError, match="4 training speakers: 'k = 9'"):
        dispatch([*command, "--unseen", "knn", "--k", "9"])
