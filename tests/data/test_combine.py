"""Combining and renaming."""

import copy
import dataclasses

import pytest

from ser.core.errors import UserError
from ser.data.combine import combine, rename
from ser.data.datadir import DataDir, Segment
from ser.data.labels import Range
from ser.data.select import split


@pytest.mark.parametrize("n", [1, 2, 5])
def test_combining_the_parts_of_a_split_gives_the_whole(toy, n):
    parts = split(toy, n)
    assert combine(parts) == toy
    assert combine(parts[::-1]) == toy


def test_renaming(toy, tmp_path):
    fast = rename(toy, spk_prefix="sp1.1-", utt_prefix="sp1.1-")
    assert fast.utt2spk["sp1.1-ann-0"] == "sp1.1-ann"
    assert fast.wav_scp["sp1.1-ann-0"] == toy.wav_scp["ann-0"]
    assert fast.spk2gender == {"sp1.1-ann": "f", "sp1.1-bob": "m"}
    fast.write(tmp_path / "fast")
    both = combine([toy, DataDir.load(tmp_path / "fast")])
    both.check()
    assert len(both.utterances) == 12
    assert rename(toy) == toy


def test_renaming_keeps_recordings_of_segments(toy):
    toy.segments = {name: Segment(name, 0.1, 0.2) for name in toy.utterances}
    renamed = rename(toy, utt_suffix="-x")
    assert renamed.wav_scp == toy.wav_scp
    assert renamed.segments["ann-0-x"] == Segment("ann-0", 0.1, 0.2)
    renamed.check()


def test_segments_are_made_for_a_part_without(toy):
    other = rename(toy, spk_prefix="x-", utt_prefix="x-")
    other.segments = {name: Segment(name, 0.1, 0.2) for name in other.utterances}
    both = combine([toy, other])
    both.check()
    assert both.segments["ann-0"] == Segment("ann-0", 0.0, 0.5)
    assert both.segments["x-ann-0"] == Segment("x-ann-0", 0.1, 0.2)


def test_tables_that_one_part_lacks(toy):
    other = rename(toy, spk_prefix="x-", utt_prefix="x-")
    del other.tables["text"], other.tables["utt2arousal"], other.speakers["spk2gender"]
    both = combine([toy, other])
    both.check()
    assert "text" not in both.tables
    assert "spk2gender" not in both.speakers
    assert both.attribute("arousal") == toy.attribute("arousal")


def test_disagreements(toy):
    with pytest.raises(UserError, match="'ann-0' is also in"):
        combine([toy, toy])
    with pytest.raises(UserError, match="nothing to combine"):
        combine([])
    other = rename(toy, spk_prefix="x-", utt_prefix="x-")
    for name, value, words in (
        ("classes", ["calm"], "classes differ from those of .*, calm, wild: 'calm'"),
        ("attributes", {"arousal": Range(0, 1)}, "attributes differ from those of .*: 'arousal 0 to 1'"),
        ("corpus", "other", "corpus differ"),
    ):
        changed = copy.deepcopy(other)
        setattr(changed.labels, name, value)
        with pytest.raises(UserError, match=words):
            combine([toy, changed])
    part = toy.subset(["bob-0"])
    rest = copy.deepcopy(toy.subset(["bob-1"]))
    rest.speakers["spk2gender"]["bob"] = "f"
    with pytest.raises(UserError, match=r"'bob' has another value in .*: 'f'"):
        combine([part, rest])


def test_expected_counts_add_up_and_do_not_survive_a_subset(toy):
    toy.labels = dataclasses.replace(toy.labels, expected={"utterances": 9}, partial=True)
    other = rename(toy, spk_prefix="x-", utt_prefix="x-")
    both = combine([toy, other])
    assert both.labels.expected == {"utterances": 18}
    assert both.labels.partial
    part = both.subset(["ann-0"])
    assert not part.labels.expected
    assert not part.labels.partial
    other.labels = dataclasses.replace(other.labels, expected={})
    assert not combine([toy, other]).labels.expected
