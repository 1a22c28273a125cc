"""Tables: what is written is read, and every malformed file is refused with its line."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.data.table import read_rows, read_table, write_table

WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
VALUE = st.lists(WORD, min_size=1, max_size=3).map(" ".join)


@given(table=st.dictionaries(WORD, VALUE, min_size=1))
def test_round_trip_in_c_order(table, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "table"
    write_table(path, table)
    assert read_table(path) == table
    keys = list(read_table(path))
    assert keys == sorted(table, key=str.encode)
    assert read_rows(path) == [(line, key, table[key]) for line, key in enumerate(keys, 1)]


def test_order_is_that_of_sort(tmp_path):
    write_table(
        tmp_path / "t", {key: "x" for key in ("a-1", "a1", "A", "b", "ä", "a", "Z", "_", "a-10", "a-2")}
    )
    done = subprocess.run(["sort", "-c", "-k1,1", tmp_path / "t"], env={"LC_ALL": "C"}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", None, "empty file"),
        (b"a 1\nc 1\nb 1\n", 3, "not sorted"),
        (b"a 1\nb 1\na 1\n", 3, "duplicate key (first on line 1)"),
        (b"a 1\na 2\n", 2, "duplicate key"),
        (b"a 1\nb\n", 2, "key without a value"),
        (b"a 1\nb   \n", 2, "key without a value"),
        (b"a 1\n\nb 1\n", 2, "empty line"),
        (b"a 1\nb 2", 2, "cut short"),
        (b"a 1\r\nb 2\r\n", 1, "Windows line end"),
        (b"a 1\nb sch\xf6n\n", 2, "not UTF-8"),
        (b"\xef\xbb\xbfa 1\n", 1, "byte order mark"),
    ],
)
def test_malformed_files(tmp_path, content, line, words):
    path = tmp_path / "utt2emo"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert caught.value.line == line
    assert str(caught.value).startswith(str(path))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_table(tmp_path / "none")


def test_tabs_and_inner_blanks(tmp_path):
    (tmp_path / "t").write_text("a\tx  y \nb \u00a0z\n", encoding="utf-8")
    assert read_table(tmp_path / "t") == {"a": "x  y", "b": "\u00a0z"}


@pytest.mark.parametrize("table", [{"a b": "1"}, {"": "1"}, {"a": ""}, {"a": " "}, {"a": "1\n2"}])
def test_nothing_is_written_of_a_bad_table(tmp_path, table):
    write_table(tmp_path / "t", {"k": "old"})
    with pytest.raises(UserError):
        write_table(tmp_path / "t", {"k": "new", **table})
    assert (tmp_path / "t").read_text() == "k old\n"
