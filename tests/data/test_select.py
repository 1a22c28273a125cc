"""Subsets and splits."""

from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.select import choose, first_utterances, of_speakers, some_of_each_class, split, write_split


def test_ways_of_choosing(toy, tmp_path):
    (tmp_path / "utts").write_text("bob-2 whatever\nann-0\n")
    (tmp_path / "spks").write_text("bob\n")
    assert choose(toy, utt_list=str(tmp_path / "utts")).utterances == ["ann-0", "bob-2"]
    assert choose(toy, spk_list=str(tmp_path / "spks")).utterances == ["bob-0", "bob-1", "bob-2"]
    assert choose(toy, speakers="ann,bob") == toy
    assert choose(toy, first=2).utterances == ["ann-0", "ann-1"]
    for arguments in ({}, {"first": 2, "per_class": 1}):
        with pytest.raises(UserError, match="exactly one of --utt-list, --spk-list"):
            choose(toy, **arguments)


def test_some_of_each_class(toy):
    part = some_of_each_class(toy, 2)
    assert Counter(part.classes_of().values()) == {"calm": 2, "wild": 2}
    assert part == some_of_each_class(toy, 2)
    assert len({tuple(some_of_each_class(toy, 1, seed).utterances) for seed in range(20)}) > 1
    assert some_of_each_class(toy, 99) == toy
    del toy.tables["utt2emo"]
    with pytest.raises(UserError, match="no utt2emo"):
        some_of_each_class(toy, 2)


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_parts_are_everything_once_and_even(toy, n):
    parts = split(toy, n)
    assert [name for part in parts for name in part.utterances] == toy.utterances
    sizes = [len(part.utterances) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        part.check()


def test_splitting_by_speaker(toy):
    parts = split(toy, 2, by_speaker=True)
    assert sorted(tuple(part.spk2utt) for part in parts) == [("ann",), ("bob",)]
    assert split(toy, 1, by_speaker=True)[0] == toy
    with pytest.raises(UserError, match="2 speakers cannot be put into folds: '3'"):
        split(toy, 3, by_speaker=True)


def test_written_splits(toy):
    folder = write_split(toy, 3)
    assert folder == toy.path / "sdata" / "3"
    assert [DataDir.load(folder / str(job)).utterances for job in (1, 2, 3)] == [
        ["ann-0", "ann-1"], ["ann-2", "bob-0"], ["bob-1", "bob-2"],
    ]  # fmt: skip
    assert write_split(toy, 3) == folder
    assert write_split(toy, 2, by_speaker=True) == toy.path / "sdata" / "2spk"
    assert sorted(path.name for path in (toy.path / "sdata").iterdir()) == ["2spk", "3"]


def test_wrong_numbers_and_names(toy, tmp_path):
    for n in (0, -1, 7):
        with pytest.raises(UserError, match="asks for"):
            first_utterances(toy, n)
        with pytest.raises(UserError, match="asks for"):
            split(toy, n)
    with pytest.raises(UserError, match="asks for none"):
        some_of_each_class(toy, 0)
    with pytest.raises(UserError, match="1 speaker not in it, the first: 'eve'"):
        of_speakers(toy, ["eve", "ann"])
    (tmp_path / "empty").write_text("")
    with pytest.raises(UserError, match="empty list"):
        choose(toy, utt_list=str(tmp_path / "empty"))
