"""``ser benchmark table`` from the command line."""

import pytest

from ser.cli import benchmark
from ser.core.errors import UserError
from ser.scoring.score import score_experiment
from tests.scoring.builder import System, make_data, make_experiment


@pytest.fixture
def experiment(tmp_path):
    data = make_data(tmp_path / "data" / "all", speakers=3, each=7)
    folder = make_experiment(tmp_path / "exp" / "tag", data, System("linear"))
    score_experiment(folder, data.path, draws=20)
    return folder


def test_prints_the_table_and_writes_three_files(experiment, tmp_path, capsys):
    out = tmp_path / "results"
    benchmark.main(["table", str(experiment), "--out", str(out), "--title", "Mine"])
    printed = capsys.readouterr().out
    assert "Emotion, 7 classes" in printed and printed.splitlines()[-1] == str(out / "report.html")
    text = (out / "RESULTS.md").read_text()
    assert text.startswith("# Mine\n")
    assert f"    ser benchmark table {experiment} --out {out} --title Mine\n" in text


def test_a_recipe_names_its_own_command(experiment, tmp_path):
    benchmark.main(["table", str(experiment), "--out", str(tmp_path), "--command", "./run.sh"])
    assert "    ./run.sh\n" in (tmp_path / "RESULTS.md").read_text()


def test_mistakes_write_nothing(experiment, tmp_path):
    (experiment / "scores.json").write_text("{}")
    with pytest.raises(UserError, match="another release"):
        benchmark.main(["table", str(experiment), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"no such kind.*runs"):
        benchmark.main(["runs"])
    with pytest.raises(UserError):
        benchmark.main(["table", "--out", str(tmp_path)])
