"""Holm's correction against its definition, and what ranks pairwise tests leave open."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.scoring.comparison.multiple import enough_draws, holm, rank_ranges, rank_text

PS = st.lists(st.floats(0, 1), min_size=1, max_size=9)


def step_down(p, level):
    """What Holm (1979) rejects: the smallest at level / m, the next at level / (m - 1), until one fails."""
    rejected = set()
    for place, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - place) > level:
            break
        rejected.add(i)
    return rejected


@given(PS, st.floats(0.001, 0.5))
def test_adjusted_p_below_the_level_are_what_the_procedure_rejects(p, level):
    adjusted = holm(p)
    assert {i for i, value in enumerate(adjusted) if value <= level} == step_down(p, level)


@given(PS)
def test_adjusted_p_are_between_the_raw_and_bonferronis_and_keep_the_order(p):
    adjusted = holm(p)
    for raw, value in zip(p, adjusted, strict=True):
        assert raw <= value <= min(1.0, max(raw * len(p), max(q for q in p if q <= raw) * len(p))) + 1e-12
    for (a, adjusted_a), (b, adjusted_b) in itertools.combinations(zip(p, adjusted, strict=True), 2):
        assert (adjusted_a <= adjusted_b) if a <= b else (adjusted_a >= adjusted_b)


@given(st.integers(2, 200), st.sampled_from([0.9, 0.95, 0.99]))
def test_enough_draws_leave_room_for_a_rejection(systems, level):
    draws, pairs = enough_draws(systems, level), systems * (systems - 1) // 2
    assert draws % 1000 == 0
    assert holm([2 / (draws + 1)] * pairs)[0] <= (1 - level) / 2
    assert draws == 1000 or 2 * pairs / (draws - 999) > (1 - level) / 2, "no more than needed"


@given(PS, st.randoms(use_true_random=False))
def test_order_of_the_tests_changes_nothing(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    adjusted = holm(p)
    assert holm([p[i] for i in order]) == [adjusted[i] for i in order]


def test_a_test_that_was_not_made_is_no_member_of_the_family():
    assert holm([0.02, None, 0.03]) == [0.04, None, 0.04]
    assert holm([None]) == [None] and holm([]) == []


def test_ranks_of_systems_that_all_differ_are_single_and_of_none_are_all():
    better = np.array([0.3, 0.9, 0.5])
    pairs = list(itertools.combinations(range(3), 2))
    for p in (0.01, 0.05):
        assert rank_ranges(3, dict.fromkeys(pairs, p), better, 0.95) == [(3, 3), (1, 1), (2, 2)]
    for p in (0.0501, 0.8, None):
        assert rank_ranges(3, dict.fromkeys(pairs, p), better, 0.95) == [(1, 3)] * 3


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6, unique=True), st.data())
def test_ranges_hold_the_rank_of_the_values_and_turn_with_the_systems(values, data):
    size, better = len(values), np.array(values)
    adjusted = {pair: data.draw(st.floats(0, 0.2)) for pair in itertools.combinations(range(size), 2)}
    ranges = rank_ranges(size, adjusted, better, 0.95)
    for (low, high), value in zip(ranges, better, strict=True):
        assert 1 <= low <= 1 + (better > value).sum() <= high <= size
    turned = {(size - 1 - j, size - 1 - i): p for (i, j), p in adjusted.items()}
    assert rank_ranges(size, turned, better[::-1], 0.95) == ranges[::-1]


@pytest.mark.parametrize(("rank", "text"), [((1, 3), "1-3"), ((2, 2), "2")])
def test_ties_are_shown(rank, text):
    assert rank_text(rank) == text
