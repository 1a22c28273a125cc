"""A benchmark over the toy recipe of tests/recipes: the real stage engine, with a stand-in for ``ser``."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ser.benchmark.config import read_grid
from ser.benchmark.plan import make_plan
from ser.benchmark.run import run_plan
from tests.recipes.conftest import Recipe, make_recipe

# Before the stand-in: $FAKE_<VERB> counts only for calls with $FAKE_WHEN in them; $MEET makes the features of
# an upstream wait until so many are under way.
WRAPPER = """#!/bin/sh
case "$*" in *"$FAKE_WHEN"*) ;; *) unset FAKE_TRAIN FAKE_EXTRACT FAKE_PREPARE ;; esac
if [ -n "$MEET" ] && [ "$1" = extract ]; then
  echo begin >>"$HOME/trace"
  for i in $(seq 600); do [ "$(grep -c begin "$HOME/trace")" -ge "$MEET" ] && break; sleep 0.1; done
  sleep 0.3
  echo end >>"$HOME/trace"
fi
exec "$(dirname "$0")/stand-in" "$@"
"""


class Bench:
    """A benchmark's file beside its recipe, and ways to run it."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.file = recipe, recipe.home / "bench.yaml"
        self.write(self.content())

    def content(self, **changes: object) -> dict:
        """Two upstreams by one configuration."""
        entry = {"recipe": "egs/toy/ser1", "configs": ["conf/emotion.yaml"]}
        entry["db_root"] = self.recipe.corpus.name
        return {"upstreams": ["fbank", "mfcc"], "recipes": [entry], "nj": 1, **changes}

    def write(self, content: object) -> None:
        self.file.write_text(yaml.safe_dump(content))

    def plan(self, *only: str, **changes: object):
        if changes:
            self.write(self.content(**changes))
        return make_plan(read_grid(self.file), only)

    def run(self, *only: str, **changes: object):
        """Outcomes' states by task, what was called being forgotten before."""
        plan = self.plan(*only, **changes)
        (self.recipe.path / "calls.txt").unlink(missing_ok=True)
        return {each.task.name.removeprefix("toy/ser1/"): each for each in run_plan(plan)}

    def states(self, *only: str, **changes: object) -> dict[str, str]:
        return {each.cell.name: each.state for each in self.plan(*only, **changes).cells}


def use(bench: Bench, monkeypatch) -> Bench:
    """The benchmark, with its recipe's environment as this process's."""
    for name, value in bench.recipe.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKE_WHEN", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return bench


def make_bench(home: Path, root: Path) -> Bench:
    recipe = make_recipe(home, root)
    stand_in = home / "venv" / "bin" / "ser"
    stand_in.rename(stand_in.with_name("stand-in"))
    stand_in.write_text(WRAPPER)
    stand_in.chmod(0o755)
    return Bench(recipe)


@pytest.fixture
def bench(tmp_path, root, monkeypatch):
    """A benchmark of which nothing was run."""
    return use(make_bench(tmp_path / "home", root), monkeypatch)


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory, root):
    """A benchmark whose recipe was run by its own run.sh, and a copy."""
    bench = make_bench(tmp_path_factory.mktemp("by_hand") / "home", root)
    words = ("--db-root", str(bench.recipe.corpus), "--upstreams", "fbank mfcc")
    command = bench.recipe.command(*words, FAKE_WHEN="")
    run = subprocess.run(**command, cwd=bench.recipe.path, capture_output=True, timeout=1800)
    assert run.returncode == 0, run.stderr
    copy = bench.recipe.home.with_name("copy")
    shutil.copytree(bench.recipe.home, copy, symlinks=True)
    return bench, copy


@pytest.fixture
def done(by_hand, monkeypatch):
    """That benchmark as it was after the run (at the same place: paths are in its data)."""
    bench, copy = by_hand
    shutil.rmtree(bench.recipe.home)
    shutil.copytree(copy, bench.recipe.home, symlinks=True)
    return use(bench, monkeypatch)
