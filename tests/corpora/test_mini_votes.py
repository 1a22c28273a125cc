"""Votes of simulated raters: of the planted state, the same every time, and only when asked for."""

from collections import Counter

import numpy as np
import pytest

from ser.cli import lint
from ser.core.errors import UserError
from ser.corpora.mini import design, dialogues, votes
from ser.corpora.mini.speakers import draw_speakers
from ser.data.datadir import DataDir
from ser.data.report import validate
from tests.corpora.test_mini import contents, prepare

PEOPLE = draw_speakers(20, 0)
PLANNED = design.plan_utterances(PEOPLE, 400, 1.0, 0)


def shares(raters, utterances=PLANNED, seed=0):
    return votes.shares(utterances, design.CENTRES, raters, seed)


def test_shares_are_of_whole_votes_and_sum_to_one():
    found = np.array(list(shares(5).values()))
    assert found.shape == (len(PLANNED), len(design.CENTRES))
    assert np.allclose(found.sum(1), 1)
    assert np.allclose(found * 5, np.round(found * 5))


def test_the_majority_is_mostly_the_class_and_raters_disagree():
    found = shares(9)
    classes = list(design.CENTRES)
    agreed = [classes[int(np.argmax(found[each.name]))] == each.emotion for each in PLANNED]
    assert 0.85 < np.mean(agreed) < 1
    # A class that is drawn at random would agree in a quarter.
    assert np.mean([max(row) < 1 for row in found.values()]) > 0.1


def test_many_raters_vote_as_the_noise_says():
    """Reference: how often state + noise, drawn here, falls nearest to each centre."""
    utterance = next(each for each in PLANNED if each.emotion == "neutral")
    state = np.array([utterance.truth["arousal"], utterance.truth["valence"]])
    heard = state + votes.RATER_SD * np.random.default_rng(1).standard_normal((100_000, 2))
    centres = np.array(list(design.CENTRES.values()))
    nearest = np.argmin(((heard[:, None] - centres) ** 2).sum(-1), axis=1)
    expected = np.bincount(nearest, minlength=4) / len(nearest)
    # 4,000 votes: four standard errors.
    assert shares(4000, [utterance])[utterance.name] == pytest.approx(expected, abs=4 * 0.5 / 4000**0.5)


def test_another_utterance_or_rater_changes_nobody_s_vote():
    assert shares(5, PLANNED[10:20]) == {each.name: shares(5)[each.name] for each in PLANNED[10:20]}
    few, more = shares(3), shares(4)
    for name, row in few.items():
        gained = 4 * np.array(more[name]) - 3 * np.array(row)
        assert Counter(np.round(gained, 6)) == {0.0: 3, 1.0: 1}
    assert shares(3, seed=1) != few


def test_strength_changes_no_vote():
    assert shares(5, design.plan_utterances(PEOPLE, 400, 0.0, 0)) == shares(5)


def test_turns_of_dialogues_are_voted_on_by_their_arousal():
    turns = dialogues.plan_dialogues(PEOPLE, 10, 6, 1.0, 0)
    found = votes.shares(turns, dialogues.CENTRES, 25, 0)
    for turn in turns:
        assert dialogues.CLASSES[int(np.argmax(found[turn.name]))] == turn.emotion


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (GPL, an extra) is not installed")
    folder = tmp_path_factory.mktemp("rated")
    prepare(folder, raters=5)
    return folder


def test_tables_are_valid_and_the_rest_of_the_corpus_stays_as_it_was(rated, tmp_path, monkeypatch):
    prepare(tmp_path)
    plain, now = contents(tmp_path), contents(rated)
    sets = ("train", "validation", "test", "dialogues")
    assert set(now) - set(plain) == {f"data/{name}/utt2emodist" for name in sets}
    changed = {path for path in plain if plain[path] != now[path]}
    assert changed == {f"data/{name}/labels.yaml" for name in sets} | {"data/truth/design.yaml"}
    monkeypatch.chdir(rated)
    for name in sets:
        assert validate(f"data/{name}") == []
        data = DataDir.load(f"data/{name}")
        assert data.labels.derived == ["emo", "emodist"]
        assert set(data.tables["utt2emodist"]) == set(data.utterances)
        assert all(
            len(row.split()) == len(data.labels.classes) for row in data.tables["utt2emodist"].values()
        )
    sets = ["data/train", "data/validation", "data/test"]
    # It raises for any other error: six utterances have not every class.
    lint.main([*sets, "--work", str(tmp_path / "lint"), "--allow", "class-missing", "--no-audio"])


def test_the_same_seed_gives_the_same_bytes(rated, tmp_path):
    prepare(tmp_path, raters=5)
    assert contents(tmp_path) == contents(rated)
    assert "raters: 5" in (tmp_path / "data" / "truth" / "design.yaml").read_text()


def test_fewer_than_no_raters_are_refused(tmp_path):
    with pytest.raises(UserError, match="--raters is less than 0"):
        prepare(tmp_path, raters=-1)
