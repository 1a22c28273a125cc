"""Stage 11, fuse, with a stand-in for ser."""

import pytest

from tests.recipes.test_engine import stages_redone

FUSE = (
    "--upstreams",
    "fbank mfcc",
    "--fuse",
    "both=fbank_emotion+mfcc_emotion",
    "--fuse-rules",
    "weights vote",
)


@pytest.fixture
def fused(recipe):
    """A recipe that fuses, after a complete run, and what that said."""
    run = recipe.run("--db-root", str(recipe.corpus), *FUSE)
    assert run.returncode == 0, run.stderr
    return recipe, run.stdout


def calls_of(recipe, verb):
    return [" ".join(call) for call in recipe.calls() if call[0] == verb]


def test_experiments_are_fused_scored_and_in_the_table(fused):
    recipe, said = fused
    assert stages_redone(said) == [
        "data", "lint", "extract", "train", "predict", "fuse", "score", "benchmark",
    ]  # fmt: skip
    members = "exp/fbank_emotion exp/mfcc_emotion"
    assert calls_of(recipe, "fuse") == [
        f"fuse {members} --out exp/both_{rule} --rule {rule}" for rule in ("weights", "vote")
    ]
    scored = {call.split()[1] for call in calls_of(recipe, "score")}
    assert scored == {"exp/fbank_emotion", "exp/mfcc_emotion", "exp/both_weights", "exp/both_vote"}
    assert all(name in recipe.calls()[-1] for name in scored)


def test_a_second_run_does_nothing_and_a_new_member_is_noticed(fused):
    recipe, _ = fused
    assert recipe.run(*FUSE).returncode == 0
    assert recipe.calls() == []
    recipe.run(*FUSE, "--fuse-options", "--metric UAR")
    assert len(calls_of(recipe, "fuse")) == 2
    assert all(call.endswith("--metric UAR") for call in calls_of(recipe, "fuse"))
    (recipe.path / "conf" / "emotion.yaml").write_text("a: 2\n")
    recipe.run(*FUSE, "--fuse-options", "--metric UAR")
    assert recipe.verbs() == ["train", "predict", "fuse", "score", "benchmark"]


def test_weights_want_validation_predictions_and_votes_do_not(fused):
    recipe, _ = fused
    for file in recipe.path.glob("exp/mfcc_emotion/seed*/*/validation/pred.*"):
        file.unlink()
    run = recipe.run(*FUSE, "--stage", "fuse", "--stop-stage", "fuse")
    assert run.returncode == 2
    assert "validation/pred.scp, which stage 8 (train) makes" in run.stderr
    run = recipe.run(*FUSE, "--fuse-rules", "vote", "--stage", "fuse", "--stop-stage", "fuse")
    assert run.returncode == 0


def test_without_fuse_the_stage_is_off(recipe):
    listed = recipe.run("--list").stdout
    assert next(line for line in listed.splitlines() if " fuse " in line).endswith("(off in this recipe)")
    run = recipe.run("--stage", "fuse")
    assert run.returncode == 2 and "off in this recipe" in run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fuse", "fbank_emotion"), "is not <name>=<experiment>+<experiment>"),
        (("--fuse", "both=fbank_emotion"), "is not <name>=<experiment>+<experiment>"),
        (("--fuse", "a/b=c+d"), "is not <name>=<experiment>+<experiment>"),
        (("--fuse", "a=b+c", "--fuse-rules", "median"), "none of weights, mean, rank, vote"),
        (("--fuse", "a=b+c", "--fuse-rules", ""), "--fuse-rules is empty"),
    ],
)
def test_mistakes_are_named_before_anything_runs(recipe, options, message):
    run = recipe.run("--db-root", str(recipe.corpus), *options)
    assert run.returncode == 2 and message in run.stderr
    assert recipe.calls() == []


def test_an_experiment_that_is_not_there_is_named(recipe):
    run = recipe.run("--db-root", str(recipe.corpus), "--fuse", "both=fbank_emotion+nowhere")
    assert run.returncode == 2
    assert "exp/nowhere/config.yaml, which stage 8 (train) makes" in run.stderr
