"""Side information made wrong: as much of it as is asked for, the same at every higher rate."""

from collections import Counter

import numpy as np
import pytest

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.datadir import NO_TEXT, DataDir
from ser.data.noise import flip_gender, spoil_words

RATES = (0.0, 0.1, 0.3, 0.5, 1.0)


@pytest.fixture
def spoken(toy):
    """Many utterances with words of known frequencies."""
    rng = np.random.default_rng(0)
    names = [f"{speaker}-{number:03d}" for speaker in ("ann", "bob") for number in range(200)]
    lines = {name: " ".join(rng.choice(["a", "b", "c"], 10, p=[0.6, 0.3, 0.1])) for name in names}
    lines[names[0]] = NO_TEXT
    tables = {"utt2spk": {n: n.split("-")[0] for n in names}, "text": lines}
    toy.tables, toy.recordings = tables, {"wav.scp": {n: f"{n}.wav" for n in names}}
    return toy


def test_as_many_genders_are_flipped_as_asked_for_and_more_at_higher_shares(spoken) -> None:
    truth, before = spoken.trait("gender"), set()
    for share in RATES:
        found = flip_gender(spoken, share, seed=3)
        found.check()
        wrong = {u for u, gender in found.trait("gender").items() if gender != truth[u]}
        assert len(wrong) == round(share * 400) and before <= wrong
        assert set(found.trait("gender").values()) <= {"m", "f"}
        before = wrong
    assert spoken.trait("gender") == truth and "utt2gender" not in spoken.tables
    other = flip_gender(spoken, 0.3, seed=4).trait("gender")
    assert other != flip_gender(spoken, 0.3, seed=3).trait("gender")
    assert flip_gender(spoken, 0.3, seed=3).tables == flip_gender(spoken, 0.3, seed=3).tables


def test_a_flip_of_a_flip_is_the_truth(spoken) -> None:
    twice = flip_gender(flip_gender(spoken, 0.4), 0.4)
    assert twice.trait("gender") == spoken.trait("gender")


def test_words_are_dropped_at_the_rate(spoken) -> None:
    before = None
    for rate in RATES:
        text = spoil_words(spoken, drop=rate).tables["text"]
        left = Counter(w for line in text.values() if line != NO_TEXT for w in line.split())
        assert left.total() / 3990 == pytest.approx(1 - rate, abs=0.03)
        if before is not None:
            assert all(is_subsequence(text[u].split(), before[u].split()) for u in text if text[u] != NO_TEXT)
        before = text
    assert set(before.values()) == {NO_TEXT}
    assert spoil_words(spoken).tables["text"] == spoken.tables["text"]


def is_subsequence(some: list[str], line: list[str]) -> bool:
    rest = iter(line)
    return all(word in rest for word in some)


def test_words_are_replaced_at_the_rate_by_others_as_frequent_as_they_are(spoken) -> None:
    truth = spoken.tables["text"]
    for rate in RATES:
        text = spoil_words(spoken, replace=rate).tables["text"]
        pairs = [
            (a, b)
            for u in truth
            if truth[u] != NO_TEXT
            for a, b in zip(truth[u].split(), text[u].split(), strict=True)
        ]
        wrong = [(a, b) for a, b in pairs if a != b]
        assert len(wrong) / len(pairs) == pytest.approx(rate, abs=0.03)
        instead = Counter(b for a, b in wrong if a == "a")
        if rate >= 0.3:
            assert instead["b"] / instead.total() == pytest.approx(0.75, abs=0.05)
        assert text[next(iter(truth))] == NO_TEXT


def test_a_subset_is_spoilt_as_the_whole_is(spoken) -> None:
    """What is wrong with an utterance is its own: the order and number of the others do not matter."""
    some = spoken.utterances[5:60:3]
    whole = spoil_words(spoken, drop=0.3).tables["text"]
    part = spoil_words(spoken.subset(some), drop=0.3).tables["text"]
    assert part == {u: whole[u] for u in some}


def test_mistakes(toy, spoken) -> None:
    for call in (lambda: flip_gender(spoken, 1.5), lambda: spoil_words(spoken, drop=-0.1),
                 lambda: spoil_words(spoken, replace=float("nan"))):  # fmt: skip
        with pytest.raises(UserError, match="must be 0 to 1"):
            call()
    spoken.speakers = {}
    with pytest.raises(UserError, match="no gender to flip"):
        flip_gender(spoken, 0.1)
    spoken.tables["text"] = dict.fromkeys(spoken.utterances, "one")
    with pytest.raises(UserError, match="no second word"):
        spoil_words(spoken, replace=0.1)
    del spoken.tables["text"]
    with pytest.raises(UserError, match="no transcripts"):
        spoil_words(spoken, drop=0.1)


def test_ser_prepare_noise(toy, tmp_path, capsys) -> None:
    out = tmp_path / "noisy"
    dispatch(["prepare", "noise", str(toy.path), str(out), "--flip-gender", "0.5", "--drop-words", "1"])
    assert "3 of 6 genders, 6 of 6 transcripts" in capsys.readouterr().out
    noisy = DataDir.load(out)
    assert sum(noisy.trait("gender")[u] != toy.trait("gender")[u] for u in toy.utterances) == 3
    assert set(noisy.tables["text"].values()) == {NO_TEXT}
    assert noisy.tables["utt2arousal"] == toy.tables["utt2arousal"]
    with pytest.raises(UserError, match="nothing to make wrong"):
        dispatch(["prepare", "noise", str(toy.path), str(tmp_path / "other")])
    assert not (tmp_path / "other").exists()
