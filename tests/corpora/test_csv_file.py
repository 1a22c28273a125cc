"""CSV as it comes from Windows, and CSV that is wrong: always the line, never a guess."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.corpora.csv_file import plain_text, read_csv


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def cells(rows):
    return [row.cells for row in rows]


TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x85\u2028\u2029"), max_size=12
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_what_is_written_is_read(write, rows, end, bom):
    """Quoted cells, any line end, with and without a byte order mark; blanks around cells go."""
    lines = ["a,b", *(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)]
    path = write(("\ufeff" if bom else "") + end.join([*lines, ""]))
    kept = [{"a": a.strip(), "b": b.strip()} for a, b in rows if a.strip() or b.strip()]
    if kept:
        assert cells(read_csv(path, ("a", "b"))) == kept
    else:
        with pytest.raises(UserError, match="no rows"):
            read_csv(path, ("a", "b"))


def test_optional_columns_and_order(write):
    rows = read_csv(write("c, a ,x\n1,2,3\n\n4,5,6\n"), ("a",), ("b", "c"))
    assert cells(rows) == [{"a": "2", "c": "1"}, {"a": "5", "c": "4"}]
    assert [row.line for row in rows] == [2, 4]
    assert rows[0]["b"] == ""


def test_a_cell_over_several_lines(write):
    rows = read_csv(write('a,b\n"one\ntwo",x\n3,y\n'), ("a", "b"))
    assert rows[0]["a"] == "one\ntwo"
    assert [row.line for row in rows] == [3, 4]


def test_another_delimiter(write):
    assert cells(read_csv(write("a\tb\n1,5\t2\n"), ("a", "b"), delimiter="\t")) == [{"a": "1,5", "b": "2"}]


def test_windows_1252_is_read_with_a_warning(write, caplog):
    path = write("a,text\n1,fine\n2,It\u2019s \u201cfine\u201d\u2026\n".encode("cp1252"))
    rows = read_csv(path, ("a", "text"))
    assert plain_text(rows[1]["text"]) == 'It\'s "fine"...'
    assert f"{path}:3: not UTF-8, read as Windows-1252" in caplog.text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("It\u0092s", "It's"),
        ("\u0093so\u0094", '"so"'),
        ("wait\u0085", "wait..."),
        ("a\u0096b \u0097", "a-b -"),
        ("\u201cIt\u2019s\u201d", '"It\'s"'),
        (" two\n lines\t", "two lines"),
        ("no\u00a0break", "no break"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_plain_text(text, plain):
    assert plain_text(text) == plain
    assert plain_text(plain) == plain


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a,c\n1,2\n", ":1: lacks the column b. It has a, c"),
        ("x\n1\n", ":1: lacks the column a, b"),
        ("a,b,a\n1,2,3\n", ":1: two columns of one name: 'a'"),
        ("a,b\n1,2\n1,2,3\n", ":3: 3 cells, and the header has 2: '1,2,3'"),
        ("a,b\n\n1\n", ":3: 1 cell, and the header has 2"),
        ("a,b\n", ": no rows"),
        ("a,b\n,\n \n", ": no rows"),
        ("", ": empty file"),
        ("\n \n", ": empty file"),
        ("\ufeffa,c\n1,2\n", ":1: lacks the column b. It has a, c"),
        (b"a,b\n1,\0\n", ": no text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), ": no text in UTF-8"),
        ('a,b\n1,"x"y\n', ":2: no well-formed CSV"),
        ('a,b\n1,2\n3,"open\n', "no well-formed CSV (unexpected end of data)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(write, content, complaint):
    path = write(content)
    with pytest.raises(UserError) as caught:
        read_csv(path, ("a", "b"))
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="none: no such file"):
        read_csv(tmp_path / "none", ("a",))
    with pytest.raises(UserError, match="cannot be read"):
        read_csv(tmp_path, ("a",))


def test_cells_that_must_be_something(write):
    (row,) = read_csv(write("a,b,c,d,e\n1.5,,nan,inf,two\n"), ("a", "b", "c", "d", "e"))
    assert (row.number("a"), row.number("b"), row.need("a")) == (1.5, None, "1.5")
    for column in ("c", "d", "e"):
        with pytest.raises(UserError, match=rf"labels\.csv:2: {column} is not a number: '"):
            row.number(column)
    with pytest.raises(UserError, match=r"labels\.csv:2: empty b"):
        row.need("b")


def test_a_long_cell(write):
    assert len(read_csv(write(f"a,b\n1,{'x' * 300_000}\n"), ("a", "b"))[0]["b"]) == 300_000
