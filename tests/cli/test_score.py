"""``ser score`` from the command line."""

import subprocess
import sys

import pytest

from ser.cli import score
from ser.core.errors import UserError
from tests.scoring.builder import System, make_data, make_experiment


@pytest.fixture
def scored(tmp_path):
    data = make_data(tmp_path / "data" / "all", speakers=3, each=7)
    return make_experiment(tmp_path / "exp" / "tag", data, System("linear")), data.path


def test_prints_the_summary_and_writes_the_file(scored, capsys):
    experiment, data = scored
    score.main([str(experiment), "--data", str(data), "--draws", "50", "--seed", "3"])
    out = capsys.readouterr().out
    assert "tag on emodb 1.3" in out and "50 draws, seed 3" in out and "recall: anger" in out
    assert out.splitlines()[-2:] == [str(experiment / "scores.json"), str(experiment / "README.md")]
    assert (experiment / "scores.json").is_file()


def test_mistakes_end_with_one_line_and_code_2(scored, tmp_path):
    experiment, _ = scored
    command = [sys.executable, "-m", "ser.cli", "score", str(experiment), "--data", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("ser: error:") and "none" in done.stderr


def test_draws_must_be_positive_and_options_known(scored):
    experiment, data = scored
    with pytest.raises(UserError, match="at least 1"):
        score.main([str(experiment), "--data", str(data), "--draws", "0"])
    with pytest.raises(UserError, match="draws"):
        score.main([str(experiment), "--data", str(data), "--drwas", "5"])


def test_synthetic_corpora_are_called_synthetic(tmp_path, capsys):
    data = make_data(tmp_path / "test", speakers=2, each=7, corpus="mini", folds=False)
    experiment = make_experiment(tmp_path / "exp", data, System("linear"))
    score.main([str(experiment), "--data", str(data.path), "--draws", "10"])
    assert "synthetic speech" in capsys.readouterr().out
