"""The stage engine of conversations, egs/TEMPLATE/mal1/mal.sh, with a stand-in for ser."""

import re
import shlex
import shutil

import pytest

from tests.recipes.conftest import make_recipe
from tests.recipes.test_engine import stages_redone, stages_said

ON = ["data", "lint", "extract", "train", "predict", "ablate", "score"]
ABLATIONS = ("no_reads", "no_writes", "reset", "no_momentum", "no_forgetting", "shuffled", "other_dialogue")
RUN_SH = """#!/usr/bin/env bash
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ./mal.sh --local-data "ser prepare toy" --corpus-home "Toys are at the toy shop." --upstreams fbank \\
  --memory-configs "conf/memory.yaml conf/none.yaml" --ablate-configs conf/memory.yaml \\
  --ablations "reset no_reads" --where ambiguous=1 --nj 1 -- "$@"
"""


def mal_recipe(home, root):
    """A recipe on mal.sh that was never run: two configurations, one of which is ablated."""
    recipe = make_recipe(home, root)
    (recipe.path / "ser.sh").unlink()
    (recipe.path / "mal.sh").symlink_to(root / "egs" / "TEMPLATE" / "mal1" / "mal.sh")
    (recipe.path / "run.sh").write_text(RUN_SH)
    for name in ("memory", "none", "word"):
        (recipe.path / "conf" / f"{name}.yaml").write_text(f"history:\n  kind: {name}\n")
    (recipe.path / "models" / "tiny").mkdir(parents=True)
    (recipe.path / "models" / "tiny" / "config.json").write_text("{}")
    return recipe


@pytest.fixture
def fresh(tmp_path, root):
    """A recipe that was never run."""
    return mal_recipe(tmp_path, root)


@pytest.fixture(scope="module")
def once(tmp_path_factory, root):
    """The same after a complete run, its calls, what it said, and a copy of it."""
    recipe = mal_recipe(tmp_path_factory.mktemp("mal") / "home", root)
    run = recipe.run("--db-root", str(recipe.corpus))
    assert run.returncode == 0, run.stderr
    copy = recipe.home.with_name("copy")
    shutil.copytree(recipe.home, copy, symlinks=True)
    return recipe, [" ".join(call) for call in recipe.calls()], run.stdout, copy


@pytest.fixture
def done(once):
    """A recipe after a complete run, put back as it was then."""
    recipe, _, _, copy = once
    shutil.rmtree(recipe.home)
    shutil.copytree(copy, recipe.home, symlinks=True)
    return recipe


def calls_of(recipe, verb):
    """The calls of a verb that the stand-in was given."""
    return [" ".join(call) for call in recipe.calls() if call[0] == verb]


def shown(recipe, *words):
    """The commands that --dry-run shows, without the name of the program."""
    run = recipe.run("--dry-run", "--db-root", str(recipe.corpus), *words)
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stdout.splitlines() if line.startswith(" " * 8)]
    return [" ".join(shlex.split(line)).split("ser ", 1)[-1] for line in lines]


def test_one_command_runs_every_stage_in_order(once):
    recipe, calls, said, _ = once
    assert stages_said(said) == ON == stages_redone(said)
    assert [call for call in calls if not call.startswith(("score", "benchmark"))] == [
        f"prepare toy --db-root {recipe.corpus} --out data",
        "lint data/all --html lint.html --nj 1",
        "extract data/all feats/fbank/all --upstream fbank",
        *(
            f"memory-train --config conf/{name}.yaml --data data/all --feats feats/fbank/all"
            f" --exp exp/fbank_{name} --seed 0 --nj 1 --job 1"
            for name in ("memory", "none")
        ),
        "memory-predict exp/fbank_memory",
        "memory-predict exp/fbank_none",
        "memory-predict exp/fbank_memory --check-leaks",
        "memory-predict exp/fbank_memory --ablate reset --into exp/fbank_memory-reset",
        "memory-predict exp/fbank_memory --ablate no_reads --into exp/fbank_memory-no_reads",
    ]
    assert "no leak\n" in said and "the comparison\n" in said and "the table\n" in said


def test_everything_is_scored_over_dialogues_and_compared_with_the_first(once):
    _, calls, _, _ = once
    systems = [f"exp/fbank_{name}" for name in ("memory", "memory-reset", "memory-no_reads", "none")]
    assert sorted(call for call in calls if call.startswith("score")) == sorted(
        f"score {system} --data data/all --set test --cluster dialogue" for system in systems
    )
    [table] = [call for call in calls if call.startswith("benchmark table")]
    assert set(systems) < set(table.split())
    common = f"benchmark compare {' '.join(systems)} --data data/all --set test --cluster dialogue"
    assert [call for call in calls if call.startswith("benchmark compare")] == [
        f"{common} --out comparison/fbank",
        f"{common} --where ambiguous=1 --out comparison/fbank_ambiguous-1",
    ]


def test_second_run_does_nothing(done):
    run = done.run()
    assert (run.returncode, done.calls(), stages_redone(run.stdout)) == (0, [], [])
    assert run.stdout.count(": up to date") == 7


def test_one_more_ablation_is_all_that_is_predicted(done):
    run = done.run("--ablations", "reset shuffled")
    assert run.returncode == 0, run.stderr
    assert [call for call in done.calls() if call[0].startswith("memory")] == [
        ["memory-predict", "exp/fbank_memory", "--ablate", "shuffled", "--into", "exp/fbank_memory-shuffled"]
    ]
    assert stages_redone(run.stdout) == ["ablate", "score"]


def test_what_changes_a_model_changes_its_ablations(done):
    assert done.run("--seeds", "0 1", "--stop-stage", "ablate").returncode == 0
    run = done.run("--seeds", "1", "--train-options", "--lr 2", "--stop-stage", "ablate")
    assert stages_redone(run.stdout) == ["train", "predict", "ablate"]
    for name in ("fbank_memory", "fbank_memory-reset"):
        assert [path.name for path in (done.path / "exp" / name).glob("seed*")] == ["seed1"]


def test_nothing_is_ablated_or_compared_where_there_is_nothing_to(fresh):
    words = ("--ablate-configs", "", "--memory-configs", "conf/memory.yaml")
    commands = shown(fresh, *words)
    assert not [command for command in commands if "--ablate " in command.split("--command")[0]]
    assert not [command for command in commands if command.startswith("benchmark compare")]
    assert "stage 6 ablate is off in this recipe" in fresh.run("--stage", "6", *words).stderr


def test_all_ablations_unless_some_are_named(fresh):
    run_sh = fresh.path / "run.sh"
    run_sh.write_text(run_sh.read_text().replace('--ablations "reset no_reads"', ""))
    commands = shown(fresh)
    assert [
        command for command in commands if command.startswith("memory-predict") and "--ablate" in command
    ] == [
        f"memory-predict exp/fbank_memory --ablate {name} --into exp/fbank_memory-{name}"
        for name in ABLATIONS
    ]
    assert (
        next(command for command in commands if command.startswith("benchmark compare")).count("exp/fbank_")
        == 9
    )


def test_language_models_beside_encoders(fresh):
    hosts = ("--hosts", "models/tiny Qwen/Qwen2-Audio-7B", "--host-configs", "conf/word.yaml conf/none.yaml")
    commands = shown(fresh, *hosts, "--ablate-configs", "conf/word.yaml", "--ablations", "reset", "--nj", "4")
    assert [command for command in commands if "--host " in command] == [
        f"memory-train --config conf/{conf}.yaml --host {host} --data data/all --exp exp/{tag}_{conf}"
        " --seed 0 --nj 1 --job JOB"
        for tag, host in (("tiny", fresh.path / "models/tiny"), ("Qwen2-Audio-7B", "Qwen/Qwen2-Audio-7B"))
        for conf in ("word", "none")
    ]
    assert [
        command for command in commands if command.startswith("memory-predict") and "--ablate" in command
    ] == [
        f"memory-predict exp/{tag}_word --ablate reset --into exp/{tag}_word-reset"
        for tag in ("tiny", "Qwen2-Audio-7B")
    ]
    compared = [
        command for command in commands if "benchmark compare" in command and "--where" not in command
    ]
    assert [command.split("--out ")[1] for command in compared] == [
        f"comparison/{tag}" for tag in ("fbank", "tiny", "Qwen2-Audio-7B")
    ]


def test_every_kind_of_work_has_its_dispatcher(fresh):
    noting = fresh.home / "noting.sh"
    noting.write_text(
        '#!/usr/bin/env bash\nkind=$1 && shift\necho "$kind $*" >>given.txt\nexec run.sh "$@"\n'
    )
    (fresh.path / "cmd.sh").unlink()
    kinds = ("extract", "train", "finetune", "predict")
    (fresh.path / "cmd.sh").write_text("".join(f'{kind}_cmd="bash {noting} {kind}"\n' for kind in kinds))
    hosts = (
        "--hosts",
        "models/tiny",
        "--host-configs",
        "conf/word.yaml",
        "--memory-configs",
        "conf/memory.yaml",
    )
    run = fresh.run("--db-root", str(fresh.corpus), *hosts, "--ablations", "reset")
    assert run.returncode == 0, run.stderr
    given = [
        (line.split()[0], re.search(r"log/(\w+)", line)[1])
        for line in (fresh.path / "given.txt").read_text().splitlines()
    ]
    assert given == [
        ("extract", "extract_fbank_all"),
        ("train", "train_fbank_memory_seed0"),
        ("finetune", "train_tiny_word_seed0"),
        ("predict", "predict_fbank_memory"),
        ("predict", "predict_tiny_word"),
        ("predict", "leaks_fbank_memory"),
        ("predict", "ablate_fbank_memory"),
    ]
    assert "no leak\n" in run.stdout


def test_language_models_alone_and_no_folder_of_theirs_in_the_table(fresh):
    host = ("--hosts", str(fresh.path / "models/tiny"), "--host-configs", "conf/word.yaml")
    words = ("--upstreams", "", *host, "--ablate-configs", "")
    run = fresh.run("--db-root", str(fresh.corpus), *words)
    assert run.returncode == 0, run.stderr
    assert fresh.verbs() == ["prepare", "lint", "memory-train", "memory-predict", "score", "benchmark"]
    [table] = [call for call in fresh.calls() if call[0] == "benchmark"]
    assert "--hosts <folder>/tiny" in " ".join(table)
    assert not [word for word in table if str(fresh.home) in word]
    (fresh.path / "models/tiny/config.json").write_text("{ }")
    run = fresh.run(*words, "--stage", "train", "--stop-stage", "train")
    assert "checkpoint of tiny/config.json changed" in run.stdout
    assert stages_redone(run.stdout) == ["train"]


def test_train_validation_and_test_sets(fresh):
    hosts = ("--hosts", "models/tiny", "--host-configs", "conf/word.yaml", "--where", "")
    commands = shown(fresh, "--data-sets", "train validation test1 test2", *hosts)
    trained = [command for command in commands if command.startswith("memory-train")]
    tests = "--test-data [data/test1,data/test2]"
    assert f"--validation-feats feats/fbank/validation {tests} --test-feats [feats/fbank/test1" in trained[0]
    sets = f"--data data/train --validation-data data/validation {tests}"
    assert f"--host {fresh.path}/models/tiny {sets}" in trained[-1]
    compared = [command for command in commands if command.startswith("benchmark compare")]
    assert [command.split("--data ")[1] for command in compared] == [
        f"data/{name} --set {name} --cluster dialogue --out comparison/fbank_{name}"
        for name in ("test1", "test2")
    ]


def test_a_leak_stops_the_recipe(done):
    run = done.run("--stage", "ablate", "--force", FAKE_MEMORY_PREDICT="leak")
    assert run.returncode == 2
    assert "stage 6 ablate failed at fbank_memory/leaks" in run.stderr
    assert "    seed0/fold1: a later utterance changes it" in run.stderr
    assert "./run.sh --stage 6" in run.stderr


def test_frames_are_an_input_where_a_configuration_reads_them(done):
    (done.path / "conf/none.yaml").write_text("encoder:\n  tokens: frames\n")
    told = done.run("--db-root", str(done.corpus)).stderr
    assert 'stage 3 keeps with --extract-options "--frames-layers <layer>"' in told
    kept = ("--extract-options", "--frames-layers 0", "--stop-stage", "train")
    assert done.run(*kept).returncode == 0
    (done.path / "feats/fbank/all/frames_layer0.scp").write_text("other\n")
    assert "feats/fbank/all/frames_layer0.scp changed" in done.run(*kept, "--stage", "train").stdout


def test_dry_run_does_nothing(fresh):
    before = sorted(fresh.path.rglob("*"))
    assert shown(fresh)
    assert sorted(fresh.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--upstreams", ""), "--upstreams and --hosts are both empty"),
        (("--memory-configs", ""), "--upstreams wants --memory-configs"),
        (("--hosts", "a/b"), "--hosts wants --host-configs"),
        (("--hosts", "a/b c/b", "--host-configs", "conf/word.yaml"), "--hosts: two would be called 'b'"),
        (("--hosts", "a/fbank", "--host-configs", "conf/word.yaml"), "'fbank' is an upstream's name as well"),
        (("--host-jobs", "0"), "--host-jobs takes a number above 0, not '0'"),
        (("--memory-configs", "conf/x.yaml"), "--memory-configs: there is no file 'conf/x.yaml'"),
        (("--host-configs", "conf/x.yaml"), "--host-configs: there is no file 'conf/x.yaml'"),
        (("--ablate-configs", "conf/word.yaml"), "--ablate-configs: 'conf/word.yaml' is none of"),
        (("--ablations", "no_read"), "--ablations: 'no_read' is none of no_reads, no_writes"),
        (("--cluster", "turn"), "--cluster is dialogue, speaker or session, not 'turn'"),
        (("--where", "ambiguous"), "--where: 'ambiguous' is not <table>=<value>"),
        (("--stage", "benchmark"), "there is no stage 'benchmark'. Stages: data lint extract train"),
        (("--memory-config", "x"), "unknown option --memory-config, did you mean --memory-configs"),
        (("--stage", "predict"), "stage 5 predict wants data/all/utt2spk, which stage 1 (data) makes"),
        ((), "where is the corpus? Give its folder: ./run.sh --db-root <folder>. Toys are at the toy shop."),
    ],
)
def test_mistakes_are_refused_before_anything_is_done(fresh, words, message):
    run = fresh.run(*words)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert fresh.calls() == []
