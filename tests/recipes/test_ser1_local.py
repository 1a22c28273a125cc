"""Scripts that recipes ser1 have beside run.sh, with stand-ins: the ablation, the Odyssey baseline."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.conftest import make_recipe

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "egs").glob("[!T]*/*1/local/*.sh"))
# In the place of the stage engine, which has tests of its own: says how it was called.
RUN_SH = """#!/usr/bin/env bash
printf '%s|' run.sh "$@" >>"$(dirname "$0")/calls.txt" && echo >>"$(dirname "$0")/calls.txt"
"""
WORDS = ("--text-encoder", "hf:some/minilm")


@pytest.fixture
def local_recipe(tmp_path, root):
    """A recipe with the scripts, data directories and what an engine's run leaves."""
    recipe = make_recipe(tmp_path, root)
    (recipe.path / "run.sh").write_text(RUN_SH)
    (recipe.path / "local").mkdir()
    (recipe.path / "local/ablation.sh").symlink_to(ROOT / "egs/TEMPLATE/ser1/local/ablation.sh")
    (recipe.path / "local/odyssey.sh").symlink_to(ROOT / "egs/msp_podcast/ser1/local/odyssey.sh")
    for name in ("train", "validation", "test", "all"):
        for path in (f"data/{name}", f"feats/fbank/{name}"):
            (recipe.path / path).mkdir(parents=True)
        (recipe.path / f"data/{name}/utt2emo").write_text("a anger\n")
        (recipe.path / f"feats/fbank/{name}/pooled_mean.scp").write_text("a\n")
        (recipe.path / f"feats/minilm/{name}").mkdir(parents=True)
        (recipe.path / f"feats/minilm/{name}/meta.yaml").write_text("1\n")
    for name in ("attributes", "finetune", "odyssey_categorical", "odyssey_attributes"):
        text = "name: Odyssey 2024 baseline\nattributes: [arousal, valence]\n"
        (recipe.path / f"conf/{name}.yaml").write_text(text)
    return recipe


def call(recipe, script, *words):
    """Run a script of the recipe's by a path from elsewhere."""
    (recipe.path / "calls.txt").unlink(missing_ok=True)
    command = [f"{recipe.path.relative_to(recipe.home)}/local/{script}", *words]
    return subprocess.run(
        command, env=recipe.environment, cwd=recipe.home, capture_output=True, text=True, timeout=300
    )


def calls_of(recipe, verb):
    return [" ".join(each) for each in recipe.calls() if each[0] == verb]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: "-".join(path.parts[-4:]))
def test_every_script_tells_its_use_from_any_folder_and_links_are_relative(script, tmp_path):
    assert os.access(script, os.X_OK) and script.exists()
    assert not script.is_symlink() or not os.readlink(script).startswith("/")
    environment = {"PATH": os.environ["PATH"], "SER_VENV": "/nowhere"}
    for where in (script, os.path.relpath(script, ROOT)):
        done = subprocess.run(
            [where, "--help"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "local/" in done.stdout


def test_every_pooling_with_everything_that_is_told(local_recipe):
    run = call(local_recipe, "ablation.sh", *WORDS, "--poolings", "mean mean+std:2", "--gender", "film")
    assert run.returncode == 0, run.stderr
    [engine] = [each for each in local_recipe.calls() if each[0] == "run.sh"]
    assert engine[1:5] == ["--stop-stage", "extract-text", "--text-encoder", "hf:some/minilm"]
    trained = calls_of(local_recipe, "train")
    assert len(trained) == 8
    told = [("--gender.fusion" in each, "--text.fusion" in each) for each in trained]
    assert told == [(False, False), (True, False), (False, True), (True, True)] * 2
    assert "--gender.fusion film --gender.source true" in trained[1]
    assert "--text-feats feats/minilm/train --validation-text-feats feats/minilm/validation" in trained[2]
    assert "--test-text-feats [feats/minilm/test]" in trained[2]
    assert all("--model.pooling mean+std --model.layer 2" in each for each in trained[4:])
    assert "--exp exp/ablation/fbank_mean_std_2_both" in trained[-1]
    assert len(calls_of(local_recipe, "score")) == 8 and len(calls_of(local_recipe, "benchmark")) == 1


def test_end_to_end_of_one_cross_validated_set_and_their_fusion(local_recipe):
    words = ("--finetune-upstream", "hf:some/wavlm", "--data-sets", "all", "--told", "plain both")
    run = call(
        local_recipe, "ablation.sh", *WORDS, *words, "--poolings", "mean+std attentive", "--fuse", "UAR",
        "--gender-source", "predicted", "--seeds", "0 3",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    tuned = calls_of(local_recipe, "finetune")
    assert len(tuned) == 2 * 2 * 2 and not calls_of(local_recipe, "train")
    assert all("--upstream hf:some/wavlm --data data/all --pooling.method" in each for each in tuned)
    assert "--seed 3" in tuned[1] and "--gender.source predicted" in tuned[2]
    assert "--text-feats feats/minilm/all" in tuned[2] and "validation" not in tuned[2]
    [fused] = calls_of(local_recipe, "fuse")
    stem = "exp/ablation_finetuned/wavlm"
    members = [
        f"{stem}_{pooling}_{told}" for pooling in ("mean_std", "attentive") for told in ("plain", "both")
    ]
    assert fused.startswith("fuse " + " ".join(members) + " --out") and "--metric UAR" in fused
    assert calls_of(local_recipe, "score")[-1].startswith(
        "score exp/ablation_finetuned/fused --data data/all"
    )


def test_the_odyssey_baseline_is_scored_on_development(local_recipe):
    folder = local_recipe.path / "exp"
    names = (
        "odyssey_categorical",
        "odyssey_attributes",
        *(f"odyssey_{x}" for x in ("arousal", "valence", "dominance")),
    )
    for name in names:
        (folder / f"wavlm_{name}").mkdir(parents=True)
    run = call(
        local_recipe, "odyssey.sh", "--upstream", "hf:some/wavlm", "--single-task", "--", "--db-root", "a b"
    )
    assert run.returncode == 0, run.stderr
    [engine] = [each for each in local_recipe.calls() if each[0] == "run.sh"]
    asked = dict(zip(engine[1:-1:2], engine[2:-1:2], strict=False))
    assert asked["--upstreams"] == asked["--train-configs"] == ""
    assert asked["--data-sets"] == "train validation test3" and asked["--db-root"] == "a b"
    assert asked["--prepare-options"] == "--protocol odyssey2024"
    assert asked["--finetune-configs"].split()[2:] == [
        f"exp/conf/odyssey_{name}.yaml" for name in ("arousal", "valence", "dominance")
    ]
    one = (local_recipe.path / "exp/conf/odyssey_valence.yaml").read_text()
    assert "attributes: [valence]" in one and "valence alone" in one
    assert calls_of(local_recipe, "score") == [
        f"score exp/wavlm_{name} --data data/validation --set validation" for name in names
    ]
    [table] = calls_of(local_recipe, "benchmark")
    assert "--quoted conf/quoted.yaml" in table and f"exp/odyssey/wavlm_{names[0]}" in table


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("ablation.sh", (), "--text-encoder is wanted"),
        ("ablation.sh", (*WORDS, "--told", "plain age"), "'age' is none of plain, gender, text, both"),
        ("ablation.sh", (*WORDS, "--data-sets", "train test"), "--data-sets is one set, or training"),
        ("ablation.sh", (*WORDS, "--finetune-upstream", "hf:a", "--finetune-config", "x"), "no file 'x'"),
        ("ablation.sh", ("--pooling", "mean"), "unknown option --pooling, did you mean --poolings"),
        ("odyssey.sh", (), "--upstream is wanted"),
    ],
)
def test_mistakes(local_recipe, script, words, message):
    run = call(local_recipe, script, *words)
    assert run.returncode == 2
    assert message in run.stderr and len(run.stderr.splitlines()) == 1
    assert not (local_recipe.path / "calls.txt").exists()
