"""egs/cross_corpus on two small trained recipes: every cell, resumed, with what is missing named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ser.cli.main import dispatch
from ser.core.files import read_yaml, write_yaml
from tests.downstream.corpus import make_set

ROOT = Path(__file__).resolve().parents[2]


def train_recipe(folder: Path, corpus: str, fixed: bool) -> Path:
    """egs/<corpus>/ser1 with data/, feats/toy/ and a scored exp/toy_emotion, its paths relative to it."""
    sets = {"train": "abcd", "validation": "ef", "test1": "gh", "test2": "ij"} if fixed else {"all": "abc"}
    for name, speakers in sets.items():
        data, _ = make_set(folder, name, list(speakers), utterances=6, folds=not fixed)
        write_yaml(data / "labels.yaml", read_yaml(data / "labels.yaml") | {"corpus": corpus})
    first = next(iter(sets))
    words = ["--data", f"data/{first}", "--feats", f"feats/toy/{first}", "--optimizer.epochs", "2"]
    if fixed:
        words += ["--validation-data", "data/validation", "--validation-feats", "feats/toy/validation"]
        words += ["--test-data", "[data/test1,data/test2]"]
        words += ["--test-feats", "[feats/toy/test1,feats/toy/test2]"]
    here = os.getcwd()
    os.chdir(folder)
    try:
        dispatch(["train", *words, "--exp", "exp/toy_emotion"])
        dispatch(["predict", "exp/toy_emotion"])
        for name in ("test1", "test2") if fixed else ("all",):
            dispatch(["score", "exp/toy_emotion", "--data", f"data/{name}", "--draws", "20"])
    finally:
        os.chdir(here)
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """A copy of the recipe beside two trained ones."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in ("egs/TEMPLATE", "egs/cross_corpus", "utils", "ser/core", "ser/scoring", "tools"):
        ignore = shutil.ignore_patterns("__pycache__", "log", ".marks", "RESULTS.md", "results.csv")
        shutil.copytree(ROOT / part, copy / part, symlinks=True, ignore=ignore)
    shutil.copy(ROOT / "ser" / "__init__.py", copy / "ser")
    train_recipe(copy / "egs" / "one" / "ser1", "one", fixed=False)
    train_recipe(copy / "egs" / "two" / "ser1", "two", fixed=True)
    return copy / "egs" / "cross_corpus" / "ser1"


def run(recipe: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SER_INSTALL": "false", "SER_VENV": sys.prefix, "PYTHONPATH": str(ROOT)}
    environment.pop("SER_CALLER_DIR", None)
    command = [recipe / "run.sh", "--upstream", "toy", "--score-options", "--draws 20", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


BOTH = ("--recipes", "../../one/ser1 ../../two/ser1")


def test_every_cell_and_again(recipe: Path) -> None:
    done = run(recipe, *BOTH)
    assert done.returncode == 0, done.stderr
    text = (recipe / "RESULTS.md").read_text()
    table = [line for line in text[text.index("## UAR") :].splitlines() if line.startswith("|")]
    assert table[0] == "| trained on, tested on: | one | two test1 | two test2 |"
    assert [row.count("**within**") for row in table[2:]] == [1, 2]
    assert all("3 classes" in cell for row in table[2:] for cell in row.split("|")[2:-1])
    assert './run.sh --upstream toy --train-config emotion --recipes "../../one/ser1 ../../two/ser1"' in text
    before = (recipe / "RESULTS.md").stat().st_mtime_ns
    again = run(recipe, *BOTH)
    assert again.stdout == "stage 1 score: up to date\nstage 2 matrix: up to date\n"
    assert (recipe / "RESULTS.md").stat().st_mtime_ns == before
    # Another model: its cells are done again, the others are not.
    for folder in (recipe / "../../one/ser1/exp/toy_emotion/seed0").glob("fold*"):
        shutil.copy(folder / "model.safetensors", folder / "kept")
        with (folder / "model.safetensors").open("ab") as stream:
            stream.write(b"\0")
    dry = run(recipe, *BOTH, "--dry-run").stdout
    assert "one-two-test1: ../../one/ser1/exp/toy_emotion/seed0/folda/model.safetensors changed" in dry
    assert "two-one-all: up to date" in dry
    for folder in (recipe / "../../one/ser1/exp/toy_emotion/seed0").glob("fold*"):
        (folder / "kept").rename(folder / "model.safetensors")
    assert "up to date" in run(recipe, *BOTH).stdout


def test_what_is_missing_is_named_with_its_command(recipe: Path) -> None:
    (recipe / "../../three/ser1").mkdir(parents=True)
    done = run(recipe, "--recipes", "../../one/ser1 ../../three/ser1")
    assert done.returncode == 2 and done.stdout == ""
    assert "../../three/ser1/run.sh --upstreams 'toy' --train-configs conf/emotion.yaml" in done.stderr
    assert done.stderr.endswith("1 of 2 recipes have no scored experiment toy_emotion.\n")
    done = run(recipe, *BOTH, "--train-config", "naturalness")
    assert "2 of 2 recipes have no scored experiment toy_naturalness" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recipes", "../../one/ser1"), "--recipes wants at least two folders"),
        (("--recipes", "../../one/ser1 nowhere"), "--recipes: there is no folder 'nowhere'"),
        (("--recipes", "../../one/ser1 ../../one/ser1"), "--recipes names '../../one/ser1' twice"),
        ((*BOTH, "--mapping", "nowhere.yaml"), "--mapping: there is no file 'nowhere.yaml'"),
        ((*BOTH, "--stage", "train"), "there is no stage 'train'"),
        ((*BOTH, "--mappng", "x"), "did you mean --mapping"),
    ],
)
def test_mistakes(recipe: Path, words: tuple[str, ...], message: str) -> None:
    done = run(recipe, *words)
    assert done.returncode == 2 and message in done.stderr
