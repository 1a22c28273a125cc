"""Stages of recipes papt1 (units, papt, adapt-extract, fine-tuning, calibrate), with a stand-in for ser."""

import shutil
import signal
import subprocess

import pytest

from tests.recipes.conftest import make_recipe
from tests.recipes.test_engine import stages_redone

SETS = "train validation enrol test"
CONFIGS = {
    "scratch": "speaker:\n  fusion: none\n",
    "papt": "speaker:\n  fusion: last\n",
    "tapt": "speaker:\n  fusion: none\n",
    "finetune": "a: 1\n",
}
RUN_SH = """#!/usr/bin/env bash
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ./ser.sh --local-data "ser prepare toy" --corpus-home "Toys are at the toy shop." --nj 2 \\
  --data-sets "train validation enrol test" --upstreams "fbank" --train-configs "conf/emotion.yaml" \\
  --units "mfcc:0:10 own:1:20" --papt-upstream scratch:tiny --scratch-config conf/scratch.yaml \\
  --papt-configs "conf/papt.yaml conf/tapt.yaml" --papt-data "train validation" --unseen "knn --k 2" \\
  --finetune-configs "conf/finetune.yaml" --adapt weighting --calibrate sigma -- "$@"
"""


def make_papt_recipe(home, root):
    recipe = make_recipe(home, root)
    recipe.environment["FAKE_SETS"] = SETS
    (recipe.path / "run.sh").write_text(RUN_SH)
    for name, text in CONFIGS.items():
        (recipe.path / "conf" / f"{name}.yaml").write_text(text)
    return recipe


@pytest.fixture
def papt_recipe(tmp_path, root):
    """A recipe with all stages, never run."""
    return make_papt_recipe(tmp_path, root)


@pytest.fixture(scope="module")
def once(tmp_path_factory, root):
    """A recipe with all stages after a complete run, what that said, its calls, and a copy of it."""
    recipe = make_papt_recipe(tmp_path_factory.mktemp("papt") / "home", root)
    run = recipe.run("--db-root", str(recipe.corpus))
    assert run.returncode == 0, run.stderr
    copy = recipe.home.with_name("copy")
    shutil.copytree(recipe.home, copy, symlinks=True)
    return recipe, run.stdout, recipe.calls(), copy


@pytest.fixture
def papt_done(once):
    """A recipe with all stages after a complete run, put back as it was then."""
    recipe, _, _, copy = once
    shutil.rmtree(recipe.home)
    shutil.copytree(copy, recipe.home, symlinks=True)
    return recipe


def calls_of(calls, verb):
    """The calls of a verb, as text."""
    return [" ".join(call) for call in calls if call[0] == verb]


def test_every_stage_runs_in_order(once):
    _, said, calls, _ = once
    assert stages_redone(said) == [
        "data", "lint", "extract", "units", "papt", "adapt-extract", "train", "predict", "calibrate", "score",
        "benchmark",
    ]  # fmt: skip
    table = calls[-1]
    bases = [f"exp/{tag}_emotion" for tag in ("fbank", "scratch", "papt", "tapt")]
    bases += [f"exp/{tag}_finetune" for tag in ("scratch", "papt", "tapt")]
    wanted = {f"{base}{suffix}" for base in bases for suffix in ("", "_pldc_sigma")}
    assert {word for word in table if word.startswith("exp/")} == wanted | {
        "exp/scratch_emotion_adapt_weighting"
    }


def test_units_are_made_of_mfcc_and_then_of_the_encoder_s_own_frames(once):
    calls = once[2]
    first, second = calls_of(calls, "units")
    assert first == (
        "units data/train --feats feats/mfcc_l0/train --out exp/units/mfcc_l0_k10 --mfcc --clusters 10"
    )
    assert second == (
        "units data/train data/validation --feats feats/own_l1/train feats/own_l1/validation"
        " --out exp/units/own_l1_k20 --layer 1 --clusters 20"
    )
    frames = [call for call in calls_of(calls, "extract") if "own_l1" in call]
    assert all("--upstream papt:exp/papt/scratch --frames-layers 1" in call for call in frames)


def test_the_first_pretraining_hears_the_training_set_and_adaptation_goes_on_from_it(once):
    scratch, papt, tapt = calls_of(once[2], "papt")
    assert "--config conf/scratch.yaml --upstream scratch:tiny --data data/train " in scratch
    for call in (papt, tapt):
        assert "--upstream s3prl:hubert_local:exp/papt/scratch/encoder/hubert.pt" in call
        assert "--data data/train,data/validation " in call
        assert "--units exp/units/own_l1_k20/train,exp/units/own_l1_k20/validation " in call


def test_the_protocol_follows_from_who_is_heard(once, papt_done):
    assert all("--protocol inductive" in call for call in calls_of(once[2], "papt"))
    papt_done.run("--papt-data", "train validation enrol", "--stop-stage", "papt")
    scratch_again = [call for call in calls_of(papt_done.calls(), "papt") if "scratch.yaml" in call]
    assert scratch_again == []
    assert [call.split("--protocol ")[1].split()[0] for call in calls_of(papt_done.calls(), "papt")] == [
        "transductive", "transductive",
    ]  # fmt: skip


def test_speakers_who_were_not_heard_get_an_embedding_by_rule(once):
    recipe, _, calls, _ = once
    tables = calls_of(calls, "speakers")
    assert len(tables) == 2
    for call, name in zip(tables, ("enrol", "test"), strict=True):
        expected = f"speakers data/{name} --upstream papt:exp/papt/papt --unseen knn --k 2 --out"
        assert call == f"{expected} exp/papt/papt/spk2papt.{name}"
    table = (recipe.path / "exp/papt/papt/spk2papt").read_text()
    assert table == "s-of-enrol x:1\ns-of-test x:1\nshared enrol:1\n"
    for verb in ("extract", "finetune"):
        for call in calls_of(calls, verb):
            personal = "--upstream papt:exp/papt/papt " in f"{call} "
            assert ("--speakers exp/papt/papt/spk2papt" in call) == personal, call


def test_fine_tuning_adaptation_and_calibration(once):
    calls = once[2]
    tuned = calls_of(calls, "finetune")
    assert len(tuned) == 3
    assert all("--test-data [data/enrol,data/test]" in call for call in tuned)
    [adapted] = calls_of(calls, "adapt")
    assert adapted.startswith("adapt exp/scratch_emotion --functionals feats/fbank --out")
    assert all("--parts [train,validation,test]" in call for call in calls_of(calls, "predict"))
    calibrated = calls_of(calls, "calibrate")
    assert len(calibrated) == 7
    assert "calibrate exp/papt_finetune --out exp/papt_finetune_pldc_sigma --shift sigma" in calibrated


def test_a_second_run_does_nothing(papt_done):
    run = papt_done.run()
    assert run.returncode == 0, run.stderr
    assert papt_done.calls() == []
    assert sum(line.endswith(": up to date") for line in run.stdout.splitlines()) == 11


def test_a_changed_adaptation_does_its_own_part_again(papt_done):
    (papt_done.path / "conf/papt.yaml").write_text(CONFIGS["papt"] + "a: 1\n")
    run = papt_done.run("--stage", "papt", "--stop-stage", "train")
    assert run.returncode == 0, run.stderr
    [papt] = calls_of(papt_done.calls(), "papt")
    assert papt.endswith("--restart")
    assert papt_done.verbs() == ["papt", "speakers", "extract", "train", "finetune"]
    for call in papt_done.calls():
        assert any(name in " ".join(call) for name in ("exp/papt/papt", "feats/papt/"))


def test_enrolment_sets_are_neither_calibrated_nor_scored(papt_done):
    run = papt_done.run("--calibrate-options", "--enrolment enrol", "--stage", "10", "--stop-stage", "12")
    assert run.returncode == 0, run.stderr
    scored = calls_of(papt_done.calls(), "score")
    assert scored
    assert all("_pldc_" in call and "data/test" in call for call in scored)
    assert not (papt_done.path / "exp/papt_emotion_pldc_sigma/scores_enrol.json").exists()


def test_a_killed_pretraining_goes_on_and_one_of_other_settings_starts_over(papt_done, wait_for):
    def killed(*words):
        process = subprocess.Popen(
            **papt_done.command("--stop-stage", "papt", *words, FAKE_PAPT="hang"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        hanging = papt_done.path / "hanging.pid"
        wait_for(lambda: hanging.exists() and hanging.read_text())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        hanging.unlink()

    options = ("--papt-options", "--lr 2")
    (papt_done.path / "calls.txt").unlink(missing_ok=True)
    killed(*options)
    assert "--restart" in papt_done.calls()[0]
    run = papt_done.run("--stop-stage", "papt", *options)
    assert run.returncode == 0, run.stderr
    scratch = calls_of(papt_done.calls(), "papt")[0]
    assert "scratch.yaml" in scratch
    assert "--restart" not in scratch


def test_a_released_encoder_needs_no_first_pretraining(papt_recipe):
    words = ("--papt-upstream", "hf:someone/hubert", "--units", "hf:someone/base:9:500")
    run = papt_recipe.run("--db-root", str(papt_recipe.corpus), *words, "--stop-stage", "adapt-extract")
    assert run.returncode == 0, run.stderr
    calls = papt_recipe.calls()
    assert [call[call.index("--upstream") + 1] for call in calls if call[0] == "papt"] == [
        "hf:someone/hubert"
    ] * 2
    assert "exp/units/base_l9_k500" in calls_of(calls, "units")[0]
    assert any(
        "feats/hubert/test --upstream hf:someone/hubert" in call for call in calls_of(calls, "extract")
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--units", "mfcc:0"), "--units: 'mfcc:0' is not <upstream>:<layer>:<clusters>"),
        (("--units", ""), "--papt-configs wants --units to predict"),
        (("--units", "own:1:20"), "own:<layer>:<clusters> comes second"),
        (("--units", "mfcc:0:9 own:1:9", "--papt-upstream", "hf:a/b"), "a second k-means wants"),
        (("--papt-upstream", ""), "--papt-upstream is empty"),
        (("--papt-data", "train tset"), "--papt-data: 'tset' is none of the sets"),
        (("--papt-configs", "conf/none.yaml"), "there is no file 'conf/none.yaml'"),
        (("--papt-configs", "conf/scratch.yaml"), "two encoders would be called 'scratch'"),
        (("--train-configs", ""), "--adapt goes on from --train-configs"),
    ],
)
def test_mistakes_are_refused_before_anything_is_done(papt_recipe, words, message):
    run = papt_recipe.run("--db-root", str(papt_recipe.corpus), *words)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert papt_recipe.calls() == []
