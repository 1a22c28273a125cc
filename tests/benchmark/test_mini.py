"""The example on a small corpus, from nothing to the tables: the real recipe, the real verbs."""

import csv
import shutil
import subprocess
import sys

import pytest
import yaml

from ser.scoring.schema import Scores


def copied_recipe(root, home):
    """egs/mini/ser1 without what it has made, in a checkout whose engine is a link."""
    for name in ("egs/TEMPLATE", "utils"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(root / name)
    recipe = home / "egs" / "mini" / "ser1"
    made = shutil.ignore_patterns(
        "data", "feats", "exp", "log", ".marks", "RESULTS.md", "results.*", "*.html"
    )
    shutil.copytree(root / "egs" / "mini" / "ser1", recipe, symlinks=True, ignore=made)
    return recipe


@pytest.mark.slow
def test_from_nothing_to_tables_and_again(root, tmp_path):
    pytest.importorskip("espeakng_loader")
    recipe = copied_recipe(root, tmp_path)
    file = tmp_path / "egs" / "bench" / "conf" / "mini.yaml"
    file.parent.mkdir(parents=True)
    content = yaml.safe_load((root / "egs" / "benchmark" / "conf" / "mini.yaml").read_text())
    options = {
        "prepare-options": "--speakers 16 --utterances 128 --dialogues 0",
        "train-options": "--optimizer.epochs 2",
        "score-options": "--draws 50",
    }
    content["recipes"] = [{**entry, "options": options} for entry in content["recipes"]]
    file.write_text(yaml.safe_dump(content))

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "ser.cli", "benchmark", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=root)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "done 4, skipped 0, failed 0" in run("run", str(file))
    assert not (recipe / "RESULTS.md").exists()
    out = tmp_path / "egs" / "bench" / "results" / "mini"
    with open(out / "grid.csv") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "UAR"]
    assert {row["experiment"] for row in rows} == {"fbank_emotion", "mfcc_emotion"}
    for row in rows:
        scores = Scores.read(recipe / "exp" / row["experiment"] / "scores.json")
        value = scores.classification.metrics["UAR"].value
        assert float(row["value"]) == pytest.approx(value, abs=1e-5) and scores.seeds == [0, 1]
    assert "done 0, skipped 4, failed 0" in run("run", str(file))
    again = run("table", str(file), "--only", "*_attributes", "--out", str(tmp_path / "again"))
    assert "Arousal: O-CCC" in again and "UAR" not in (tmp_path / "again" / "grid.tex").read_text()
