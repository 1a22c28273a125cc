"""The label files of IEMOCAP, line by line: what the release has, and what no release should have."""

import logging
from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.corpora import iemocap
from ser.corpora.iemocap.evaluation import Turn, read_evaluation, soft_label
from ser.corpora.iemocap.release import Selection
from ser.corpora.iemocap.transcripts import read_transcripts
from tests.fixtures import iemocap as fixture
from tests.fixtures.speech import Tone

NAME = "Ses01F_impro05"
# The example of corpora.md, with the lines that follow it in the release.
BLOCK = """[140.2250 - 145.6000]\tSes01F_impro05_F019\tang\t[1.5000, 4.0000, 4.5000]
C-E1:\tAnger;\t()
C-E3:\tAnger; Frustration;\t(loud; (and) clear)
C-E4:\tNeutral state;\t()
C-F1:\tSurprise;\t()
A-E3:\tval 2; act 4; dom  4;\t()
A-E4:\tval 1; act 4; dom  5;\t(threatening, belligerent)
A-F1:\tval 1; act 5; dom  5;\t()
"""
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
SECOND = "[150.0000 - 151.0000]\tSes01F_impro05_M012\txxx\t[2.5000, 2.5000, 3.0000]\n"


def evaluation(folder: Path, text: str, name: str = NAME) -> list[Turn]:
    path = folder / f"{name}.txt"
    path.write_bytes(text.encode())
    return read_evaluation(path)


def test_a_block_as_the_release_has_it(tmp_path: Path) -> None:
    [turn] = evaluation(tmp_path, HEADER + BLOCK)
    assert (turn.name, turn.dialogue, turn.start, turn.end) == (f"{NAME}_F019", NAME, 140.225, 145.6)
    assert (turn.code, turn.speaker, turn.utterance) == ("ang", "Ses01F", f"Ses01F-{NAME}_F019")
    assert turn.attributes == {"valence": 1.5, "arousal": 4.0, "dominance": 4.5}
    assert turn.votes == [["ang"], ["ang", "fru"], ["neu"]]  # without C-F1, the actress of herself
    assert turn.line == 3


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("\n", "\r"), ("% [", "\ufeff% ["), ("\t", "   ")])
def test_line_ends_byte_order_mark_and_blanks_change_nothing(tmp_path: Path, change: tuple[str, str]) -> None:
    [first], [second] = (
        evaluation(tmp_path, text) for text in (HEADER + BLOCK, (HEADER + BLOCK).replace(*change))
    )
    assert first == second


def test_order_is_by_time_and_ties_are_settled(tmp_path: Path) -> None:
    heads = [("M001", "7.0", "9.0"), ("F000", "8.0", "9.0"), ("M000", "7.0", "8.0"), ("F001", "7.0", "8.0")]
    lines = [f"[{start} - {end}]\t{NAME}_{turn}\tneu\t[3.0, 3.0, 3.0]\n" for turn, start, end in heads]
    for text in ("".join(lines), "".join(reversed(lines))):
        assert [turn.name[-4:] for turn in evaluation(tmp_path, text)] == ["F001", "M000", "M001", "F000"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[140.2250 - 145.6000]\tSes01F_impro05_F019\tang", "not '[start - end] turn emotion"),
        ("140.2250 - 145.6000]\tSes01F_impro05_F019\tang\t[1, 1, 1]", "not '[start - end] turn emotion"),
        ("[140.2250]\tSes01F_impro05_F019\tang\t[1, 1, 1]", "not '[start - end] turn emotion"),
        (
            "[145.6 - 140.2]\tSes01F_impro05_F019\tang\t[1, 1, 1]",
            "end is not after its start: '145.6 - 140.2'",
        ),
        ("[145.6 - 145.6]\tSes01F_impro05_F019\tang\t[1, 1, 1]", "end is not after its start"),
        ("[a - 145.6]\tSes01F_impro05_F019\tang\t[1, 1, 1]", "end is not after its start: 'a - 145.6'"),
        ("[1 - nan]\tSes01F_impro05_F019\tang\t[1, 1, 1]", "end is not after its start"),
        ("[1 - 2]\tSes01F_impro05_F019\tjoy\t[1, 1, 1]", "no such emotion: 'joy'. There are neu, hap"),
        ("[1 - 2]\tSes01F_impro06_F019\tang\t[1, 1, 1]", "no turn of Ses01F_impro05: 'Ses01F_impro06_F019'"),
        ("[1 - 2]\tSes01F_impro05_X019\tang\t[1, 1, 1]", "no turn of Ses01F_impro05"),
        ("[1 - 2]\t../../etc/passwd\tang\t[1, 1, 1]", "no turn of Ses01F_impro05"),
        ("[1 - 2]\tSes01F_impro05_F019\tang\t[1, 1]", "not three values from 1 to 5: '[1, 1]'"),
        ("[1 - 2]\tSes01F_impro05_F019\tang\t[1, , 1]", "not three values from 1 to 5"),
        ("[1 - 2]\tSes01F_impro05_F019\tang\t[1, 6, 1]", "not three values from 1 to 5: '[1, 6, 1]'"),
        ("[1 - 2]\tSes01F_impro05_F019\tang\t[0, 3, 1]", "not three values from 1 to 5"),
        ("[1 - 2]\tSes01F_impro05_F019\tang\t[nan, 3, 1]", "not three values from 1 to 5"),
    ],
)
def test_a_malformed_turn_is_refused_with_file_and_line(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        evaluation(tmp_path, HEADER + SECOND + line + "\n")
    assert f"{tmp_path / NAME}.txt:4: " in str(caught.value)
    assert words in str(caught.value)


def test_a_turn_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"impro05\.txt:11: a turn for the second time \(first on line 3\)"):
        evaluation(tmp_path, HEADER + BLOCK + BLOCK)


def test_a_rating_belongs_to_a_turn_and_knows_its_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"impro05\.txt:1: a rating before the first turn"):
        evaluation(tmp_path, "C-E1:\tAnger;\t()\n" + BLOCK)
    with pytest.raises(UserError, match=r"impro05\.txt:2: no such emotion in a rating: 'Joy;"):
        evaluation(tmp_path, BLOCK.replace("C-E1:\tAnger", "C-E1:\tJoy"))


def test_a_rater_who_said_nothing_has_no_vote(tmp_path: Path) -> None:
    [turn] = evaluation(tmp_path, BLOCK.replace("C-E1:\tAnger;", "C-E1:\t;"))
    assert turn.votes == [[], ["ang", "fru"], ["neu"]]
    assert soft_label(turn, Selection.of("4")) == pytest.approx([2 / 3, 0, 1 / 3, 0])


@pytest.mark.parametrize("text", ["", "\n\n", HEADER])
def test_a_file_without_turns_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"Ses01F_impro05\.txt: (empty file|no turns)"):
        evaluation(tmp_path, text)


def test_a_line_of_no_kind_is_told_and_left_out(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(evaluation(tmp_path, BLOCK + "belligerent)\n")) == 1
    assert "Ses01F_impro05.txt:9: 1 line is neither turn nor rating, left out" in caplog.text


@pytest.mark.parametrize(
    ("classes", "merge", "votes", "expected"),
    [
        ("4", None, [["exc"], ["hap"]], [0, 1, 0, 0]),
        ("4", False, [["exc"], ["hap"]], [0, 1, 0, 0]),  # the vote for excitement is lost
        ("4", False, [["exc"], ["exc"]], None),
        ("4", None, [["ang", "fru"], ["sad"]], [0, 0, 1 / 3, 2 / 3]),
        ("5", None, [["ang", "fru"], ["sad"]], [0, 0, 0.25, 0.5, 0.25]),
        ("4", None, [["hap", "exc"], ["neu"]], [0.5, 0.5, 0, 0]),  # two words for one class are one vote
        ("4", None, [["oth"], ["xxx"], []], None),
        ("4", None, [], None),
    ],
)
def test_soft_labels(
    classes: str, merge: bool | None, votes: list[list[str]], expected: list[float] | None
) -> None:
    turn = Turn("n", "d", 0, 1, "neu", {}, Path("f"), 1, votes)
    found = soft_label(turn, Selection.of(classes, merge))
    assert found == (None if expected is None else pytest.approx(expected))


def transcripts(folder: Path, text: str | bytes, rated: tuple[str, ...] = (f"{NAME}_F000",)):
    path = folder / f"{NAME}.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_transcripts(path, rated)


def test_transcripts_as_the_release_has_them(tmp_path: Path) -> None:
    found = transcripts(
        tmp_path,
        f"{NAME}_F000 [006.2901-008.2357]: Excuse  me.\n"
        f"{NAME}_MXX0 [008.3000-009.0000]: [BREATHING]\n"
        "\n"
        "F: [LAUGHTER]\n",
    )
    assert (found.text, found.unrated, found.extra) == ({f"{NAME}_F000": "Excuse me."}, [], 2)


def test_transcripts_from_windows(tmp_path: Path) -> None:
    found = transcripts(
        tmp_path, f"{NAME}_F000 [1.0-2.0]: It\u2019s \u201cfine\u201d\u2026\r\n".encode("cp1252")
    )
    assert found.text == {f"{NAME}_F000": 'It\'s "fine"...'}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{NAME}_F001 Excuse me.", r"not 'turn \[start-end\]: words'"),
        (f"{NAME}_F001 [1.0-2.0]: ", "a transcript without words"),
        ("Ses01F_impro06_F001 [1.0-2.0]: Hello.", "no turn of Ses01F_impro05"),
        (f"{NAME}_F000 [1.0-2.0]: Goodbye.", "another transcript of a turn that has one"),
    ],
)
def test_a_malformed_transcript_is_refused_with_file_and_line(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(UserError, match=rf"impro05\.txt:2: {words}"):
        transcripts(tmp_path, f"{NAME}_F000 [1.0-2.0]: Hello.\n{line}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    fixture.build(tmp_path, Tone())
    return tmp_path


@pytest.fixture
def as_if_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of which the fixture tree is a whole copy."""
    names = list(fixture.dialogues())
    monkeypatch.setattr(iemocap, "dialogues", lambda scenario: names)
    codes = [turn.code for turns in fixture.dialogues().values() for turn in turns]
    class_of = Selection.of("4").class_of
    counts = {name: sum(class_of.get(code) == name for code in codes) for name in Selection.of("4").classes}
    monkeypatch.setattr(Selection, "expected", lambda self, scenario: counts)


@pytest.mark.usefixtures("as_if_whole")
def test_a_whole_copy_is_not_partial(tree: Path, caplog) -> None:
    data = iemocap.read(tree, Selection.of("4"))
    assert not data.labels.partial
    assert "partial" not in caplog.text


@pytest.mark.usefixtures("as_if_whole")
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (
            "transcriptions",
            r"EmoEvaluation/Ses02F_impro01\.txt:12: a turn that the transcripts lack: '.*_F001'",
        ),
        (
            "EmoEvaluation",
            r"transcriptions/Ses02F_impro01\.txt:4: a transcript of a turn that the evaluation",
        ),
    ],
)
def test_files_that_contradict_each_other(tree: Path, folder: str, words: str, caplog) -> None:
    """The turn F001 is taken out of one of the two files."""
    path = tree / "Session2" / "dialog" / folder / "Ses02F_impro01.txt"
    kept = [block for block in path.read_text().split("\n\n" if folder == "EmoEvaluation" else "\n")
            if "impro01_F001" not in block]  # fmt: skip
    path.write_text(("\n\n" if folder == "EmoEvaluation" else "\n").join(kept))
    with pytest.raises(UserError, match=words):
        iemocap.read(tree, Selection.of("4"))
    with caplog.at_level(logging.WARNING):
        data = iemocap.read(tree, Selection.of("4"), allow_partial=True)
    assert ("text" in data.tables) == (folder == "EmoEvaluation")
    assert "Ses02F_impro01_F001" in caplog.text


@pytest.mark.usefixtures("as_if_whole")
def test_more_than_the_release_has_is_refused(tree: Path) -> None:
    path = tree / "Session2" / "dialog" / "EmoEvaluation" / "Ses02F_impro01.txt"
    path.write_text(path.read_text() + "[90.0 - 91.0]\tSes02F_impro01_F099\tang\t[3.0, 3.0, 3.0]\n")
    with pytest.raises(UserError, match=r"more than the release has, 112 of 111 utterances: 28 of 27 anger"):
        iemocap.read(tree, Selection.of("4"), allow_partial=True)
