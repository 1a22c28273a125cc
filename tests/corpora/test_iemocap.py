"""IEMOCAP's reader on a tree in the release's layout: data directories, and copies that lack something."""

import logging
import shutil
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.corpora import iemocap
from ser.corpora.iemocap.release import DIALOGUES, Selection, dialogues, speaker_of
from ser.data.datadir import DataDir
from ser.data.report import validate
from tests.fixtures import iemocap as fixture
from tests.fixtures.speech import Tone

TURNS = {turn.name: turn for turns in fixture.dialogues().values() for turn in turns}
CLASS_OF = {"neu": "neutral", "hap": "happiness", "exc": "happiness", "ang": "anger", "sad": "sadness"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("iemocap") / "IEMOCAP_full_release"
    fixture.build(root, Tone())
    return root


@pytest.fixture
def tree(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "tree"))


def read(
    root: Path, classes: str = "4", merge: bool | None = None, scenario: str = "all", **options
) -> DataDir:
    return iemocap.read(
        root, Selection.of(classes, merge), scenario, options.pop("allow_partial", True), **options
    )


def by_original(data: DataDir, table: str) -> dict[str, str]:
    return {data.tables["utt2orig"][utterance]: value for utterance, value in data.tables[table].items()}


@pytest.fixture(scope="module")
def data(built: Path) -> DataDir:
    return read(built)


@pytest.fixture(scope="module")
def everything(built: Path) -> DataDir:
    return read(built, "all")


def test_the_directory_is_valid_and_says_that_it_is_partial(built: Path, tmp_path: Path) -> None:
    options = Namespace(db_root=str(built.parent), out=str(tmp_path), allow_partial=True, nj=1,
                        classes="4", merge_excitement=None, scenario="all")  # fmt: skip
    iemocap.prepare(options)  # finds the release below db_root, as the archive unpacks it
    assert validate(tmp_path / "all") == []
    loaded = DataDir.load(tmp_path / "all")
    assert loaded.labels.partial
    assert loaded.labels.expected == {
        "utterances": 5531, "neutral": 1708, "happiness": 1636, "anger": 1103, "sadness": 1084,
    }  # fmt: skip


def test_classes_are_those_of_the_codes(data: DataDir) -> None:
    expected = {name: CLASS_OF[turn.code] for name, turn in TURNS.items() if turn.code in CLASS_OF}
    assert by_original(data, "utt2emo") == expected
    assert data.labels.classes == ["neutral", "happiness", "anger", "sadness"]


def test_the_speaker_is_the_one_of_the_last_token(everything: DataDir) -> None:
    speakers = by_original(everything, "utt2spk")
    assert speakers == {name: turn.speaker for name, turn in TURNS.items()}
    assert all(speaker_of(name) == speaker for name, speaker in speakers.items())
    # Taking the letter at the front would be wrong for half of them, as it is in S3PRL.
    wrong = sum(name[:6] != speaker for name, speaker in speakers.items())
    assert 0.4 < wrong / len(speakers) < 0.6
    assert everything.spk2gender == {s: s[-1].lower() for s in set(speakers.values())}
    assert len(everything.spk2utt) == 10


@pytest.mark.parametrize(
    ("original", "speaker"),
    [
        ("Ses01F_impro05_M012", "Ses01M"),
        ("Ses05M_script01_1b_F003", "Ses05F"),
        ("Ses03M_impro08a_M000", "Ses03M"),
        ("Ses01F_impro05", None),
        ("Ses01F_impro05_MXX0", None),
        ("Ses06F_impro05_M012", None),
        ("", None),
    ],
)
def test_speaker_of(original: str, speaker: str | None) -> None:
    assert iemocap.CORPUS.speaker_of is not None
    assert iemocap.CORPUS.speaker_of(original) == speaker


def test_attributes_go_by_name_and_not_by_place(everything: DataDir) -> None:
    for place, name in enumerate(("valence", "arousal", "dominance")):
        values = by_original(everything, f"utt2{name}")
        for turn in TURNS.values():
            rated = fixture.RATED.get(turn.code, fixture.RATED["neu"])[place]
            if name == "valence" and turn.name == fixture.SLIP:
                assert turn.name not in values
            else:
                assert float(values[turn.name]) == sum(rated) / 2
    # Anger is unpleasant and active: the order of the file taken for arousal, valence would turn it round.
    anger = [name for name, turn in TURNS.items() if turn.code == "ang" and turn.name != fixture.SLIP]
    valence, arousal = by_original(everything, "utt2valence"), by_original(everything, "utt2arousal")
    assert all(float(valence[name]) < 3 < float(arousal[name]) for name in anger)


def test_a_value_just_off_the_scale_is_told_and_left_out(built: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        read(built)
    assert (
        "1 value just off the scale of 1 to 5, left out: valence 5.5 (Ses02M_impro02.txt:12)" in caplog.text
    )


def test_turns_are_in_order_of_time_over_both_speakers(everything: DataDir) -> None:
    turns, dialogue = by_original(everything, "utt2turn"), by_original(everything, "utt2dialogue")
    for name, planned in fixture.dialogues().items():
        in_time = sorted(planned, key=lambda turn: (turn.start, turn.end))
        assert [int(turns[turn.name]) for turn in in_time] == [1, 2, 3, 4, 5, 6]
        assert in_time[2].start == in_time[3].start  # the tie: who ends first comes first
        assert {dialogue[turn.name] for turn in planned} == {name}


def test_a_turn_keeps_its_number_when_others_are_left_out(data: DataDir, everything: DataDir) -> None:
    some, all_turns = by_original(data, "utt2turn"), by_original(everything, "utt2turn")
    assert len(some) < len(all_turns)
    assert some.items() <= all_turns.items()


def test_fold_k_tests_session_k(data: DataDir) -> None:
    folds = by_original(data, "utt2fold")
    assert all(fold == TURNS[name].speaker[4] for name, fold in folds.items())
    assert set(folds.values()) == set("12345")


def test_text_is_that_of_the_transcripts(data: DataDir) -> None:
    text = by_original(data, "text")
    assert all(text[name] == TURNS[name].text for name in text)


def test_soft_labels_are_the_raters_votes(everything: DataDir) -> None:
    shares = {
        name: list(map(float, row.split())) for name, row in by_original(everything, "utt2emodist").items()
    }
    classes = everything.labels.classes
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in shares.values())
    # One rater of three was of two minds; the actors' surprise at themselves is no vote.
    divided = shares["Ses01F_impro01_F001"]
    heard = classes.index(everything.classes_of()["Ses01F-Ses01F_impro01_F001"])
    assert divided[heard] == pytest.approx(5 / 6, abs=1e-5)
    assert divided[classes.index("frustration")] == pytest.approx(1 / 6, abs=1e-5)
    # No two agree, so there is no class, and there are votes.
    [undecided, *_] = [name for name, turn in TURNS.items() if turn.code == "xxx"]
    assert shares[undecided][classes.index("anger")] == pytest.approx(1 / 6, abs=1e-5)
    assert shares[undecided][classes.index("sadness")] == pytest.approx(1 / 3, abs=1e-5)
    # Nobody voted for a class: no entry.
    assert [name for name, turn in TURNS.items() if turn.code == "oth" and name in shares] == []


def test_a_vote_outside_the_classes_counts_for_none(data: DataDir) -> None:
    shares = by_original(data, "utt2emodist")
    assert shares["Ses01F_impro01_F001"].split().count("1") == 1  # frustration was one rater's half


def test_all_keeps_the_turns_without_a_class(everything: DataDir) -> None:
    assert len(everything.utterances) == len(TURNS)
    without = set(TURNS) - set(by_original(everything, "utt2emo"))
    assert without == {name for name, turn in TURNS.items() if turn.code in ("xxx", "oth")}
    assert without
    assert everything.labels.complete == []
    assert everything.labels.expected["utterances"] == 10039


@pytest.mark.parametrize(
    ("classes", "merge", "codes"),
    [
        ("4", None, "neu hap exc ang sad"),
        ("4", False, "neu hap ang sad"),
        ("5", None, "neu hap exc ang sad fru"),
        ("5", False, "neu hap ang sad fru"),
        ("6", None, "neu hap exc ang sad fru"),
    ],
)
def test_selections(built: Path, classes: str, merge: bool | None, codes: str) -> None:
    found = read(built, classes, merge)
    assert set(by_original(found, "utt2emo")) == {
        n for n, turn in TURNS.items() if turn.code in codes.split()
    }
    assert len(found.labels.classes) == int(classes)
    assert set(found.classes_of().values()) == set(found.labels.classes)


def test_six_classes_keep_excitement_apart(built: Path) -> None:
    assert read(built, "6").labels.classes == [
        "happiness", "sadness", "neutral", "anger", "excitement", "frustration",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"keeps excitement apart.*--classes 5"):
        Selection.of("6", True)
    assert "excitement" not in Selection.of("all", True).classes


@pytest.mark.parametrize(("scenario", "part"), [("improvised", "impro"), ("scripted", "script")])
def test_scenarios(built: Path, scenario: str, part: str) -> None:
    found = by_original(read(built, scenario=scenario), "utt2emo")
    assert set(found) == {n for n, turn in TURNS.items() if part in n and turn.code in CLASS_OF}


def test_published_counts() -> None:
    """Counts that papers print, and their sums."""
    assert len(DIALOGUES) == len(set(DIALOGUES)) == 151
    assert Counter(name[4] for name in DIALOGUES) == {"1": 28, "2": 30, "3": 32, "4": 30, "5": 31}
    assert len(dialogues("improvised")) + len(dialogues("scripted")) == 151
    totals = {(c, m, s): Selection.of(c, m).total(s) for c, m, s in [
        ("4", None, "all"), ("4", False, "all"), ("5", None, "all"), ("6", None, "all"), ("all", None, "all"),
        ("4", None, "improvised"), ("4", False, "improvised"), ("all", None, "improvised"),
        ("all", None, "scripted"), ("6", None, "improvised"),
    ]}  # fmt: skip
    assert list(totals.values()) == [5531, 4490, 7380, 7380, 10039, 2943, 2280, 4784, 5255, None]
    for scenario in ("all", "improvised", "scripted"):
        both = Selection.of("4").expected(scenario)
        assert sum(both.values()) == Selection.of("4").total(scenario)
    assert iemocap.CORPUS.expected == {"neutral": 1708, "happiness": 1636, "anger": 1103, "sadness": 1084}


def test_a_partial_copy_is_refused_with_what_is_missing(built: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(built, allow_partial=False)
    message = str(caught.value)
    assert (
        "the evaluation of 129 of 151 dialogues is missing: Session1/dialog/EmoEvaluation/Ses01F_impro02"
        in message
    )
    assert "--allow-partial" in message
    assert "sail.usc.edu" in message


def test_missing_audio_is_named_and_left_out(tree: Path, caplog) -> None:
    wavs = tree / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (wavs / "Ses01F_impro01_F000.wav").unlink()
    with caplog.at_level(logging.WARNING):
        found = read(tree)
    assert (
        "files that the labels list are missing: Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000"
        in caplog.text
    )
    assert "Ses01F_impro01_F000" not in found.tables["utt2orig"].values()
    assert set(found.tables["utt2turn"]) == set(found.utterances)


def test_audio_that_no_evaluation_lists_is_told(tree: Path, caplog) -> None:
    folder = tree / "Session2" / "sentences" / "wav" / "Ses02F_impro01"
    shutil.copy(folder / "Ses02F_impro01_F000.wav", folder / "Ses02F_impro01_F099.wav")
    with caplog.at_level(logging.WARNING):
        read(tree)
    assert (
        "1 clip in no label file, left out: Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F099"
        in caplog.text
    )


def test_decoys_are_silent_and_strangers_told(tree: Path, caplog) -> None:
    evaluation = tree / "Session1" / "dialog" / "EmoEvaluation"
    shutil.copy(evaluation / "Ses01F_impro01.txt", evaluation / "Ses01F_impro01 (1).txt")
    with caplog.at_level(logging.WARNING):
        read(tree)
    assert "1 file of no dialogue, left out: Ses01F_impro01 (1).txt" in caplog.text
    assert "._" not in caplog.text
    assert "Categorical" not in caplog.text


def test_without_transcripts_there_is_no_text(tree: Path, caplog) -> None:
    (tree / "Session3" / "dialog" / "transcriptions" / "Ses03F_impro01.txt").unlink()
    with caplog.at_level(logging.WARNING):
        found = read(tree)
    assert "text" not in found.tables
    assert (
        "the transcript of 1 of 22 dialogues is missing: Session3/dialog/transcriptions/Ses03F" in caplog.text
    )
    assert "there is no text" in caplog.text


def test_broken_audio_is_named(tree: Path) -> None:
    wav = tree / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_F000.wav"
    wav.write_bytes(wav.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"1 of 111 audio files are broken: .*Ses01F_impro01_F000.wav"):
        read(tree)


def test_audio_linked_from_elsewhere_is_found(tree: Path, tmp_path: Path) -> None:
    wavs = tree / "Session4" / "sentences" / "wav"
    shutil.move(wavs, tmp_path / "elsewhere")
    wavs.symlink_to(tmp_path / "elsewhere")
    assert len(read(tree).utterances) == 111


@pytest.mark.parametrize("root", [None, "/no/such/folder", "."])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = Namespace(db_root=root, out="data", allow_partial=False, nj=1,
                        classes="4", merge_excitement=None, scenario="all")  # fmt: skip
    with pytest.raises(UserError, match=r"by request.*sail\.usc\.edu"):
        iemocap.prepare(options)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_copy_without_evaluations(tree: Path) -> None:
    for session in range(1, 6):
        shutil.rmtree(tree / f"Session{session}" / "dialog" / "EmoEvaluation")
    with pytest.raises(UserError, match="the evaluation of 151 of 151 dialogues is missing"):
        read(tree)


def test_on_the_command_line(built: Path, tmp_path: Path) -> None:
    command = ["prepare", "iemocap", "--db-root", str(built), "--out", str(tmp_path), "--allow-partial"]
    dispatch([*command, "--merge-excitement", "false"])
    assert "excitement" not in DataDir.load(tmp_path / "all").classes_of().values()
    with pytest.raises(UserError, match="classes"):
        dispatch([*command, "--classes", "7"])


def test_links_that_lead_in_a_circle_are_refused(tree: Path) -> None:
    (tree / "Session5" / "sentences" / "wav" / "again").symlink_to(tree / "Session5" / "sentences" / "wav")
    with pytest.raises(UserError, match="symbolic links lead round in a circle"):
        read(tree)
