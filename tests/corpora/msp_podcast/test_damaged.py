"""Partial and damaged copies: refused with what is missing or contradicts, or told."""

import shutil
from pathlib import Path

import pytest

from ser.core.errors import UserError
from ser.corpora import msp_podcast
from tests.corpora.msp_podcast.copies import clip, edit, prepare
from tests.fixtures import msp_podcast as fixture


def test_a_partial_copy_is_refused_with_what_is_missing(trees, tmp_path):
    with pytest.raises(UserError) as caught:
        msp_podcast.read(trees("1.11"))
    assert "partial copy, release 1.11 by its labels: 48 of 84030 train, 15 of 19815 validation" in str(
        caught.value
    )
    assert "--allow-partial" in str(caught.value)


def test_missing_audio_is_refused_with_the_files(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.8"), tmp_path / "corpus"))
    for chosen in [c for c in fixture.clips() if c.set == "Test2"][:4]:
        (tree / "Audios" / chosen.name).unlink()
    with pytest.raises(
        UserError, match=r"4 of 94 files that the labels list are missing: Audios/MSP-.* and 1 more"
    ):
        msp_podcast.read(tree)
    data = msp_podcast.read(tree, allow_partial=True)
    assert len(data["test2"].utterances) == 11
    assert data["test2"].labels.partial
    assert not msp_podcast.read(trees("1.8"))["test2"].labels.partial


def test_a_clip_that_is_not_listed_is_told_and_left_out(tree, tmp_path, caplog):
    shutil.copy(tree / "Audios" / clip().name, tree / "Audios" / "MSP-PODCAST_9999_0001.wav")
    data = prepare(tree, tmp_path / "data")
    assert "1 clip in no label file, left out: Audios/MSP-PODCAST_9999_0001.wav" in caplog.text
    assert not any("9999" in utterance for utterance in data["train"].utterances)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("Partitions.txt", "Train; {}", "Test1; {}", r"Partitions.txt:1: contradicts .*where set of"),
        ("Labels/labels.txt", "{}; A;", "{}; S;", r"labels.txt:\d+: contradicts .*where emotion of"),
        ("Labels/labels.txt", "{}; A; A:", "{}; A; A:1", r"labels.txt:1: arousal is no number"),
        ("Speaker_ids.txt", "{};3", "{};77", r"Speaker_ids.txt:\d+: contradicts .*where speaker of"),
        ("Speaker_ids.txt", "Speaker_3; Male", "Speaker_3; Female", "the first of 8 contradictions"),
        ("Labels/labels_consensus.json", '": "A"', '": "S"', r"consensus.json: contradicts .*where emotion"),
    ],
)
def test_label_files_that_contradict_each_other(tree, name, old, new, words):
    first = clip("A").name
    edit(tree / name, old.format(first), new.format(first))
    with pytest.raises(UserError, match=words):
        msp_podcast.read(tree, allow_partial=True)


def test_listed_in_partitions_and_without_labels(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.8"), tmp_path / "corpus"))
    with (tree / "Partitions.txt").open("a") as stream:
        stream.write("Train; MSP-PODCAST_7777_0001.wav\n")
    with pytest.raises(
        UserError, match=r"1 file of Partitions.txt without labels: MSP-PODCAST_7777_0001.wav"
    ):
        msp_podcast.read(tree)
    assert len(msp_podcast.read(tree, allow_partial=True)["train"].utterances) == 48


def test_audio_in_no_set(trees, tmp_path):
    tree = Path(shutil.copytree(trees("1.3"), tmp_path / "corpus"))
    edit(tree / "Partitions.txt", f"Train; {clip().name}\n", "")
    with pytest.raises(
        UserError, match=rf"labels.txt:1: in no set: {clip().name}.*Split_Set or in Partitions.txt"
    ):
        msp_podcast.read(tree, allow_partial=True)
    (tree / "Partitions.txt").unlink()
    with pytest.raises(UserError, match="which is not there"):
        msp_podcast.read(tree, allow_partial=True)


def test_a_missing_transcript_is_told(tree, tmp_path, caplog):
    (tree / "Transcripts" / f"{clip().name[:-4]}.txt").write_text(" \n")
    train = prepare(tree, tmp_path / "data")["train"]
    assert list(train.tables["text"].values()).count("<unk>") == 1
    assert f"train: 1 transcript without words, text is <unk>: {clip().name}" in caplog.text
    shutil.rmtree(tree / "Transcripts")
    assert "text" not in prepare(tree, tmp_path / "data")["train"].tables


def test_a_loop_of_links_is_refused(tree):
    (tree / "Audios" / "again").symlink_to(tree / "Audios")
    with pytest.raises(UserError, match="symbolic links lead round in a circle"):
        msp_podcast.read(tree, allow_partial=True)


def test_broken_audio_is_named(tree):
    path = tree / "Audios" / clip().name
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=rf"1 of 103 audio files are broken: .*{clip().name} \(truncated"):
        msp_podcast.read(tree, allow_partial=True)


@pytest.mark.parametrize("root", [None, "/no/such/folder", "."])
def test_without_the_corpus_it_says_where_to_get_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"academic licence.*ecs\.utdallas\.edu"):
        msp_podcast.read(msp_podcast.CORPUS.find_root(root))
