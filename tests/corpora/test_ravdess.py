"""RAVDESS: the names of its files, its design, its archive's second tree, partial copies."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.corpora import ravdess
from ser.corpora.ravdess import Name
from ser.data.datadir import DataDir
from tests.fixtures import ravdess as fixture
from tests.fixtures.speech import Tone


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("ravdess") / "tree"
    fixture.build(root, Tone())
    return root


@pytest.fixture
def tree(built, tmp_path):
    return shutil.copytree(built, tmp_path / "ravdess")


def name(**fields):
    """A path whose name has these fields, the others being those of the paper's example."""
    example = dict(zip(Name._fields, ["03", "01", "06", "01", "02", "01", "12"], strict=True))
    return Path("-".join((example | fields).values()) + ".wav")


def test_the_design_has_the_published_numbers():
    spoken, sung = list(ravdess.design("speech")), list(ravdess.design("song"))
    assert (len(spoken), len(sung)) == (1440, 1012)
    assert [*ravdess.design()] == sorted(spoken + sung, key=lambda one: (one[-2:], one))
    emotions = Counter(ravdess.EMOTIONS[one.split("-")[2]] for one in spoken)
    assert emotions == ravdess.CORPUS.expected
    assert {one[-2:] for one in sung} == ravdess.ACTORS.keys() - {"18"}
    assert set(Counter(one[-2:] for one in spoken).values()) == {60}
    assert set(Counter(one[-2:] for one in sung).values()) == {44}


def test_every_name_of_the_design_is_parsed_and_the_lint_knows_its_speaker():
    for one in ravdess.design():
        parsed = ravdess.parse(Path(f"{one}.wav"))
        assert "-".join(parsed) == one
        assert ravdess.CORPUS.speaker_of(one) == f"Actor_{parsed.actor}"
    assert ravdess.CORPUS.speaker_of("something") is None


def test_folds_are_independent_of_speaker_and_balanced_in_gender():
    folds = {actor: ravdess.fold_of(actor) for actor in ravdess.ACTORS}
    for fold in set(folds.values()):
        assert sorted(ravdess.gender_of(actor) for actor in folds if folds[actor] == fold) == [
            "f",
            "f",
            "m",
            "m",
        ]
    assert len(set(folds.values())) == 6


def test_labels_of_the_tree(tree):
    data = ravdess.read(tree, allow_partial=True)
    data.check()
    utterance = "Actor_02-03-01-06-02-01-01-02"
    assert utterance in data.utterances
    assert data.utt2spk[utterance] == "Actor_02"
    assert data.classes_of()[utterance] == "fear"
    assert data.tables["utt2intensity"][utterance] == "strong"
    assert data.tables["utt2repetition"][utterance] == "1"
    assert data.tables["text"][utterance] == "Kids are talking by the door"
    assert data.tables["utt2orig"][utterance] == "03-01-06-02-01-01-02"
    assert data.spk2gender == {f"Actor_{n:02d}": "fm"[n % 2] for n in range(1, 25)}
    assert len(data.utterances) == 24 * fixture.FILES
    assert all(Counter(data.classes_of().values())[emotion] == 15 for emotion in data.labels.classes)
    by_fold = {fold: set() for fold in data.folds().values()}
    for one, fold in data.folds().items():
        by_fold[fold].add(data.classes_of()[one])
    assert all(emotions == set(data.labels.classes) for emotions in by_fold.values())
    assert (data.labels.partial, data.labels.expected) == (True, ravdess.CORPUS.expected)


@pytest.mark.parametrize(
    ("channel", "number", "whole"), [("speech", 120, 1440), ("song", 1, 1012), ("both", 121, 2452)]
)
def test_channels(tree, channel, number, whole):
    data = ravdess.read(tree, channel, allow_partial=True)
    assert len(data.utterances) == number
    assert sum(data.labels.expected.values()) == whole
    assert list(data.labels.expected) == data.labels.classes
    assert ("disgust" in data.labels.classes) == (channel != "song")


def test_what_a_partial_copy_lacks_is_named_exactly(tree, caplog):
    with pytest.raises(
        UserError, match=r"1320 of 1,?440 files that the release has are missing: Actor_01/03-01-0"
    ):
        ravdess.read(tree)
    with caplog.at_level("INFO", logger="ser"):
        ravdess.read(tree, allow_partial=True)
    told = {
        Path(line.split("missing: ")[1]).stem for line in caplog.text.splitlines() if "missing: /" in line
    }
    assert told == set(ravdess.design("speech")) - set(fixture.names())


def test_the_second_tree_is_taken_once_with_a_warning(tree, caplog):
    ravdess.read(tree, allow_partial=True)
    assert f"11 files there twice, taken once: {tree}" in caplog.text


def test_copies_that_differ_are_refused(tree):
    copy = tree / fixture.TWICE / "Actor_01" / f"{fixture.names()[0]}.wav"
    Tone().wav(copy, "something else")
    with pytest.raises(UserError, match=r"two files of one name that differ.*Remove the wrong one") as caught:
        ravdess.read(tree, allow_partial=True)
    assert str(copy) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (name(modality="04"), "unknown modality in the name: '04'"),
        (name(channel="03"), "unknown channel in the name: '03'"),
        (name(emotion="09"), "unknown emotion in the name: '09'"),
        (name(emotion="6"), "unknown emotion in the name: '6'"),
        (name(intensity="00"), "unknown intensity in the name: '00'"),
        (name(statement="03"), "unknown statement in the name: '03'"),
        (name(repetition="03"), "unknown repetition in the name: '03'"),
        (name(actor="25"), "unknown actor in the name: '25'"),
        (Path("03-01-06-01-02-01.wav"), "a name of 6 fields, not 7"),
        (Path("03-01-06-01-02-01-12-01.wav"), "a name of 8 fields, not 7"),
        (name(emotion="01", intensity="02"), "no file of this name. Neutral has no strong"),
        (name(channel="02", emotion="07"), "the release has no file of this name"),
        (name(channel="02", actor="18"), "the release has no file of this name"),
        (Path("Actor_11") / name(), "the name says Actor_12, its folder Actor_11"),
    ],
)  # fmt: skip
def test_wrong_names_are_refused_with_file_and_field(path, words):
    with pytest.raises(UserError) as caught:
        ravdess.parse(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_other_audio_is_left_out_with_a_warning(tree, caplog):
    for other in ("noise.wav", "01-01-06-01-02-01-12.wav"):
        Tone().wav(tree / "Actor_12" / other, "")
    assert len(ravdess.read(tree, allow_partial=True).utterances) == 120
    assert (
        "2 clips in no label file, left out: Actor_12/01-01-06-01-02-01-12.wav, Actor_12/noise.wav"
        in caplog.text
    )


def test_a_folder_without_it(tmp_path):
    with pytest.raises(UserError, match=r"no speech of names like.*zenodo"):
        ravdess.read(tmp_path, allow_partial=True)


def test_nothing_is_written_of_a_refused_copy(tree, tmp_path):
    from ser.cli.prepare import main

    with pytest.raises(UserError, match="partial copy"):
        main(["ravdess", "--db-root", str(tree), "--out", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()
    main(
        [
            "ravdess",
            "--db-root",
            str(tree),
            "--out",
            str(tmp_path / "data"),
            "--allow-partial",
            "--channel",
            "both",
        ]
    )
    assert len(DataDir.load(tmp_path / "data" / "all").utterances) == 121
