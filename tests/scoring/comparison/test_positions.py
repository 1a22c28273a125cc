"""Positions in a dialogue, and curves whose parts add up to the whole."""

import numpy as np
import pytest

from ser.core.errors import UserError
from ser.scoring.comparison.positions import bins_of, curves, positions_of
from ser.scoring.comparison.systems import make_tasks, read_systems
from ser.scoring.schema import Bootstrap
from tests.scoring.builder import System, make_experiment
from tests.scoring.comparison.dialogues import make_dialogues

HOW = Bootstrap(draws=40, seed=0, level=0.95, unit="dialogue")


@pytest.fixture
def data(tmp_path):
    return make_dialogues(tmp_path / "test", turns=11, dialogues=2)


def test_positions_count_in_the_order_of_the_turns(data):
    found = positions_of(data)
    for row, utterance in enumerate(data.utterances):
        turn = int(data.tables["utt2turn"][utterance])
        assert found["dialogue"][row] == turn
        assert found["speaker"][row] == (turn + 1) // 2


def test_gaps_and_numbers_from_zero_change_nothing(data):
    expected = positions_of(data)
    data.tables["utt2turn"] = {u: str(7 * (int(t) - 1)) for u, t in data.tables["utt2turn"].items()}
    found = positions_of(data)
    assert all((found[kind] == expected[kind]).all() for kind in expected)


def test_an_utterance_without_a_turn_has_no_position(data):
    first = data.utterances[0]
    del data.tables["utt2turn"][first]
    found = positions_of(data)
    assert found["dialogue"][0] == 0 and found["speaker"][0] == 0
    assert sorted(set(found["speaker"][1:])) == list(range(1, 12))
    del data.tables["utt2dialogue"]
    assert positions_of(data) is None


def test_bad_turns_are_refused_with_their_line(data):
    a, b = data.utterances[:2]
    data.tables["utt2turn"][b] = "two"
    with pytest.raises(UserError, match=r"utt2turn:2: turn of .* is not a whole number: 'two'"):
        positions_of(data)
    data.tables["utt2turn"][b] = data.tables["utt2turn"][a]
    with pytest.raises(UserError, match=f"utt2turn:2: '{a}' and '{b}' are both turn 1 of dialogue 'd00_0'"):
        positions_of(data)


def test_bins_hold_every_position_once():
    positions = np.arange(0, 300)
    held = np.zeros(300, int)
    for first, last in bins_of(positions):
        held[(positions >= first) & (positions <= last)] += 1
    assert held[0] == 0 and (held[1:] == 1).all()
    assert bins_of(positions)[7:10] == [(8, 8), (9, 16), (17, 32)]
    assert bins_of(np.zeros(3, int)) == []


@pytest.mark.parametrize("kind", ["dialogue", "speaker"])
@pytest.mark.parametrize("metric", ["WA", "MAE"])
def test_the_mean_over_positions_weighted_by_utterances_is_the_total(tmp_path, data, kind, metric):
    lacking = set(data.utterances[::5])
    for table in ("utt2emo", "utt2naturalness"):
        data.tables[table] = {u: v for u, v in data.tables[table].items() if u not in lacking}
    data.write(data.path)
    folders = [
        make_experiment(tmp_path / name, data, System(name, seeds=seeds), set_name="test")
        for name, seeds in (("a", (0, 1)), ("b", (0,)))
    ]
    systems = read_systems(folders, data, "test")
    task = make_tasks(systems, data, "dialogue", [])[metric == "MAE"]
    found = curves(task, systems, metric, positions_of(data)[kind], HOW)
    totals = [np.mean(task.measure(system).by_seed[metric]) for system in systems]
    for curve, total in zip(found, totals, strict=True):
        weights = [point.utterances for point in curve]
        assert sum(weights) == len(task.rows) == 8 * 22 - len(lacking)
        assert np.average([p.value.value for p in curve], weights=weights) == pytest.approx(total, abs=1e-12)
    gaps = [point.difference.value for point in found[1]]
    assert np.average(gaps, weights=weights) == pytest.approx(totals[1] - totals[0], abs=1e-12)
    assert all(point.difference is None for point in found[0])


def test_a_gain_that_grows_with_the_history_is_seen(tmp_path):
    """A system that is right only from the speaker's second turn on gains nothing at the first."""
    data = make_dialogues(tmp_path / "test", speakers=30, dialogues=4)
    base = make_experiment(tmp_path / "base", data, System("base", skill=0.2), set_name="test")
    late = make_experiment(tmp_path / "late", data, System("base", skill=0.2), set_name="test")
    systems = read_systems([base, late], data, "test")
    positions = positions_of(data)["speaker"]
    classes = systems[0].found.columns.classes
    for row, utterance in enumerate(data.utterances):
        if positions[row] > 1:
            truth = classes.index(data.classes_of()[utterance])
            systems[1].found.seeds[0].values[row, : len(classes)] = np.eye(len(classes))[truth]
    task = make_tasks(systems, data, "dialogue", [])[0]
    first, *later = curves(task, systems, "WA", positions, HOW)[1]
    assert (first.difference.value, first.difference.p) == (0, 1)
    assert all(point.difference.low > 0.3 and point.difference.p < 0.05 for point in later)
