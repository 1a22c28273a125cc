"""Scripts of recipes papt1 beside run.sh: tables of the paper, rules for unseen speakers, curve, grid."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.conftest import make_recipe

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(ROOT.glob("egs/*/papt1/local/*.sh"))
SHARED = ROOT / "egs" / "TEMPLATE" / "papt1" / "local"
# In the place of the stage engine, which has tests of its own: says how it was called.
RUN_SH = """#!/usr/bin/env bash
printf '%s|' run.sh "$@" >>"$(dirname "$0")/calls.txt" && echo >>"$(dirname "$0")/calls.txt"
"""
PLACES = {"papt": "last", "papt_first": "first", "papt_prefix": "prefix", "tapt": "none"}


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def local_recipe(tmp_path, root):
    """A recipe with all scripts, and what they read of a complete run."""
    recipe = make_recipe(tmp_path, root)
    write(recipe.path / "run.sh", RUN_SH)
    for name in ("fusion.sh", "unseen.sh", "speakers.sh", "table2.sh", "grid.sh"):
        (recipe.path / "local").mkdir(exist_ok=True)
        home = SHARED if name != "table2.sh" else ROOT / "egs/msp_podcast/papt1/local"
        (recipe.path / "local" / name).symlink_to(home / name)
    for number, (name, fusion) in enumerate(PLACES.items()):
        write(recipe.path / f"exp/papt/{name}/encoder/config.yaml", f"family: hubert\nfusion: {fusion}\n")
        rows = f"1,,3.5\n9,,2.{number}\n10,1.5,\n"
        write(recipe.path / f"exp/papt/{name}/curve.csv", f"step,train_loss,validation_loss\n{rows}")
        for ending in ("info.yaml", "tests.txt", "scores_test-b.json", "scores_test.json"):
            write(recipe.path / f"exp/{name}_finetune/{ending}", "test\n")
    write(recipe.path / "data/test/utt2spk", "x-1 x\n")
    write(recipe.path / "data/test/utt2emo", "x-1 anger\n")
    return recipe


def call(recipe, script, *words):
    """Run a script of the recipe's from elsewhere, forgetting earlier calls."""
    (recipe.path / "calls.txt").unlink(missing_ok=True)
    command = [str(recipe.path / "local" / script), *words]
    return subprocess.run(
        command, env=recipe.environment, cwd=recipe.home, capture_output=True, text=True, timeout=300
    )


def calls_of(recipe, verb):
    return [" ".join(each) for each in recipe.calls() if each[0] == verb]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: "-".join(path.parts[-4:]))
def test_every_script_can_be_run_tells_its_use_and_shared_ones_are_links(script):
    if script.parent.parent.parent.name == "TEMPLATE":
        return
    assert os.access(script, os.X_OK)
    assert script.is_symlink() == (script.resolve().parent == SHARED)
    assert not script.is_symlink() or not os.readlink(script).startswith("/")
    environment = {"PATH": os.environ["PATH"], "SER_VENV": "/nowhere"}
    done = subprocess.run([script, "--help"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"local/{script.name}" in done.stdout or "local/fusion.sh" in done.stdout


def test_the_fusion_table_asks_for_each_place_and_prints_the_losses(local_recipe):
    write(local_recipe.path / "conf" / "quoted_fusion.yaml", "[]\n")
    run = call(local_recipe, "fusion.sh", "--db-root", "x y")
    assert run.returncode == 0, run.stderr
    [engine] = [each for each in local_recipe.calls() if each[0] == "run.sh"]
    configs = " ".join(f"conf/{name}.yaml" for name in PLACES)
    assert engine[1:3] == ["--papt-configs", configs]
    assert engine[-3:] == ["--db-root", "x y", ""]
    [table] = calls_of(local_recipe, "benchmark")
    assert "--quoted conf/quoted_fusion.yaml" in table
    assert all(f"exp/{name}_finetune" in table for name in PLACES)
    rows = (local_recipe.path / "exp/fusion/pretraining.tsv").read_text().splitlines()
    found = [row.split("\t") for row in rows[1:]]
    assert found == [[name, fusion, f"2.{n}"] for n, (name, fusion) in enumerate(PLACES.items())]


def test_unseen_speakers_get_every_rule_s_embedding_by_one_model(local_recipe):
    write(local_recipe.path / "exp/papt/papt/spk2papt", "shared old:1\ns-of-enrol y:1\n")
    words = ("--rules", "nearest zero", "--others", "exp/tapt_finetune")
    run = call(local_recipe, "unseen.sh", *words)
    assert run.returncode == 0, run.stderr
    verbs = [each[0] for each in local_recipe.calls()]
    assert "finetune" not in verbs
    assert "run.sh" not in verbs
    for rule, predict in zip(("nearest", "zero"), calls_of(local_recipe, "predict"), strict=True):
        table, into = f"exp/unseen/spk2papt.{rule}", f"exp/unseen/papt_finetune_{rule}"
        assert predict.endswith(f"--parts [train,validation,test] --speakers {table} --into {into}")
        # The set's own speakers by the rule, all others as they were.
        lines = (local_recipe.path / table).read_text().splitlines()
        assert lines == ["s-of-enrol y:1", "s-of-test x:1", "shared test:1"]
    assert "exp/unseen/papt_finetune_zero_pldc_sigma" in " ".join(calls_of(local_recipe, "score"))
    [table] = calls_of(local_recipe, "benchmark")
    assert "exp/unseen/tapt_finetune" in table
    run = call(local_recipe, "unseen.sh", "--data-set", "none")
    assert run.returncode == 2
    assert run.stderr.strip().endswith("there is no set data/none: run ./run.sh with it in --data-sets.")


def test_table_2_is_of_test_b_and_names_what_is_missing(local_recipe):
    run = call(local_recipe, "table2.sh", "--db-root", "x")
    assert run.returncode == 2
    assert "_adapt_weighting/scores_test-b.json: ./run.sh has not come to its end." in run.stderr
    for name in ("hubert_attributes_adapt_weighting", "papt_finetune_pldc_sigma"):
        write(local_recipe.path / f"exp/{name}/scores_test-b.json", "test-b")
    run = call(local_recipe, "table2.sh", "--db-root", "x")
    assert run.returncode == 0, run.stderr
    [table] = calls_of(local_recipe, "benchmark")
    assert "exp/table2/papt_finetune_pldc_sigma" in table
    assert "--quoted conf/quoted.yaml" in table
    copied = {path.name for path in (local_recipe.path / "exp/table2").glob("*/*")}
    assert copied == {"scores_test-b.json"}


def test_a_recipe_s_own_defaults_count_before_the_command_line(local_recipe):
    (local_recipe.path / "conf" / "speakers.conf").write_text('speakers=2,most\ndata_sets="train enrol"\n')
    run = call(local_recipe, "speakers.sh", "--draws", "7", "--train-config", "conf/emotion.yaml")
    assert run.returncode == 0, run.stderr
    [curve] = calls_of(local_recipe, "benchmark")
    assert "--data [data/train,data/enrol] --feats [feats/fbank/train,feats/fbank/enrol]" in curve
    assert "--speakers 2,most --draws 7" in curve
    assert "--config conf/emotion.yaml" in curve
    run = call(local_recipe, "speakers.sh", "--speekers", "3")
    assert run.returncode == 2
    assert "did you mean --speakers" in run.stderr


def test_the_grid_takes_features_and_fine_tuned_encoders(local_recipe):
    for name in ("interpreter", "transformer"):
        write(local_recipe.path / f"conf/grid/{name}.yaml", "task: {emotion: true}\n")
    write(local_recipe.path / "data/train/utt2emo", "u neutral\n")
    for name in ("train", "enrol", "test"):
        write(local_recipe.path / f"data/{name}/wav.scp", "u u.wav\n")
    for encoder in ("fbank", "papt_finetune"):
        write(local_recipe.path / f"feats/{encoder}/train/pooled_mean.scp", "u x\n")
    fold = "exp/papt_finetune/seed0/fold0"
    write(local_recipe.path / fold / "model.safetensors", "m")
    words = (
        "--encoders",
        "fbank papt_finetune",
        "--representations",
        "none mean",
        "--placements",
        "last prefix",
    )
    run = call(local_recipe, "grid.sh", *words, "--data-sets", "train enrol test")
    assert run.returncode == 0, run.stderr
    extracted = calls_of(local_recipe, "extract")
    assert len(extracted) == 3
    assert all(
        call.endswith(f"feats/papt_finetune/{call.split()[1][5:]} --upstream finetuned:{fold}")
        for call in extracted
    )
    cells = [call.split("--exp exp/grid/")[1].split()[0] for call in calls_of(local_recipe, "train")]
    kinds = ("interpreter_none", "interpreter_mean_last", "transformer_none", "transformer_mean_last")
    expected = [f"{encoder}_{kind}" for encoder in ("fbank", "papt_finetune") for kind in kinds]
    assert sorted(cells) == sorted(
        [*expected, "fbank_transformer_mean_prefix", "papt_finetune_transformer_mean_prefix"]
    )
    assert len(calls_of(local_recipe, "calibrate")) == len(cells)
    [table] = calls_of(local_recipe, "benchmark")
    assert all(f"exp/grid/{cell}_pldc_sigma" in table for cell in cells)
