"""The recipes themselves: what works before anything is installed, and that nothing is copied."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ser.upstream.registry import tag_of

ROOT = Path(__file__).resolve().parents[2]
# cross_corpus has stages of its own: tests/recipes/test_cross_corpus.py.
RECIPES = sorted(path.parent for path in ROOT.glob("egs/*/*/run.sh") if "cross_corpus" not in path.parts)
SHARED_FILES = ("path.sh", "cmd.sh", "utils")
VERBS = ("prepare", "lint", "extract", "train", "predict", "score", "benchmark")
MORE_VERBS = {
    "papt1": (*VERBS, "units", "papt", "calibrate"),
    "finetune1": (*VERBS, "text", "finetune", "fuse"),
    "mal1": ("prepare", "lint", "extract", "memory-train", "memory-predict", "score", "benchmark"),
}


def engine_of(recipe: Path) -> str:
    """The stage engine of a recipe: that for conversations, or that for utterances."""
    return "mal.sh" if recipe.name.startswith("mal") else "ser.sh"


def bare_environment(tmp_path: Path) -> dict[str, str]:
    """A machine on which nothing of ours is installed: bash, core and find utilities, a bare Python."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in (
        "bash",
        "env",
        "sed",
        "awk",
        "grep",
        "sort",
        "tr",
        "basename",
        "dirname",
        "readlink",
        "nproc",
        "find",
        "xargs",
        "printf",
    ):
        (bin_folder / name).symlink_to(shutil.which(name))
    python = bin_folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {shutil.which("python3")} -S "$@"\n')
    python.chmod(0o755)
    return {"PATH": str(bin_folder), "HOME": str(tmp_path), "SER_VENV": str(tmp_path / "none")}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_list_and_dry_run_before_anything_is_installed(recipe, tmp_path):
    copy = tmp_path / "copy"
    for part in ("egs", "utils", "ser/core", "ser/__init__.py", "tools"):
        ignore = shutil.ignore_patterns("data", "feats", "exp", "log", ".marks", "__pycache__")
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / part, copy / part)
    here = copy / recipe.relative_to(ROOT)
    before = sorted(copy.rglob("*"))
    environment = bare_environment(tmp_path)
    listed = subprocess.run([here / "run.sh", "--list"], env=environment, capture_output=True, text=True)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert len(listed.stdout.splitlines()) == {"ser.sh": 13, "mal.sh": 7}[engine_of(recipe)]
    assert listed.stdout.count("not in this release") == 0
    off = {"papt1": 2, "finetune1": 4, "mal1": 0}.get(recipe.name, 6)
    assert listed.stdout.count("off in this recipe") == off
    dry = subprocess.run([here / "run.sh", "--dry-run"], env=environment, capture_output=True, text=True)
    assert (dry.returncode, dry.stderr) == (0, "")
    for verb in MORE_VERBS.get(recipe.name, VERBS):
        own_data = verb == "prepare" and "bash local/data.sh --" in dry.stdout
        assert own_data or f"ser {verb} " in dry.stdout
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recipes_link_the_engine(recipe):
    for name in (engine_of(recipe), *SHARED_FILES):
        assert (recipe / name).is_symlink(), f"{recipe / name} is a copy"
        assert not os.readlink(recipe / name).startswith("/")
        assert (recipe / name).exists()
    assert len((recipe / "run.sh").read_text().splitlines()) <= 40


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_recipes_tell_about_themselves(recipe):
    assert (recipe / "README.md").is_file()
    done = subprocess.run([recipe / "run.sh", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--upstreams" in done.stdout


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("fbank", "length"),
        ("egemaps", "length"),
        ("hubert_base", "length"),
        ("s3prl:wavlm_large", "length"),
        ("s3prl:hubert_local:/a/b/my.encoder.pt", "length"),
        ("s3prl:hubert_local:/a/b/encoder", "length"),
        ("hf:/a/b/whisper-base-encoder", "length"),
        ("hf:/a/b/whisper-base-encoder/", "30 s"),
        ("hf:openai/whisper-base", "30 s"),
        ("fbank", "length"),
        ("hf:/a/my model (2)", "length"),
        ("papt:/a/b/large", "length"),
        ("papt:/a/b/large/encoder/", "length"),
    ],
)
def test_short_names_of_upstreams_are_the_package_s(name, context):
    options = "--whisper-context 30s" if context == "30 s" else ""
    script = '. utils/upstream_names.sh; tag_of "$1" "$2"'
    said = subprocess.run(
        ["bash", "-c", script, "-", name, options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout == tag_of(name, context) + "\n"
