"""``ser lint``: exit codes, one line for a mistake, the report before it."""

import re

import pytest

from tests.cli.test_main import ser_command
from tests.lint.builder import Sets, recorded


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Three sets, of which test and train share a dialogue."""
    sets = Sets(tmp_path_factory.mktemp("lint"))
    sets.change("test", "utt2dialogue", lambda name, dialogue: dialogue.replace("test_03", "train_03"))
    sets.write()
    return sets.folder


def lint(*words, cwd):
    return ser_command("lint", *words, cwd=cwd)


SETS = ("train", "validation", "test")


def test_errors_end_with_code_2_after_the_report(written):
    done = lint(*SETS, "--no-audio", "--html", "lint.html", cwd=written)
    assert done.returncode == 2
    assert done.stderr == "ser: error: 1 error, listed above. The report is lint.html.\n"
    assert "test/utt2dialogue:4  train_03: 3 in train, 2 in test" in done.stdout
    assert "1 error" in (written / "lint.html").read_text()
    (written / "lint.html").unlink()


def test_what_is_allowed_ends_well(written):
    done = lint(*SETS, "--no-audio", "--allow", "dialogue-overlap", cwd=written)
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning (allowed) dialogue-overlap" in done.stdout


def test_list_names_every_check(written):
    done = lint("--list", cwd=written)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(set(re.findall(r"^[\w-]+", done.stdout, flags=re.M))) > 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no data directory"),
        (("none",), "1 error, listed above"),
        (("train", "../data/train"), "the same data directory twice: '../data/train'"),
        (
            ("train", "--allow", "speaker-overlaps"),
            "no such check: 'speaker-overlaps'. Did you mean 'speaker-overlap'?",
        ),
        (("--allow", "speaker-overlap", "train"), "no such check: 'train'"),
        (("train", "--nj", "many"), "Got value: many"),
        (("train", "--nj", "0"), "--nj must be 1 or more"),
    ],
)
def test_mistakes_are_one_line(written, words, message):
    done = lint(*words, cwd=written)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_place_for_notes_that_is_none(written, tmp_path):
    (tmp_path / "file").write_text("")
    recorded(written.parent / "audio", {})
    done = lint(*SETS, "--work", str(tmp_path / "file"), cwd=written)
    assert done.returncode == 2
    assert "what was heard cannot be noted" in done.stderr and "--work" in done.stderr
