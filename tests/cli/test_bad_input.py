"""Personalisation on input that cannot carry it, from the command line: one line, exit code 2, nothing left.

Each is tested where it is found as well (tests/papt, tests/personalise, tests/downstream); here is what the
user sees.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from ser.cli.main import dispatch
from ser.core.files import read_json
from ser.data.arks import ArkReader, ArkWriter
from tests.cli.refused import said
from tests.downstream.corpus import make_set
from tests.papt.conftest import pretrained, task  # noqa: F401  (fixtures)
from tests.papt.corpus import write_data, write_units

TRAIN = ["--task.emotion", "false", "--task.attributes", "[arousal]", "--optimizer.epochs", "2"]


def papt(task, out, **others) -> list:  # noqa: F811
    options = {"upstream": "scratch:tiny", "data": task.train, "units": task.units, "out": out} | others
    return ["papt", *(word for name, value in options.items() for word in (f"--{name}", value))]


def test_units_of_another_frame_rate(task, tmp_path, capsys):  # noqa: F811
    data = write_data(tmp_path / "train", 6, 2)
    units = write_units(tmp_path / "units" / "train", data, rate=75.0)
    line = said(capsys, *papt(task, tmp_path / "out", data=data.path, units=units))
    assert "units of 75 Hz for an encoder of 50 Hz" in line
    assert str(tmp_path / "units") in line
    assert not (tmp_path / "out").exists()


def test_speakers_missing_from_the_embedding(pretrained, tmp_path, capsys):  # noqa: F811
    stranger = write_data(tmp_path / "data" / "new", 4, 2, prefix="x")
    folder = pretrained("last")
    line = said(capsys, "extract", stranger.path, tmp_path / "feats", "--upstream", f"papt:{folder}")
    assert "has no embedding of this speaker: 'x" in line
    assert "ser speakers" in line


def test_a_checkpoint_of_another_architecture(pretrained, task, tmp_path, capsys):  # noqa: F811
    shutil.copytree(pretrained("last"), tmp_path / "enc")
    weights = tmp_path / "enc" / "encoder" / "model.safetensors"
    state = load_file(weights)
    name = next(key for key in state if key.endswith("q_proj.weight"))
    save_file(state | {name: state[name][:, :-1].contiguous()}, weights)
    data = write_data(tmp_path / "data" / "new", 4, 2)
    line = said(capsys, "extract", data.path, tmp_path / "feats", "--upstream", f"papt:{tmp_path / 'enc'}")
    assert "weights of another architecture" in line
    assert "q_proj" in line


@pytest.mark.parametrize("name", ["train", "only"])
def test_one_speaker_and_nobody_to_validate_on(tmp_path, capsys, name):
    data, feats = make_set(tmp_path, name, ["a"], folds=name == "only")
    test = make_set(tmp_path, "test", ["b"])
    words = ["train", *TRAIN, "--data", data, "--feats", feats, "--exp", tmp_path / "exp"]
    words += [] if name == "only" else ["--test-data", f"[{test[0]}]", "--test-feats", f"[{test[1]}]"]
    line = said(capsys, *words)
    assert ("at least two folds: 'a'" if name == "only" else "wants at least 2 training speakers") in line
    assert not list((tmp_path / "exp").glob("seed*/fold*/fit.json"))


@pytest.fixture
def experiment(tmp_path):
    """Trained on one speaker, validated on another; test speaker c has one utterance, d many, e many."""
    sets = {"train": ["a"], "validation": ["b"], "test": ["c", "d", "e"]}
    made = {name: make_set(tmp_path, name, speakers) for name, speakers in sets.items()}
    data, feats = made["test"]
    keep = {line.split()[0] for line in (data / "utt2spk").read_text().splitlines()}
    keep -= {utterance for utterance in sorted(keep) if utterance.startswith("c-")} - {"c-test000"}
    for table in [*data.glob("utt2*"), data / "wav.scp", *feats.glob("*.scp")]:
        table.write_text("".join(f"{x}\n" for x in table.read_text().splitlines() if x.split()[0] in keep))
    speakers: dict[str, list[str]] = {}
    for utterance in sorted(keep):
        speakers.setdefault(utterance[0], []).append(utterance)
    (data / "spk2utt").write_text("".join(f"{s} {' '.join(own)}\n" for s, own in speakers.items()))
    exp = tmp_path / "exp"
    words = ["train", *TRAIN, "--data", made["train"][0], "--feats", made["train"][1], "--exp", exp]
    words += ["--validation-data", made["validation"][0], "--validation-feats", made["validation"][1]]
    words += ["--test-data", f"[{data}]", "--test-feats", f"[{feats}]"]
    dispatch([str(word) for word in words])
    dispatch(["predict", str(exp), "--parts", "[train,validation,test]"])
    return exp


def predictions(exp: Path) -> dict[str, np.ndarray]:
    return dict(ArkReader(exp / "seed0" / "fold0" / "test" / "pred.scp").items())


def test_one_training_speaker_lends_to_all_and_one_utterance_keeps_its_spread(experiment, tmp_path, caplog):
    """The spread of one utterance is undefined: sigma leaves it, mu moves it, and both are said."""
    for shift in ("sigma", "mu", "both"):
        dispatch(["calibrate", str(experiment), "--out", str(tmp_path / shift), "--shift", shift])
        assert read_json(tmp_path / shift / "seed0" / "fold0" / "fit.json")["calibration"]["k"] == 1
    before, mu, both = predictions(experiment), predictions(tmp_path / "mu"), predictions(tmp_path / "both")
    np.testing.assert_array_equal(predictions(tmp_path / "sigma")["c-test000"], before["c-test000"])
    assert not np.array_equal(mu["c-test000"], before["c-test000"])
    np.testing.assert_array_equal(both["c-test000"], mu["c-test000"])
    assert not np.array_equal(predictions(tmp_path / "sigma")["d-test000"], before["d-test000"])
    assert all(np.isfinite(value).all() for value in both.values())
    assert (
        "1 of 3 speakers keep their spread, since that of their predictions is 0 or undefined: c"
        in caplog.text
    )
    assert caplog.text.count("keep their spread") == 2  # mu has no spread to keep


def test_constant_predictions_are_calibrated_scored_and_said(experiment, tmp_path, caplog):
    data = tmp_path / "data" / "test"
    constant = {u: np.full_like(v, 4.0) for u, v in predictions(experiment).items()}
    with ArkWriter(experiment / "seed0" / "fold0" / "test" / "pred") as writer:
        for utterance, value in constant.items():
            writer.write(utterance, value)
    dispatch(["calibrate", str(experiment), "--out", str(tmp_path / "sigma"), "--shift", "sigma", "--k", "1"])
    found = predictions(tmp_path / "sigma")
    for utterance, value in constant.items():
        np.testing.assert_array_equal(found[utterance], value)
    assert "3 of 3 speakers keep their spread" in caplog.text
    dispatch(["score", str(tmp_path / "sigma"), "--data", str(data), "--draws", "20"])
    metrics = read_json(tmp_path / "sigma" / "scores.json")["attributes"]["arousal"]["metrics"]
    assert metrics["O-CCC"]["value"] == 0
    assert metrics["PCC"]["value"] is None
