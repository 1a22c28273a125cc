"""Test sets whose labels a challenge keeps: a submission beside the scores of the others, or alone."""

import pytest

SETS = "train validation test1 test3"


@pytest.fixture
def mixed(recipe):
    """A recipe whose test3 has no labels."""
    run_sh = recipe.path / "run.sh"
    text = run_sh.read_text()
    assert '"ser prepare toy"' in text
    run_sh.write_text(text.replace('"ser prepare toy"', '"sh hide.sh {sets}"'))
    hide = 'echo "$1" > sets.txt\nshift\nser prepare toy "$@"\nrm -f data/test3/utt2emo\n'
    (recipe.path / "hide.sh").write_text(hide)
    return recipe


def test_scores_and_submission_beside_each_other(mixed):
    run = mixed.run("--db-root", str(mixed.corpus), "--data-sets", SETS, "--nj", "1", FAKE_SETS=SETS)
    assert run.returncode == 0, run.stderr
    assert (mixed.path / "sets.txt").read_text() == "train,validation,test1,test3\n"
    [experiment] = (mixed.path / "exp").iterdir()
    assert {path.name for path in experiment.glob("s*_*")} == {"scores_test1.json", "submission_test3.csv"}
    [table] = [call for call in mixed.calls() if call[0] == "benchmark"]
    assert table[2] == "exp/fbank_emotion"


def test_with_submissions_alone_there_is_no_table(mixed):
    sets = "train validation test3"
    run = mixed.run("--db-root", str(mixed.corpus), "--data-sets", sets, "--nj", "1", FAKE_SETS=sets)
    assert run.returncode == 0, run.stderr
    assert "no table: the test sets have no labels" in run.stdout
    assert not [call for call in mixed.calls() if call[0] == "benchmark"]
    assert not (mixed.path / "RESULTS.md").exists()


def test_scores_of_sets_that_are_tests_no_more_go(mixed):
    options = ("--db-root", str(mixed.corpus), "--nj", "1")
    mixed.run(*options, "--data-sets", SETS, FAKE_SETS=SETS)
    fewer = "train validation test3"
    run = mixed.run(*options, "--data-sets", fewer, FAKE_SETS=SETS)
    assert run.returncode == 0, run.stderr
    [experiment] = (mixed.path / "exp").iterdir()
    assert {path.name for path in experiment.glob("s*_*")} == {"submission_test3.csv"}


def test_a_dry_run_removes_nothing(mixed):
    options = ("--db-root", str(mixed.corpus), "--nj", "1")
    mixed.run(*options, "--data-sets", SETS, FAKE_SETS=SETS)
    [experiment] = (mixed.path / "exp").iterdir()
    run = mixed.run(*options, "--data-sets", "train validation test3", "--dry-run", FAKE_SETS=SETS)
    assert run.returncode == 0, run.stderr
    assert (experiment / "scores_test1.json").exists()
