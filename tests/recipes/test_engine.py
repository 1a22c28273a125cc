"""The stage engine: order, marks, messages, options; on a stand-in for ``ser``."""

import os
import signal
import subprocess

import pytest

ON = ["data", "lint", "extract", "train", "predict", "score", "benchmark"]


def stages_said(output):
    """Names of the stages in ``output``, each once, in order."""
    lines = [line for line in output.splitlines() if line.startswith("stage ")]
    return list(dict.fromkeys(line.split()[2].rstrip(":") for line in lines))


def stages_redone(output):
    """Names of the stages that did something."""
    lines = [line for line in output.splitlines() if line.startswith("stage ") and ": done in " in line]
    return [line.split()[2].rstrip(":") for line in lines]


def test_one_command_runs_every_stage_in_order(recipe):
    run = recipe.run("--db-root", str(recipe.corpus))
    assert run.returncode == 0, run.stderr
    assert stages_said(run.stdout) == ON == stages_redone(run.stdout)
    assert recipe.verbs() == ["prepare", "lint", "extract", "train", "predict", "score", "benchmark"]
    assert ["prepare", "toy", "--db-root", str(recipe.corpus), "--out", "data"] in recipe.calls()
    assert ["extract", "data/all", "feats/fbank/all", "--upstream", "fbank"] in recipe.calls()
    assert "UAR .5\n" in run.stdout
    assert "the table\n" in run.stdout
    assert (recipe.path / "report.html").exists()


def test_a_large_set_is_shared_by_jobs_and_put_together(recipe):
    for number in range(600):
        (recipe.corpus / f"{number:03d}.wav").write_bytes(b"x")
    run = recipe.run("--db-root", str(recipe.corpus), "--stop-stage", "extract", "--nj", "8")
    assert run.returncode == 0, run.stderr
    calls = [" ".join(call) for call in recipe.calls() if call[0] == "extract"]
    common = "extract data/all feats/fbank/all --upstream fbank --nj 3"
    assert sorted(calls[:3]) == [f"{common} --job {job}" for job in (1, 2, 3)]
    assert calls[3:] == [f"{common} --combine"]


def test_two_models_of_one_short_name_are_not_confused(done):
    assert done.run("--upstreams", "hf:one/base", "--stop-stage", "extract").returncode == 0
    run = done.run("--upstreams", "hf:two/base", "--stage", "extract", "--stop-stage", "extract")
    assert "base/all: upstream was 'hf:one/base', is now 'hf:two/base'" in run.stdout


def test_second_run_does_nothing_whatever_the_times_of_the_files(done):
    for path in [*done.path.rglob("*"), *done.corpus.iterdir()]:
        if path.is_file() and not path.is_symlink() and done.home in path.parents:
            os.utime(path, (1, 1))
    for words in ((), ("--db-root", str(done.corpus))):
        run = done.run(*words)
        assert run.returncode == 0
        assert done.calls() == []
        assert [line for line in run.stdout.splitlines() if line.endswith(": up to date")] == [
            f"stage {number} {name}: up to date"
            for number, name in zip((1, 2, 3, 8, 9, 12, 13), ON, strict=True)
        ]


def test_a_label_does_again_what_depends_on_it_alone(done):
    labels = done.path / "data/all/utt2emo"
    labels.write_text(labels.read_text().replace("anger", "fear"))
    run = done.run()
    assert stages_redone(run.stdout) == ["lint", "train", "predict", "score", "benchmark"]
    assert "fbank_emotion/seed0: data/all/utt2emo changed" in run.stdout


def test_audio_that_changed_in_place_is_noticed(done):
    (done.corpus / "b.wav").write_bytes(b"x" * 9000)
    run = done.run("--stage", "extract", "--stop-stage", "extract")
    assert stages_redone(run.stdout) == ["extract"]
    assert "audio of data/all was" in run.stdout


def test_new_corpus_content_starts_from_the_beginning(done):
    (done.corpus / "d.wav").write_bytes(b"d" * 9000)
    run = done.run("--db-root", str(done.corpus))
    assert stages_redone(run.stdout) == ON
    assert "data: corpus/d.wav is new" in run.stdout


def test_a_lost_file_is_made_again_and_the_same_result_stops_there(done):
    (done.path / "feats/fbank/all/meta.yaml").unlink()
    run = done.run()
    assert stages_redone(run.stdout) == ["extract"]
    assert "feats/fbank/all/meta.yaml is missing" in run.stdout


def test_another_upstream_does_only_its_own_part(done):
    run = done.run("--upstreams", "fbank mfcc")
    assert stages_redone(run.stdout) == ["extract", "train", "predict", "score", "benchmark"]
    own = [call for call in done.calls() if call[0] != "benchmark"]
    assert own
    assert all("mfcc" in "|".join(call) and "fbank" not in "|".join(call) for call in own)
    table = done.calls()[-1]
    assert {"exp/fbank_emotion", "exp/mfcc_emotion"} < set(table)


def test_another_configuration_and_seed(done):
    (done.path / "conf/other.yaml").write_text("a: 2\n")
    run = done.run("--train-configs", "conf/emotion.yaml conf/other.yaml", "--seeds", "0 1")
    assert stages_redone(run.stdout) == ["train", "predict", "score", "benchmark"]
    trained = {
        (call[call.index("--exp") + 1], call[call.index("--seed") + 1])
        for call in done.calls()
        if call[0] == "train"
    }
    assert trained == {("exp/fbank_emotion", "1"), ("exp/fbank_other", "0"), ("exp/fbank_other", "1")}


def test_a_changed_configuration_drops_seeds_that_are_not_trained_with_it(done):
    done.run("--seeds", "0 1")
    (done.path / "conf/emotion.yaml").write_text("a: 3\n")
    assert done.run("--seeds", "0").returncode == 0
    assert sorted(path.name for path in (done.path / "exp/fbank_emotion").glob("seed*")) == ["seed0"]


def test_an_option_of_a_verb_is_handed_on_and_counts(done):
    run = done.run("--train-options", "--lr 0.1")
    assert "train options was '', is now '--lr 0.1'" in run.stdout
    assert all("--lr" in call for call in done.calls() if call[0] == "train")
    assert stages_redone(run.stdout)[0] == "train"


def test_a_mistyped_option_costs_no_result(done):
    before = (done.path / "exp/fbank_emotion/seed0/fold1/model.safetensors").read_text()
    assert done.run("--train-options", "--lr x", FAKE_TRAIN="fail").returncode == 2
    assert (done.path / "exp/fbank_emotion/seed0/fold1/model.safetensors").read_text() == before


def test_force_does_the_stages_asked_for(done):
    run = done.run("--stage", "3", "--stop-stage", "3", "--force")
    assert stages_redone(run.stdout) == ["extract"]
    assert "forced" in run.stdout
    assert done.verbs() == ["extract"]


def test_all_sets_are_checked_in_one_call(recipe):
    sets = "train validation test"
    words = ("--db-root", str(recipe.corpus), "--data-sets", sets, "--stop-stage", "lint", "--nj", "2")
    assert recipe.run(*words, FAKE_SETS=sets).returncode == 0
    call = ["lint", "data/train", "data/validation", "data/test", "--html", "lint.html", "--nj", "2"]
    assert recipe.calls()[1:] == [call]


def test_what_the_linter_allows_is_a_setting(done):
    run = done.run("--lint-options", "--allow speaker-overlap", "--stop-stage", "lint")
    assert "is now 'ser lint data/all --allow speaker-overlap'" in run.stdout
    assert done.calls()[0][2:4] == ["--allow", "speaker-overlap"]
    run = done.run("--extract-options", "--skip-broken", "--stop-stage", "lint")
    assert done.calls()[0][2:4] == ["--allow", "broken-audio"]


def test_the_linter_stops_the_recipe(recipe):
    run = recipe.run("--db-root", str(recipe.corpus), FAKE_LINT="fail")
    assert run.returncode == 2
    assert "stage 2 lint failed at sets" in run.stderr
    assert recipe.verbs() == ["prepare", "lint"]


def test_stages_by_name_and_by_number(done):
    assert stages_said(done.run("--stage", "train", "--stop-stage", "9").stdout) == ["train", "predict"]


def test_failure_tells_stage_command_log_cause_and_the_way_on(recipe):
    options = ["--db-root", str(recipe.corpus), "--seeds", "0"]
    run = recipe.run("--stage", "1", *options, "--force", FAKE_TRAIN="fail")
    assert run.returncode == 2
    told = run.stderr
    assert "stage 8 train failed at fbank_emotion/seed0" in told
    assert "ser train --config conf/emotion.yaml" in told
    assert "    ser: error: data/all/utt2emo:3: no such class: 'joy'." in told
    assert "likely cause: data/all/utt2emo:3: no such class: 'joy'." in told
    assert "log/train_fbank_emotion_seed0.1.log" in told
    way_on = f"./run.sh --stage 8 --db-root {recipe.home}/my\\ corpus --seeds 0"
    assert told.rstrip().endswith(f"to go on:     {way_on}")
    again = subprocess.run(
        ["bash", "-c", way_on], cwd=recipe.path, env=recipe.environment, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert stages_said(again.stdout) == ["train", "predict", "score", "benchmark"]


def test_failure_of_the_machine_is_explained(recipe):
    run = recipe.run("--db-root", str(recipe.corpus), FAKE_EXTRACT="disk")
    assert run.returncode == 1
    assert "stage 3 extract failed at fbank/all" in run.stderr
    assert "likely cause: the disk is full" in run.stderr


def test_a_command_that_keeps_no_promise_is_no_success(recipe):
    run = recipe.run("--db-root", str(recipe.corpus), FAKE_TRAIN="nothing")
    assert run.returncode == 2
    assert "ended without an error and did not write exp/fbank_emotion/config.yaml" in run.stderr
    assert stages_redone(recipe.run().stdout)[0] == "train"


def test_killed_work_is_not_believed_and_leaves_no_process(done, alive, wait_for):
    (done.path / "data/all/utt2emo").write_text("a fear\n")
    process = subprocess.Popen(
        **done.command(FAKE_TRAIN="hang"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    hanging = done.path / "hanging.pid"
    wait_for(lambda: hanging.exists() and hanging.read_text())
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "stopped in stage 8 train; to go on: ./run.sh --stage 8" in told
    wait_for(lambda: not alive(int(hanging.read_text())))
    run = done.run()
    assert "fbank_emotion/seed0: it was begun and not finished" in run.stdout
    assert stages_redone(run.stdout)[:2] == ["train", "predict"]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("lint", "stage 2 lint wants data/all/utt2spk, which stage 1 (data) makes: run ./run.sh --stage 1"),
        ("extract", "stage 3 extract wants data/all/wav.scp, which stage 1 (data) makes"),
        ("train", "stage 8 train wants data/all/utt2spk, which stage 1 (data) makes"),
        ("benchmark", "stage 13 benchmark wants exp/*/scores*.json, which stage 12 (score) makes"),
    ],
)
def test_stage_without_its_predecessor(recipe, stage, message):
    run = recipe.run("--stage", stage)
    assert run.returncode == 2
    assert message in run.stderr
    assert recipe.calls() == []


def test_later_stage_without_its_predecessor(recipe):
    recipe.run("--db-root", str(recipe.corpus), "--stop-stage", "lint")
    for stage, path in (("train", "feats/fbank/all/meta.yaml, which stage 3 (extract)"),):
        assert f"wants {path}" in recipe.run("--stage", stage).stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stage", "extract-text"), "stage 4 extract-text is off in this recipe"),
        (("--stage", "units"), "stage 5 units is off in this recipe"),
        (("--stop-stage", "11"), "stage 11 fuse is off in this recipe"),
        (("--stage", "trian"), "there is no stage 'trian'. Stages: data lint extract"),
        (("--stage", "9", "--stop-stage", "8"), "--stage 9 comes after --stop-stage 8"),
        (("--nj", "many"), "--nj takes a number, not 'many'"),
        (("--seeds", "0 one"), "--seeds takes numbers, not 'one'"),
        (("--upstreams", ""), "--upstreams is empty"),
        (("--upstreams", "hf:a/base hf:b/base"), "--upstreams: two would be called 'base'"),
        (("--train-configs", "conf/none.yaml"), "--train-configs: there is no file 'conf/none.yaml'"),
        (("--data-sets", "train test"), "--data-sets is one cross-validated set, or"),
        (("--db-root", "/no/such"), "--db-root: there is no folder '/no/such'. Toys are at the toy shop."),
        (("--upstream", "fbank"), "unknown option --upstream, did you mean --upstreams."),
        (("extra",), "'extra' is no option"),
        ((), "where is the corpus? Give its folder: ./run.sh --db-root <folder>. Toys are at the toy shop."),
    ],
)
def test_mistakes_are_refused_before_anything_is_done(recipe, words, message):
    run = recipe.run(*words)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert recipe.calls() == []
    assert not (recipe.path / ".marks").exists()


def test_train_validation_and_test_sets(recipe):
    sets = "train validation test1 test2"
    run = recipe.run("--db-root", str(recipe.corpus), "--data-sets", sets, "--nj", "1", FAKE_SETS=sets)
    assert run.returncode == 0, run.stderr
    [train] = [call for call in recipe.calls() if call[0] == "train"]
    words = " ".join(train)
    assert "--data data/train --feats feats/fbank/train" in words
    assert "--validation-data data/validation --validation-feats feats/fbank/validation" in words
    assert "--test-data [data/test1,data/test2] --test-feats [feats/fbank/test1,feats/fbank/test2]" in words
    scored = [" ".join(call) for call in recipe.calls() if call[0] == "score"]
    assert scored == [
        f"score exp/fbank_emotion --data data/{name} --set {name}" for name in ("test1", "test2")
    ]


def test_paths_are_as_the_caller_sees_them(recipe, tmp_path):
    (tmp_path / "models" / "my-encoder").mkdir(parents=True)
    (tmp_path / "models" / "my-encoder" / "config.json").write_text("{}")
    words = ("--db-root", "my corpus", "--upstreams", "hf:models/my-encoder/", "--stop-stage", "3")
    run = recipe.run(*words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (recipe.path / "feats/my-encoder/all/meta.yaml").exists()
    assert {call[call.index("--upstream") + 1] for call in recipe.calls() if call[0] == "extract"} == {
        f"hf:{tmp_path}/models/my-encoder"
    }
    (tmp_path / "models" / "my-encoder" / "config.json").write_text("{ }")
    assert "checkpoint of my-encoder/config.json changed" in recipe.run(*words, cwd=tmp_path).stdout
