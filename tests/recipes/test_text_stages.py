"""Stage 4, extract-text, with a stand-in for ser."""

import pytest

from tests.recipes.test_engine import stages_redone

WORDS = ("--text-encoder", "hf:all-MiniLM-L6-v2")


def text_of(recipe, words):
    (recipe.path / "data" / "all").mkdir(parents=True, exist_ok=True)
    (recipe.path / "data" / "all" / "text").write_text(f"a {words}\n")


@pytest.fixture
def told(recipe):
    """A recipe with transcripts, after a complete run, and what that said."""
    text_of(recipe, "hello")
    run = recipe.run("--db-root", str(recipe.corpus), *WORDS)
    assert run.returncode == 0, run.stderr
    return recipe, run.stdout


def test_embeddings_are_made_once_and_every_training_is_given_them(told):
    recipe, said = told
    redone = stages_redone(said)
    assert redone[redone.index("extract") + 1] == "extract-text"
    feats = "feats/all-MiniLM-L6-v2/all"
    calls = [" ".join(call) for call in recipe.calls()]
    assert [call for call in calls if call.startswith("text ")] == [
        f"text data/all --encoder hf:all-MiniLM-L6-v2 --out {feats}"
    ]
    trained = [call for call in calls if call.startswith("train ")]
    assert trained and all(f"--text-feats {feats}" in call for call in trained)


def test_other_words_are_noticed_and_nothing_else_is_done_again(told):
    recipe, _ = told
    assert recipe.run(*WORDS).returncode == 0
    assert recipe.calls() == []
    text_of(recipe, "goodbye")
    assert recipe.run(*WORDS, "--stage", "extract").returncode == 0
    assert recipe.verbs() == ["text", "train", "predict", "score", "benchmark"]
    recipe.run(*WORDS, "--stage", "extract", "--text-options", "--normalise true")
    assert "text" in recipe.verbs()


def test_without_an_encoder_the_stage_is_off(recipe):
    listed = recipe.run("--list").stdout
    assert next(row for row in listed.splitlines() if "extract-text" in row).endswith("(off in this recipe)")
    run = recipe.run("--db-root", str(recipe.corpus))
    assert run.returncode == 0, run.stderr
    assert not any("--text-feats" in " ".join(call) for call in recipe.calls())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text-encoder", "minilm"), "'minilm' is not hf:<folder or hub name>"),
        (("--text-encoder", "hf:a hf:b"), "is not hf:<folder or hub name>"),
        (("--text-encoder", "hf:models/fbank"), "'fbank' is an upstream's name as well"),
    ],
)
def test_mistakes(recipe, options, message):
    run = recipe.run("--db-root", str(recipe.corpus), *options)
    assert run.returncode == 2
    assert message in run.stderr
