"""What every reader relies on: partial copies told, missing and unlisted files named, the registry."""

import importlib
from argparse import ArgumentParser
from pathlib import Path

import pytest

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.corpora.base import CORPORA, Corpus, corpus_arguments
from ser.corpora.named_files import one_of_each

TOY = Corpus("toy", "Toys", "1", "CC0-1.0", ("http://toys", "a friend"), expected={"calm": 2, "wild": 1})
WHOLE = {"a": "calm", "b": "calm", "c": "wild"}


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_says_what_it_is(name):
    module = importlib.import_module(CORPORA[name])
    corpus = module.CORPUS
    assert corpus.name == name
    assert corpus.title
    assert corpus.licence
    assert corpus.links
    assert all(number > 0 for number in corpus.expected.values())
    parser = Parser(prog=name)
    module.add_arguments(parser)
    assert callable(module.prepare)
    assert "--out" in parser.format_help()


def test_where_to_get_it():
    assert TOY.where == "Toys (CC0-1.0) is to be had at http://toys or a friend"
    for root in (None, ""):
        with pytest.raises(UserError, match=r"--db-root, the folder of Toys, is missing\. Toys \(CC0"):
            TOY.find_root(root)
    with pytest.raises(UserError, match=r"--db-root is no folder: '/no/where'\. Toys"):
        TOY.find_root("/no/where")


def test_a_root_is_a_folder(tmp_path):
    assert TOY.find_root(str(tmp_path)) == tmp_path
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        TOY.find_root(str(tmp_path / "file"))


def test_a_whole_copy_is_not_partial():
    for allow_partial in (True, False):
        assert TOY.check_counts(WHOLE, Path("root"), allow_partial) is False


def test_a_partial_copy_is_refused_or_told(caplog):
    part = {"a": "calm", "c": "wild"}
    with pytest.raises(
        UserError, match=r"root: partial copy, 2 of 3 utterances: 1 of 2 calm\. Complete the copy"
    ):
        TOY.check_counts(part, Path("root"), allow_partial=False)
    assert TOY.check_counts(part, Path("root"), allow_partial=True) is True
    assert "partial copy: 2 of 3 utterances: 1 of 2 calm" in caplog.text


def test_more_than_the_release_is_refused_always():
    for allow_partial in (True, False):
        with pytest.raises(UserError, match="more than the release has, 4 of 3 utterances: 2 of 1 wild"):
            TOY.check_counts({**WHOLE, "d": "wild"}, Path("root"), allow_partial)


def test_other_counts_may_be_expected():
    assert TOY.check_counts({"a": "calm"}, Path("root"), False, expected={"calm": 1}) is False


@pytest.fixture
def root(tmp_path):
    for name in ("a/1.wav", "a/2.wav", "b/3.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_that_are_all_there(root):
    listed = {"z": root / "b/3.wav", "y": root / "a/1.wav"}
    assert TOY.check_files(listed, root, allow_partial=False) == ["z", "y"]


def test_missing_files_are_counted_named_and_logged(root, caplog):
    listed = {name: root / name for name in ("a/1.wav", "a/9.wav", "c/7.wav", "b/3.wav", "b", "d/e/1.wav")}
    with caplog.at_level("INFO", logger="ser"), pytest.raises(UserError) as caught:
        TOY.check_files(listed, root, allow_partial=False)
    assert (
        f"{root}: partial copy, 4 of 6 files that the labels list are missing: a/9.wav, c/7.wav, b and 1 more"
        in str(caught.value)
    )
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("missing: ")]
    assert told == [f"missing: {root / name}" for name in ("a/9.wav", "c/7.wav", "b", "d/e/1.wav")]
    assert TOY.check_files(listed, root, allow_partial=True) == ["a/1.wav", "b/3.wav"]
    assert "partial copy: 4 of 6 files" in caplog.text


def test_no_file_at_all_is_no_partial_copy(root):
    with pytest.raises(UserError, match="no audio: of 1 file that the labels list none is there"):
        TOY.check_files({"x": root / "x.wav"}, root, allow_partial=True)


def test_broken_links_are_missing(root):
    (root / "a" / "gone.wav").symlink_to("nothing")
    (root / "a" / "self.wav").symlink_to("self.wav")
    listed = {name: root / "a" / f"{name}.wav" for name in ("1", "gone", "self")}
    assert TOY.check_files(listed, root, allow_partial=True) == ["1"]


def test_unlisted_files_are_counted_and_named(root, caplog):
    files = sorted(root.rglob("*.wav"))
    assert TOY.report_unlisted(files, files, root) == 0
    assert caplog.records == []
    assert TOY.report_unlisted(files, files[:1], root) == 2
    assert "2 clips in no label file, left out: a/2.wav, b/3.wav" in caplog.text


def test_options_that_every_corpus_has():
    parser = ArgumentParser()
    corpus_arguments(parser)
    defaults = vars(parser.parse_args([]))
    assert defaults == {"db_root": None, "out": "data", "allow_partial": False, "nj": 2}


def test_one_file_of_each_name(root, caplog):
    (root / "b" / "1.wav").touch()
    files = sorted(root.rglob("*.wav"))
    assert one_of_each(files) == {"1": root / "a/1.wav", "2": root / "a/2.wav", "3": root / "b/3.wav"}
    assert f"1 file there twice, taken once: {root / 'b/1.wav'}" in caplog.text
    (root / "b" / "1.wav").write_text("other")
    with pytest.raises(UserError, match="two files of one name that differ"):
        one_of_each(files)
