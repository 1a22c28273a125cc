"""--local-models: models that a recipe makes for itself in stage 1, with a stand-in for ser."""

import shutil

import pytest

from tests.recipes.conftest import make_recipe
from tests.recipes.test_engine import stages_redone

SCRIPT = """for name in audio words; do
  mkdir -p exp/models/$name
  echo '{}' >exp/models/$name/config.json
  echo 1 >exp/models/$name/model.safetensors
done
echo models >>calls.txt
"""
MODELS = (
    *("--local-models", "bash local/models.sh"),
    *("--upstreams", "fbank"),
    *("--finetune-upstreams", "hf:exp/models/audio"),
    *("--finetune-configs", "conf/finetune.yaml"),
    *("--text-encoder", "hf:exp/models/words"),
)


def put(recipe, path, text):
    (recipe.path / path).parent.mkdir(parents=True, exist_ok=True)
    (recipe.path / path).write_text(text)


def modelled_recipe(home, root):
    recipe = make_recipe(home, root)
    put(recipe, "local/models.sh", SCRIPT)
    put(recipe, "conf/finetune.yaml", "a: 1\n")
    put(recipe, "data/all/text", "a hello\n")
    return recipe


@pytest.fixture
def modelled(tmp_path, root):
    """A recipe that makes its models, never run."""
    return modelled_recipe(tmp_path, root)


@pytest.fixture(scope="module")
def once(tmp_path_factory, root):
    """The same after a complete run, its calls, and a copy of it."""
    recipe = modelled_recipe(tmp_path_factory.mktemp("models") / "home", root)
    run = recipe.run("--db-root", str(recipe.corpus), *MODELS)
    assert run.returncode == 0, run.stderr
    copy = recipe.home.with_name("copy")
    shutil.copytree(recipe.home, copy, symlinks=True)
    return recipe, recipe.calls(), copy


@pytest.fixture
def made(once):
    """A recipe after a complete run, put back as it was then, and its calls."""
    recipe, calls, copy = once
    shutil.rmtree(recipe.home)
    shutil.copytree(copy, recipe.home, symlinks=True)
    return recipe, calls


def test_models_are_made_first_and_read_by_their_place_in_the_recipe(made):
    _, calls = made
    assert calls[0] == ["models"]
    finetune = next(call for call in calls if call[0] == "finetune")
    assert finetune[finetune.index("--upstream") + 1] == "hf:exp/models/audio"
    assert finetune[finetune.index("--exp") + 1] == "exp/audio_finetune"
    text = next(call for call in calls if call[0] == "text")
    assert text[text.index("--encoder") + 1] == "hf:exp/models/words"


def test_a_second_run_does_nothing(made):
    recipe, _ = made
    run = recipe.run(*MODELS)
    assert (run.returncode, recipe.calls(), stages_redone(run.stdout)) == (0, [], [])


def test_only_what_reads_a_model_is_done_again_when_it_changes(made):
    recipe, _ = made
    put(recipe, "local/models.sh", SCRIPT.replace("echo 1", "echo 2"))
    run = recipe.run(*MODELS)
    assert "local/models.sh" in run.stdout
    assert recipe.verbs() == ["models", "text", "finetune", "predict", "score", "benchmark"]


def test_a_model_that_is_gone_is_made_again_and_nothing_else(made):
    recipe, _ = made
    (recipe.path / "exp" / "models" / "audio" / "model.safetensors").unlink()
    assert recipe.run(*MODELS).returncode == 0
    assert recipe.calls() == [["models"]]


def test_a_command_that_leaves_a_model_out_is_an_error(modelled):
    put(modelled, "local/models.sh", SCRIPT.replace("audio words", "audio"))
    run = modelled.run("--db-root", str(modelled.corpus), *MODELS)
    assert run.returncode == 2
    assert "did not write exp/models/words/config.json" in run.stderr


def test_dry_run_makes_none(modelled):
    before = sorted(modelled.path.rglob("*"))
    run = modelled.run("--dry-run", "--db-root", str(modelled.corpus), *MODELS)
    assert run.returncode == 0, run.stderr
    assert "bash local/models.sh" in run.stdout and "ser finetune" in run.stdout
    assert sorted(modelled.path.rglob("*")) == before


def test_a_stage_alone_says_which_one_makes_its_model(made):
    recipe, _ = made
    shutil.rmtree(recipe.path / "exp" / "models" / "words")
    run = recipe.run("--stage", "extract-text", *MODELS)
    assert run.returncode == 2
    assert "wants exp/models/words, which stage 1 (data) makes" in run.stderr


def test_without_the_option_such_a_folder_is_the_user_s_own(modelled):
    put(modelled, "exp/models/audio/config.json", "{}")
    run = modelled.run("--db-root", str(modelled.corpus), "--upstreams", "hf:exp/models/audio")
    assert run.returncode == 0, run.stderr
    extract = next(call for call in modelled.calls() if call[0] == "extract")
    assert extract[extract.index("--upstream") + 1] == f"hf:{modelled.path}/exp/models/audio"
