"""Speaker-independent splits: properties."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.data.splits import assign_folds, held_out_speakers, inner_folds


@st.composite
def corpora(draw):
    """A table utt2spk of 2 to 12 speakers with 1 to 30 utterances each."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=2, max_size=12))
    return {f"s{s}-{u}": f"s{s}" for s, size in enumerate(sizes) for u in range(size)}


@given(utt2spk=corpora(), share=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_held_out(utt2spk, share, seed):
    counts = Counter(utt2spk.values())
    chosen = held_out_speakers(utt2spk, share, seed)
    assert chosen
    assert chosen < counts.keys()
    assert chosen == held_out_speakers(dict(reversed(utt2spk.items())), share, seed)
    held = sum(counts[speaker] for speaker in chosen)
    assert abs(held - share * len(utt2spk)) <= max(counts.values())


@given(utt2spk=corpora(), seed=st.integers(0, 99), data=st.data())
def test_inner_folds(utt2spk, seed, data):
    counts = Counter(utt2spk.values())
    n = data.draw(st.integers(2, len(counts)))
    folds = inner_folds(utt2spk, n, seed)
    assert len(folds) == n
    assert all(folds)
    assert sorted(speaker for fold in folds for speaker in fold) == sorted(counts)
    loads = [sum(counts[speaker] for speaker in fold) for fold in folds]
    assert max(loads) - min(loads) <= max(counts.values())
    assert folds == inner_folds(dict(reversed(utt2spk.items())), n, seed)


def test_seeds_differ():
    utt2spk = {f"s{s:02d}-{u}": f"s{s:02d}" for s in range(10) for u in range(5 + s)}
    assert len({frozenset(held_out_speakers(utt2spk, 0.2, seed)) for seed in range(10)}) > 3
    assert len({frozenset(map(frozenset, inner_folds(utt2spk, 3, seed))) for seed in range(10)}) > 3


def test_held_out_speakers_stay_those_of_the_first_release():
    """A change of the rule would change every published result: this pins it."""
    utt2spk = {f"s{s}-{u}": f"s{s}" for s in range(6) for u in range(4)}
    assert held_out_speakers(utt2spk, 0.33, seed=0) == {"s0", "s3"}
    assert inner_folds(utt2spk, 3, seed=0) == [{"s2", "s5"}, {"s1", "s3"}, {"s0", "s4"}]


@given(utt2spk=corpora())
def test_assigned_folds(utt2spk):
    assert assign_folds(utt2spk) == utt2spk
    folds = assign_folds(utt2spk, 2)
    assert folds.keys() == utt2spk.keys()
    assert set(folds.values()) == {"fold1", "fold2"}
    assert len({(utt2spk[utterance], fold) for utterance, fold in folds.items()}) == len(
        set(utt2spk.values())
    )


def test_too_few_speakers():
    with pytest.raises(UserError, match="two speakers"):
        held_out_speakers({"a-1": "a"}, 0.5, 0)
    with pytest.raises(UserError, match="cannot be put into folds: '3'"):
        inner_folds({"a-1": "a", "b-1": "b"}, 3, 0)
    with pytest.raises(UserError, match="two speakers"):
        assign_folds({"a-1": "a"})
    with pytest.raises(UserError, match="between 0 and 1"):
        held_out_speakers({"a-1": "a", "b-1": "b"}, 1.0, 0)
