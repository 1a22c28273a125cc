"""The undisturbed run, verb by verb."""

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.pipeline import VERBS, call, make_corpus, results


class Undisturbed:
    """The small pipeline before and after every verb.

    Args:
        home: where it runs, always: paths are in its files.
        before: verb -> copy of ``home`` as the verb finds it.
        after: verb -> what ``results`` says when the verb is done.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.before, self.after = home, {}, {}

    def put_back(self, verb: str) -> None:
        """``home`` as ``verb`` finds it."""
        shutil.rmtree(self.home)
        shutil.copytree(self.before[verb], self.home)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Every verb once, without faults."""
    run = Undisturbed(tmp_path_factory.mktemp("faults") / "home")
    run.home.mkdir()
    make_corpus(run.home)
    monkeypatch, here = pytest.MonkeyPatch(), os.getcwd()
    os.chdir(run.home)
    for verb in VERBS:
        run.before[verb] = run.home.with_name(f"before-{verb}")
        shutil.copytree(run.home, run.before[verb])
        assert call(verb, monkeypatch) == 0, verb
        run.after[verb] = results(run.home)
    os.chdir(here)
    return run


@pytest.fixture
def undisturbed(finished, monkeypatch):
    """The pipeline, and its folder as working directory."""
    monkeypatch.chdir(finished.home.parent)
    return finished
