"""What a grid asks of its recipes, and what it refuses before anything runs."""

import pytest

from ser.benchmark.config import read_grid
from ser.benchmark.journal import Fact, last_words, read_journal
from ser.benchmark.plan import make_plan
from ser.benchmark.summary import shown_command
from ser.core.errors import UserError


def test_a_recipe_without_its_corpus(bench):
    content = bench.content()
    del content["recipes"][0]["db_root"]
    bench.write(content)
    with pytest.raises(UserError, match=r"wants the folder of its corpus.*--db-root toy=<folder>.*toy shop"):
        make_plan(read_grid(bench.file))
    grid = read_grid(bench.file, db_roots={"toy": bench.recipe.corpus})
    assert {each.state for each in make_plan(grid).cells} == {"missing"}


def test_a_recipe_that_is_prepared_does_not_ask_again(done):
    content = done.content()
    del content["recipes"][0]["db_root"]
    done.write(content)
    assert set(done.states().values()) == {"done"}


def test_the_recipes_own_complaint(bench):
    content = bench.content()
    content["recipes"][0]["options"] = {"extract-option": "--x"}
    bench.write(content)
    with pytest.raises(
        UserError, match=r"toy/ser1: unknown option --extract-option, did you mean --extract-opt"
    ):
        bench.plan()


def test_cells_are_chosen_by_pattern(done):
    assert list(done.states("*/mfcc_*")) == ["mfcc_emotion"]
    with pytest.raises(UserError, match=r"no cell is called so: 'emodb/\*'.*toy/ser1/fbank_emotion"):
        done.plan("emodb/*")


def test_fine_tuning_has_no_features(done):
    entry = {"recipe": "egs/toy/ser1", "configs": ["conf/emotion.yaml"], "finetune": True}
    entry |= {"upstreams": ["hf:models/tiny"], "db_root": done.recipe.corpus.name}
    plan = done.plan(recipes=[*done.content()["recipes"], entry])
    task = plan.tasks["toy/ser1/tiny_emotion"]
    assert task.after == ("toy/ser1/data",) and "toy/ser1/tiny" not in plan.tasks
    words = dict(zip(task.words[::2], task.words[1::2], strict=True))
    assert words["--finetune-upstreams"] == "hf:models/tiny" and words["--upstreams"] == ""
    states = {each.cell.name: each.state for each in plan.cells}
    assert states == {"fbank_emotion": "done", "mfcc_emotion": "done", "tiny_emotion": "missing"}


def test_planning_changes_nothing(done):
    before = {path: path.stat().st_mtime_ns for path in done.recipe.path.rglob("*") if path.is_file()}
    done.plan(seeds=[0, 1])
    assert before == {path: path.stat().st_mtime_ns for path in done.recipe.path.rglob("*") if path.is_file()}


def test_a_journal_that_a_kill_has_cut_short(tmp_path):
    file = tmp_path / "journal"
    assert read_journal(file) == []
    file.write_text("done\ttrain\ta/seed0\t\t\nfailed\ttrain\tb\tout of memory\t/x.log\nfinished\ttr")
    assert read_journal(file) == [
        Fact("done", "train", "a/seed0"),
        Fact("failed", "train", "b", "out of memory", "/x.log"),
    ]


def test_last_words_are_the_commands_own(tmp_path):
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("# ser train\nprogress a: 5 %\nValueError: x\n\n# Ended (code 1)\n")
    assert last_words(log) == "ValueError: x"


def test_a_command_is_shown_without_this_machines_folders():
    words = ["run", "/home/me/conf/b.yaml", "--db-root", "emodb=/corpora/emodb", "--only", "emodb/*"]
    assert shown_command(words) == "ser benchmark run b.yaml --db-root emodb=<folder> --only 'emodb/*'"
