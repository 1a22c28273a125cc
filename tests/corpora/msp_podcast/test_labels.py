"""MSP-Podcast's label files one by one: what each layout says, and each line that is not as it must be."""

import csv
import json

import pytest

from ser.core.errors import UserError
from ser.corpora.msp_podcast.labels import Label, merge, read_consensus, read_partitions, read_speakers
from ser.corpora.msp_podcast.votes import read_labels_txt, read_votes

NAME = "MSP-PODCAST_0001_0139.wav"
HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
ROW = f"{NAME},N,2.4,4.0,2.8,127,Male,Train"


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(name: str, *lines: str, end: str = "\n", encoding: str = "utf-8"):
        path = tmp_path / name
        path.write_bytes(end.join([*lines, ""]).encode(encoding))
        return path

    return write


def test_a_row_of_the_consensus(file):
    path = file("labels_consensus.csv", HEADER, ROW)
    expected = Label("N", 2.4, 4.0, 2.8, "127", "m", "train", 2)
    assert read_consensus(path) == {NAME: expected}


@pytest.mark.parametrize(
    ("column", "text", "field", "value"),
    [
        ("SpkrID", "Unknown", "speaker", ""),
        ("SpkrID", "", "speaker", ""),
        ("SpkrID", "0003", "speaker", "3"),
        ("Gender", "Unknown", "gender", ""),
        ("Gender", "Female", "gender", "f"),
        ("Split_Set", "Development", "set", "validation"),
        ("Split_Set", "Validation", "set", "validation"),
        ("Split_Set", "Test2", "set", "test2"),
        ("EmoClass", "X", "emotion", "X"),
        ("EmoClass", "O", "emotion", "O"),
        ("EmoAct", "", "arousal", None),
        ("EmoVal", "7", "valence", 7.0),
    ],
)
def test_what_cells_mean(file, column, text, field, value):
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | {column: text}
    path = file("labels_consensus.csv", HEADER, ",".join(cells.values()))
    assert getattr(read_consensus(path)[NAME], field) == value
    entry = {key: cell for key, cell in cells.items() if key != "FileName"}
    from_json = read_consensus(file("labels_consensus.json", json.dumps({NAME: entry})))
    assert getattr(from_json[NAME], field) == value


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{NAME},Q,2,4,2,1,Male,Train", ":2: EmoClass is none of A S H U F D C N O X: 'Q'"),
        (f"{NAME},,2,4,2,1,Male,Train", ":2: empty EmoClass"),
        (f"{NAME},N,0.5,4,2,1,Male,Train", ":2: EmoAct is no number from 1 to 7: '0.5'"),
        (f"{NAME},N,2,7.01,2,1,Male,Train", ":2: EmoVal is no number from 1 to 7: '7.01'"),
        (f"{NAME},N,2,4,nan,1,Male,Train", ":2: EmoDom is no number from 1 to 7: 'nan'"),
        (f"{NAME},N,2,4,2,Bob,Male,Train", ":2: SpkrID is neither a number nor Unknown: 'Bob'"),
        (f"{NAME},N,2,4,2,1,Man,Train", ":2: Gender is none of Male, Female, Unknown: 'Man'"),
        (f"{NAME},N,2,4,2,1,Male,Trian", ":2: no set is called so; they are Train, Development"),
        (f"{NAME},N,2,4,2,1,Male", ":2: 7 cells, and the header has 8"),
        (f"{NAME},N,2,4,2,1,Male,Train,x", ":2: 9 cells, and the header has 8"),
        ("MSP-PODCAST 0001.wav,N,2,4,2,1,Male,Train", ":2: not a plain file name like"),
        ("../../secret.wav,N,2,4,2,1,Male,Train", ":2: not a plain file name like"),
        ("/etc/passwd.wav,N,2,4,2,1,Male,Train", ":2: not a plain file name like"),
        ("..wav,N,2,4,2,1,Male,Train", ":2: not a plain file name like"),
        (f"{ROW}\n{ROW}", ":3: listed twice (first on line 2): 'MSP-PODCAST_0001_0139.wav'"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(file, row, words):
    path = file("labels_consensus.csv", HEADER, row)
    with pytest.raises(UserError) as caught:
        read_consensus(path)
    assert f"{path}{words}" in str(caught.value)


def test_a_missing_column_is_named(file):
    path = file("labels_consensus.csv", HEADER.replace("EmoVal,", ""), ROW.replace("4.0,", ""))
    with pytest.raises(UserError, match=r":1: lacks the column EmoVal"):
        read_consensus(path)


def test_json_without_a_key_or_with_a_file_twice_is_refused(file):
    with pytest.raises(UserError, match=rf"the entry of {NAME} lacks one of EmoClass"):
        read_consensus(file("a.json", json.dumps({NAME: {"EmoClass": "N"}})))
    with pytest.raises(UserError, match=r"listed twice: 'a.wav'"):
        read_consensus(file("b.json", '{"a.wav": 1, "a.wav": 2}'))
    with pytest.raises(UserError, match=r"c.json:2: no JSON"):
        read_consensus(file("c.json", "{", "x"))
    with pytest.raises(UserError, match=rf"EmoAct is no number from 1 to 7 of {NAME}: '9'"):
        entry = {"EmoClass": "N", "EmoAct": 9, "EmoVal": 4, "EmoDom": 4}
        read_consensus(file("d.json", json.dumps({NAME: entry})))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_windows_line_ends_and_byte_order_marks(file, end, encoding):
    options = {"end": end, "encoding": encoding}
    assert read_consensus(file("a.csv", HEADER, ROW, **options))[NAME].speaker == "127"
    assert read_partitions(file("Partitions.txt", f"Train; {NAME}", "", **options))[NAME].set == "train"
    raw = f"{NAME}; N; A:2.4; V:4; D:2.8;"
    labels, votes = read_labels_txt(
        file("labels.txt", raw, "WORKER1; Sad; Sad; A:2; V:4; D:2;", "", **options)
    )
    assert labels[NAME].arousal == 2.4
    assert votes.counts[NAME] == {"S": 1}


def test_speakers_and_their_genders(file):
    path = file("Speaker_ids.txt", "Speaker_127; Male", "", f"{NAME};127", "b.wav; Unknown")
    found = read_speakers(path)
    assert (found[NAME].speaker, found[NAME].gender) == ("127", "m")
    assert (found["b.wav"].speaker, found["b.wav"].gender) == ("", "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (NAME, "1: not two fields with ';' between"),
        (f"Train; {NAME}; x", "1: not two fields with ';' between"),
        (f"Dev; {NAME}", "1: no set is called so"),
        ("Train; a b.wav", "1: not a plain file name"),
        ("Train; ../a.wav", "1: not a plain file name"),
        (f"Train; {NAME}\nTest1; {NAME}", "2: listed twice (first on line 1)"),
    ],
)
def test_a_bad_line_of_partitions_is_refused(file, line, words):
    path = file("Partitions.txt", line)
    with pytest.raises(UserError) as caught:
        read_partitions(path)
    assert f"{path}:{words}" in str(caught.value)


def test_labels_txt_as_documented(file):
    path = file(
        "labels.txt",
        f"{NAME}; N; A:2.400000; V:4.000000; D:2.800000;",
        "WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;",
        "WORKER00000002; Neutral; Neutral; A:1.000000; V:4.000000; D:4.000000;",
        "WORKER00000003; Other-sad; but, not; quite; Sad; A:1.000000; V:4.000000; D:4.000000;",
        "",
        "MSP-PODCAST_0002_0001.wav; X; A:1; V:7; D:1;",
        "WORKER00000001; Sad; Sad; A:1; V:1; D:1;",
    )
    labels, votes = read_labels_txt(path)
    assert labels[NAME] == Label("N", 2.4, 4.0, 2.8, line=1)
    assert labels["MSP-PODCAST_0002_0001.wav"].line == 6
    assert votes.counts[NAME] == {"O": 2, "N": 1}
    assert votes.shares(NAME, "ASHUFDCN") == "0 0 0 0 0 0 0 1"
    assert votes.shares(NAME, "AS") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("WORKER1; Sad; Sad; A:1; V:1; D:1;", "1: a vote before any file's header"),
        (f"{NAME}; N; A:2.4; V:4.0;", "1: neither a vote nor a header"),
        (f"{NAME}; N; A:2.4; V:4.0; D:9;", "1: dominance is no number from 1 to 7: '9'"),
        (f"{NAME}; Z; A:2.4; V:4.0; D:1;", "1: EmoClass is none of"),
        (f"{NAME}; N; A:2; V:4; D:1;\nWORKER1 Sad", "2: not a vote like"),
    ],
)
def test_a_bad_line_of_labels_txt_is_refused(file, line, words):
    path = file("labels.txt", line)
    with pytest.raises(UserError) as caught:
        read_labels_txt(path)
    assert f"{path}:{words}" in str(caught.value)


DETAIL = "WORKER00000001; {}; Concerned,{}; A:3.000000; V:3.000000; D:4.000000;"
VOTES = ["Happy", "Happy", "Surprise", "Other-amused, really"]


def detailed(kind: str):
    """The columns and rows of each layout of labels_detailed.csv, with the same votes."""
    if kind == "EmoDetail":
        return ["FileName", "EmoDetail"], [[NAME, DETAIL.format(vote, vote)] for vote in VOTES]
    header = ["FileName", kind, "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom"]
    return header, [
        [NAME, f"WORKER{i}", vote, f"{vote},Excited", "3", "4", "5"] for i, vote in enumerate(VOTES)
    ]


@pytest.mark.parametrize("kind", ["Workers", "EmoDetail", "WorkerID"])
def test_every_layout_of_the_votes_gives_the_same_shares(tmp_path, kind):
    path = tmp_path / "labels_detailed.csv"
    with path.open("w", newline="") as stream:
        header, rows = detailed(kind)
        csv.writer(stream).writerows([header, *rows])
    assert read_votes(path, None).shares(NAME, "HUN") == "0.666667 0.333333 0"


def test_votes_of_json(file):
    content = {NAME: {f"WORKER{i}": {"EmoClass_Major": vote} for i, vote in enumerate(VOTES)}}
    path = file("labels_detailed.json", json.dumps(content))
    assert read_votes(None, path).shares(NAME, "HUN") == "0.666667 0.333333 0"
    with pytest.raises(UserError, match=r"the vote of W for a.wav lacks EmoClass_Major"):
        read_votes(None, file("x.json", '{"a.wav": {"W": {"EmoAct": 1}}}'))


def test_bad_votes_are_refused(file):
    with pytest.raises(UserError, match=r"x.csv:1: lacks the column EmoClass_Major, or EmoDetail"):
        read_votes(file("x.csv", "FileName,Vote", f"{NAME},Sad"), None)
    with pytest.raises(UserError, match=r"y.csv:3: not a vote like .*: 'Sad'"):
        read_votes(
            file("y.csv", "FileName,EmoDetail", f"{NAME},W" + "ORKER1; Sad; Sad; A:1;", f"{NAME},Sad"), None
        )


def test_votes_for_what_is_no_class_count_as_other_and_are_told(file, caplog):
    path = file("v.csv", "FileName,EmoClass_Major", f"{NAME},Hapy", f"{NAME},Happy", f"{NAME},")
    votes = read_votes(path, None)
    assert votes.counts[NAME] == {"O": 1, "H": 1}
    assert "1 vote for no class, counted as other: Hapy" in caplog.text


def test_merging_fills_what_is_open(tmp_path):
    ours = {"a.wav": Label("N", 2.4, set="train", line=2), "b.wav": Label("S", line=3)}
    others = {"a.wav": Label("", 2.4004, 4.0, speaker="9"), "c.wav": Label("A")}
    merge(ours, others, tmp_path / "x.csv", tmp_path / "y.txt")
    assert ours == {
        "a.wav": Label("N", 2.4, 4.0, speaker="9", set="train", line=2),
        "b.wav": Label("S", line=3),
    }


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Label("S", line=7), "y.txt:7: contradicts x.csv, where emotion of a.wav is N: 'S'"),
        (Label("", 2.5, line=7), "arousal of a.wav is 2.4: '2.5'"),
        (Label(set="test1", line=7), "set of a.wav is train: 'test1'"),
        (Label(speaker="8", line=7), "speaker of a.wav is 9: '8'"),
    ],
)
def test_contradictions_are_refused_with_both_places(tmp_path, other, words):
    ours = {"a.wav": Label("N", 2.4, speaker="9", set="train", line=2)}
    with pytest.raises(UserError) as caught:
        merge(ours, {"a.wav": other}, tmp_path / "x.csv", tmp_path / "y.txt")
    assert words in str(caught.value)


def test_many_contradictions_are_one_message_with_their_number(tmp_path):
    ours = {f"{i}.wav": Label("N", line=i) for i in range(5)}
    others = {f"{i}.wav": Label("S", line=i + 1) for i in range(5)}
    with pytest.raises(UserError, match=r"y.txt:1: .* the first of 5 contradictions"):
        merge(ours, others, tmp_path / "x.csv", tmp_path / "y.txt")
