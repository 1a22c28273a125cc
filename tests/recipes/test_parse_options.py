"""utils/parse_options.sh: values are assigned, unknown names refused, nothing is evaluated."""

import subprocess

import pytest

SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
nj=2
train_options=
force=false
help_message="Usage: toy.sh [options]"
. {root}/utils/parse_options.sh
later=1
printf '<%s>' "$nj" "$train_options" "$force" "$@"
"""


@pytest.fixture
def toy(tmp_path, root):
    script = tmp_path / "toy.sh"
    script.write_text(SCRIPT.format(root=root))

    def run(*words):
        return subprocess.run(["bash", script, *words], capture_output=True, text=True, cwd=tmp_path)

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "<2><><false>"),
        (("--nj", "4"), "<4><><false>"),
        (("--nj=4", "--train-options=--a=b c"), "<4><--a=b c><false>"),
        (("--train_options", "--lr 1"), "<2><--lr 1><false>"),
        (("--force",), "<2><><true>"),
        (("--force", "--nj", "3"), "<3><><true>"),
        (("--force", "false", "x"), "<2><><false><x>"),
        (("--nj", "4", "a b", "--nj", "5"), "<4><><false><a b><--nj><5>"),
        (("--nj", "4", "--", "--nj", "5"), "<4><><false><--nj><5>"),
        (("--train-options", ""), "<2><><false>"),
        (("--train-options", "$(touch pwned) `touch pwned`"), "<2><$(touch pwned) `touch pwned`><false>"),
    ],
)
def test_values_are_assigned(toy, tmp_path, words, expected):
    done = toy(*words)
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--train-optoins", "x"), "unknown option --train-optoins, did you mean --train-options."),
        (("--zzzzzz", "x"), "unknown option --zzzzzz. See 'toy.sh --help'."),
        (("--help-message", "x"), "unknown option --help-message"),
        (("--later", "x"), "unknown option --later"),
        (("--PATH", "x"), "unknown option --PATH"),
        (("--a[$(touch pwned)]", "x"), "unknown option --a[$(touch pwned)]"),
        (("-n", "4"), "unknown option -n."),
        (("--nj",), "--nj needs a value."),
        (("--force=maybe",), "--force takes true or false, not 'maybe'."),
        (("--config", "none.conf"), "--config: there is no file 'none.conf'."),
    ],
)
def test_mistakes_are_refused(toy, tmp_path, words, message):
    done = toy(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("toy.sh: error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
    assert not (tmp_path / "pwned").exists()


def test_variables_of_the_environment_are_no_options(toy, monkeypatch):
    monkeypatch.setenv("http_proxy", "a")
    assert "unknown option" in toy("--http-proxy", "b").stderr


def test_help(toy):
    done = toy("--nj", "3", "--help")
    assert (done.stdout, done.returncode) == ("Usage: toy.sh [options]\n", 0)


def test_configuration_file_counts_before_the_command_line(toy, tmp_path):
    (tmp_path / "my.conf").write_text("# mine\n\nnj=7\ntrain-options = \n".replace(" = ", "='--lr 1' "))
    assert toy("--nj", "3", "--config", "my.conf").stdout == "<3><--lr 1><false>"
    assert toy("--config=my.conf").stdout == "<7><--lr 1><false>"


def test_configuration_file_is_data(toy, tmp_path):
    (tmp_path / "my.conf").write_text("nj=$(touch pwned)\n")
    assert toy("--config", "my.conf").stdout == "<$(touch pwned)><><false>"
    (tmp_path / "my.conf").write_text("nj=1\ntouch pwned\n")
    assert "my.conf:2: not a name=value line: 'touch pwned'." in toy("--config", "my.conf").stderr
    (tmp_path / "my.conf").write_text("njj=1\n")
    assert "my.conf:1: unknown option --njj, did you mean --nj." in toy("--config", "my.conf").stderr
    assert not (tmp_path / "pwned").exists()
