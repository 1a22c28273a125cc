"""Other embeddings for test speakers: one fine-tuned model, several tables of ``ser speakers``."""

from pathlib import Path

import numpy as np
import pytest

from ser.cli import predict as verb
from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.data.arks import ArkReader
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.predict import predict_experiment
from ser.personalise.experiment import CalibrationConfig, calibrate_experiment
from ser.scoring.score import score_experiment
from tests.downstream.finetune.experiments import quick
from tests.downstream.tones import write_tones


@pytest.fixture(scope="module")
def tuned(pretrained, tmp_path_factory):
    """Fine-tuned on speakers 0 and 1, validated on 2; x of the test set is new to the encoder, 2 is not."""
    root = tmp_path_factory.mktemp("reassigned")
    sets = [("train", "01"), ("dev", "2"), ("test", "x2")]
    data = [write_tones(root, name, speakers, 6, prefix="s", folds=False) for name, speakers in sets]
    (root / "usual").write_text("sx s0:1\n")
    sources = AudioSources(data[0], f"papt:{pretrained('last')}", data[1], data[2:], speakers=root / "usual")
    finetune_experiment(quick(1), sources, Experiment(root / "exp"))
    predict_experiment(Experiment(root / "exp"), ["train", "validation", "test"])
    return root


def vectors(folder: Path, part: str = "test") -> dict[str, np.ndarray]:
    return dict(ArkReader(folder / "seed0" / "fold0" / part / "emb.scp").items())


def reassigned(root: Path, text: str, into: Path) -> Path:
    table = into.with_suffix(".table")
    table.write_text(text)
    predict_experiment(Experiment(root / "exp"), ["train", "validation", "test"], table, into)
    return into


def test_the_same_table_gives_the_same_predictions(tuned, tmp_path):
    again = reassigned(tuned, "sx s0:1\n", tmp_path / "same")
    for part in ("train", "validation", "test"):
        for file in ("pred.ark", "emb.ark"):
            place = Path("seed0", "fold0", part, file)
            assert (again / place).read_bytes() == (tuned / "exp" / place).read_bytes()


def test_another_table_moves_its_speaker_by_the_embeddings_difference_and_nobody_else(tuned, tmp_path):
    before, zero = vectors(tuned / "exp"), vectors(reassigned(tuned, "sx -\n", tmp_path / "zero"))
    other = vectors(reassigned(tuned, "sx s1:1\n", tmp_path / "other"))
    half = vectors(reassigned(tuned, "sx s0:0.5 s1:0.5\n", tmp_path / "half"))
    moved = [u for u in before if not np.array_equal(before[u], zero[u])]
    assert moved == [u for u in before if u.startswith("sx")] != []
    steps = np.stack([before[u] - zero[u] for u in moved])
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-5)
    for utterance in moved:  # e enters after the last layer, so vectors are affine in it
        middle = (before[utterance] + other[utterance]) / 2
        np.testing.assert_allclose(half[utterance], middle, rtol=1e-4, atol=1e-5)


def test_it_is_an_experiment_of_its_own_that_can_be_calibrated_and_scored(tuned, tmp_path):
    folder = reassigned(tuned, "sx s1:1\n", tmp_path / "other")
    info = read_yaml(folder / "info.yaml")
    assert info["options"] == [*read_yaml(tuned / "exp" / "info.yaml")["options"], "speakers of other.table"]
    calibrate_experiment(Experiment(folder), Experiment(tmp_path / "pldc"), CalibrationConfig(k=1))
    for each in (folder, tmp_path / "pldc"):
        score_experiment(each, tuned / "data" / "test", draws=20)
        assert (each / "scores.json").is_file()
    assert reassigned(tuned, "sx -\n", folder) == folder  # written anew
    assert read_yaml(folder / "speakers.yaml")["source"] == str(tuned / "exp")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s2 s0:1\nsx s0:1\n", "another embedding of a speaker whom the models have learnt from: 's2'"),
        ("sy s0:1\n", "no embedding of this speaker: 'sx'"),
        ("sx s7:1\n", "the encoder has no speaker 's7'"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused_and_nothing_is_written(tuned, tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        reassigned(tuned, text, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mistakes_are_named(tuned, tmp_path):
    with pytest.raises(UserError, match="--speakers and --into go together"):
        verb.main([str(tuned / "exp"), "--speakers", str(tuned / "usual")])
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="something else than predictions"):
        reassigned(tuned, "sx s0:1\n", tmp_path / "mine")
    with pytest.raises(UserError, match="--into is for the experiment's own data"):
        verb.main([str(tuned / "exp"), "a.wav", "--into", str(tmp_path / "x")])
