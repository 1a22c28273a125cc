"""Paths and names out of a corpus's files: nothing leads out, nothing leads round, ids are words."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.corpora.paths import find_files, inside, word

PIECES = st.lists(
    st.sampled_from(["..", ".", "a", "b c", "", "/", "\\", "..\\", "~"]), min_size=1, max_size=8
)


@given(root=st.sampled_from([".", "..", "a", "a/..", "/data", "/", "./a/../.."]), pieces=PIECES)
def test_whatever_a_table_says_the_path_is_below_the_root_or_refused(root, pieces):
    try:
        path = inside(Path(root), "/".join(pieces))
    except UserError:
        return
    assert Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))
    assert ".." not in path.relative_to(root).parts


@given(parts=st.lists(st.from_regex(r"[a-z0-9 _.-]*[a-z0-9]", fullmatch=True), min_size=1, max_size=4))
def test_plain_names_are_taken_as_they_are(parts):
    name = "/".join(parts)
    assert inside(Path("/data"), name) == Path("/data") / name.strip()
    assert inside(Path("/data"), name.replace("/", "\\")) == Path("/data") / name.strip()


@pytest.mark.parametrize(
    "name",
    ["../a.wav", "a/../../b.wav", "/etc/passwd", "..\\a.wav", "a/../..", "", " ", "a\0.wav", "/data2/a.wav"],
)
@pytest.mark.parametrize("root", ["/data", "data", "."])
def test_what_leads_out_is_refused_with_file_and_line(root, name):
    with pytest.raises(UserError, match=r"^labels\.csv:7: a path that leads out of the corpus's folder"):
        inside(Path(root), name, file="labels.csv", line=7)


def test_an_absolute_name_may_lead_into_the_root(tmp_path, monkeypatch):
    assert inside(tmp_path, f"{tmp_path}/a/b.wav") == tmp_path / "a" / "b.wav"
    monkeypatch.chdir(tmp_path)
    assert inside(Path("."), f"{tmp_path}/a.wav") == Path("a.wav")


def test_names_of_one_file_become_one_path(tmp_path):
    names = ("a/b.wav", "./a/b.wav", "a//b.wav", "a/c/../b.wav", " a/b.wav ", f"{tmp_path}/a/b.wav")
    assert {inside(tmp_path, name) for name in names} == {tmp_path / "a" / "b.wav"}


@pytest.fixture
def tree(tmp_path):
    for name in ("b.wav", "a/x.WAV", "a/y.flac", "a/notes.txt", "c/d/e.mp3"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).touch()
    return tmp_path / "tree"


def found(root, *suffixes):
    return [str(path.relative_to(root)) for path in find_files(root, *suffixes)]


def test_files_are_found_sorted_whatever_their_capitals(tree):
    assert found(tree) == ["a/x.WAV", "a/y.flac", "b.wav", "c/d/e.mp3"]
    assert found(tree, (".flac",)) == ["a/y.flac"]
    assert {inside(tree, name) for name in found(tree)} == set(find_files(tree))


def test_links_are_followed_and_may_lead_to_one_folder_twice(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.wav").touch()
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "again").symlink_to(tmp_path / "elsewhere")
    assert found(tree, (".wav",)) == ["a/x.WAV", "again/z.wav", "b.wav", "link/z.wav"]


@pytest.mark.parametrize("target", [".", "..", "../../c"])
def test_a_circle_of_links_is_refused(tree, target):
    (tree / "c" / "d" / "round").symlink_to(target)
    with pytest.raises(UserError, match=r"symbolic links lead round in a circle\. Remove the link") as caught:
        find_files(tree)
    assert str(caught.value).startswith(f"{tree}/c/d/round")


def test_a_link_to_itself_and_a_link_to_nothing(tree):
    (tree / "gone.wav").symlink_to("nowhere.wav")
    assert "gone.wav" in found(tree)  # whoever reads it is told that there is no such file
    (tree / "self.wav").symlink_to("self.wav")
    with pytest.raises(UserError, match=r"self\.wav|cannot be read"):
        find_files(tree)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none: cannot be read \(No such file"):
        find_files(tmp_path / "none")


@given(st.text(max_size=20))
def test_a_word_is_one_part_of_an_id(text):
    try:
        plain = word(text)
    except UserError:
        assert not any(char.isalnum() for char in text)
        return
    assert plain.split() == [plain]
    assert "-" not in plain
    assert word(plain) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ross and Joey", "Ross_and_Joey"),
        ("Mary-Ann", "Mary_Ann"),
        (" a ", "a"),
        ("Zoë", "Zoë"),
        ("03a.b", "03a_b"),
    ],
)
def test_words(text, expected):
    assert word(text) == expected
