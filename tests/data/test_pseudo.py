"""Pseudo-dialogues: every utterance has one place, labels are unread; refused where there are dialogues."""

from collections import Counter

import pytest

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.pseudo import pseudo_dialogues


@pytest.fixture
def data(tmp_path):
    names = {f"{speaker}-{number:02d}": speaker for speaker in ("a", "b") for number in range(13)}
    return DataDir(
        path=tmp_path,
        labels=LabelSchema(corpus="own", classes=["calm", "excited"]),
        tables={"utt2spk": names, "utt2emo": {name: "calm" for name in names}},
        recordings={"wav.scp": {name: f"{name}.wav" for name in names}},
    )


@pytest.mark.parametrize("turns", [1, 4, 13, 50])
def test_every_utterance_has_one_place(data, turns):
    made = pseudo_dialogues(data, turns)
    places = set(zip(made.tables["utt2dialogue"].values(), made.tables["utt2turn"].values(), strict=True))
    assert len(places) == len(data.utterances) == len(made.tables["utt2turn"])
    sizes = Counter(made.tables["utt2dialogue"].values())
    assert max(sizes.values()) <= turns and max(sizes.values()) - min(sizes.values()) <= 1
    for name, dialogue in made.tables["utt2dialogue"].items():
        assert dialogue.startswith(f"pseudo_{data.utt2spk[name]}_")
        assert 1 <= int(made.tables["utt2turn"][name]) <= sizes[dialogue]


def test_order_follows_from_the_seed_and_not_from_labels(data):
    made = pseudo_dialogues(data, 4).tables["utt2turn"]
    data.tables["utt2emo"] = {name: "excited" for name in data.utterances}
    assert pseudo_dialogues(data, 4).tables["utt2turn"] == made
    assert pseudo_dialogues(data, 4, seed=1).tables["utt2turn"] != made


def test_dialogues_that_are_there_stay(data):
    data.tables["utt2dialogue"] = {name: "d" for name in data.utterances}
    with pytest.raises(UserError, match="dialogues of its own"):
        pseudo_dialogues(data, 4)
    with pytest.raises(UserError, match="one turn at least"):
        pseudo_dialogues(data, 0)
