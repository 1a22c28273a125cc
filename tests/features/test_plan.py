"""Every utterance once, bounds kept, and nothing that depends on order or on the number of jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.core.errors import UserError
from ser.features.plan import plan_batches, plan_shards, shards_of_job

DURATIONS = st.dictionaries(st.text("abc", min_size=1, max_size=5), st.floats(0, 60), max_size=60)
BOUND = st.floats(0.5, 100)


@given(DURATIONS, BOUND)
def test_every_utterance_is_in_one_batch_that_keeps_the_bound(durations, bound):
    batches = plan_batches(durations, bound)
    assert sorted(utterance for batch in batches for utterance in batch.utterances) == sorted(durations)
    for batch in batches:
        longest = max(durations[utterance] for utterance in batch.utterances)
        assert len(batch.utterances) == 1 or len(batch.utterances) * longest <= bound
        assert batch.seconds == pytest.approx(sum(durations[utterance] for utterance in batch.utterances))


@given(DURATIONS, BOUND, st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_the_list(durations, bound, random):
    names = list(durations)
    random.shuffle(names)
    assert plan_batches({name: durations[name] for name in names}, bound) == plan_batches(durations, bound)


@given(DURATIONS, BOUND)
def test_a_longer_context_counts(durations, bound):
    for batch in plan_batches(durations, bound, padded_seconds=lambda seconds: 30.0):
        assert len(batch.utterances) == 1 or 30 * len(batch.utterances) <= bound


@given(DURATIONS, BOUND, st.integers(1, 9))
def test_jobs_share_the_shards_and_lose_none(durations, bound, jobs):
    batches = plan_batches(durations, bound)
    shards = plan_shards(batches)
    assert sorted(u for shard in shards for u in shard.utterances) == sorted(durations)
    assert all(shard.batches for shard in shards)
    assert [shard.index for shard in shards] == list(range(len(shards)))
    shared = [shard.index for job in range(1, jobs + 1) for shard in shards_of_job(shards, jobs, job)]
    assert sorted(shared) == list(range(len(shards)))


def test_shards_are_alike_in_length_and_bounded():
    durations = {f"u{index:05d}": 1 + index % 97 / 10 for index in range(20000)}
    shards = plan_shards(plan_batches(durations))
    lengths = [shard.seconds for shard in shards]
    assert len(shards) % 8 == 0
    assert max(lengths) < 1.15 * min(lengths)
    assert min(lengths) > 60 / 1.15 and max(lengths) < 600


def test_what_is_no_plan():
    with pytest.raises(UserError, match="positive number of seconds: '0'"):
        plan_batches({"a": 1.0}, 0)
    for jobs, job in ((2, 3), (2, 0), (0, 1)):
        with pytest.raises(UserError, match=f"no job {job} of {jobs}"):
            shards_of_job([], jobs, job)


def test_batches_as_they_come_are_bounded_by_their_longest() -> None:
    """Padding counts: a long utterance behind short ones opens a batch of its own where it would not fit."""
    durations = {"a": 1.0, "b": 3.0, "c": 1.0, "d": 9.0, "e": 2.0}
    found = [batch.utterances for batch in plan_batches(durations, 6.0, in_order=True)]
    assert found == [("a", "b"), ("c",), ("d",), ("e",)]
    assert [batch.utterances for batch in plan_batches(durations, 6.0)] == [("a", "c", "e"), ("b",), ("d",)]
