"""Which utterances are encoded together, and in which files they end up.

The plan is made from the full list of utterances, never from what is left to do: so a run that was
killed and started again computes the very batches of an uninterrupted one, and so does any number of jobs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ser.core.errors import UserError

BATCH_SECONDS = 20.0
SHARDS_IN_CORPUS = 400
SHORTEST_SHARD, LONGEST_SHARD = 60.0, 600.0


@dataclass(frozen=True)
class Batch:
    """Utterances of about the same length; ``seconds`` of audio in all, padding aside."""

    utterances: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Shard:
    """Batches whose results are written whole: the unit of resuming, and of sharing work among jobs."""

    index: int
    batches: tuple[Batch, ...]

    @property
    def seconds(self) -> float:
        """Seconds of audio."""
        return sum(batch.seconds for batch in self.batches)

    @property
    def utterances(self) -> list[str]:
        """Utterances in the order in which they are encoded."""
        return [utterance for batch in self.batches for utterance in batch.utterances]


def plan_batches(
    durations: Mapping[str, float],
    batch_seconds: float = BATCH_SECONDS,
    padded_seconds: Callable[[float], float] = lambda seconds: seconds,
    in_order: bool = False,
) -> list[Batch]:
    """Group utterances of like length, shortest first.

    Args:
        durations: seconds of every utterance.
        batch_seconds: bound on a batch's seconds, padding included; an utterance longer than that is
            a batch of its own.
        padded_seconds: what the encoder makes of a duration (Whisper may pad to 30 s).
        in_order: group them as they come instead, whatever their lengths.

    Raises:
        UserError: ``batch_seconds`` is not positive.
    """
    if not batch_seconds > 0:
        raise UserError("batches need a positive number of seconds", value=batch_seconds)
    batches: list[Batch] = []
    members: list[str] = []
    longest = 0.0
    by_length = sorted(durations, key=lambda utterance: (durations[utterance], utterance))
    for utterance in durations if in_order else by_length:
        own = padded_seconds(durations[utterance])
        longest = max(longest, own)
        if members and (len(members) + 1) * longest > batch_seconds:
            batches.append(_batch(members, durations))
            members, longest = [], own
        members.append(utterance)
    return batches + ([_batch(members, durations)] if members else [])


def plan_shards(batches: list[Batch]) -> list[Shard]:
    """Deal the batches out, so that every shard has long and short ones and takes about as long as any other.

    A shard holds 1 to 10 minutes of audio; their number is a multiple of 8 where there are batches
    enough, so that 2, 4 or 8 jobs get the same share.
    """
    total = sum(batch.seconds for batch in batches)
    seconds = min(max(total / SHARDS_IN_CORPUS, SHORTEST_SHARD), LONGEST_SHARD)
    count = min(8 * max(1, math.ceil(total / seconds / 8)), len(batches))
    return [Shard(index, tuple(batches[index::count])) for index in range(count)]


def shards_of_job(shards: list[Shard], jobs: int, job: int) -> list[Shard]:
    """The shards of job number ``job``, from 1: every ``jobs``-th.

    Raises:
        UserError: no such job.
    """
    if jobs < 1 or not 1 <= job <= jobs:
        raise UserError(f"there is no job {job} of {jobs}", hint="Jobs are counted from 1 to --nj")
    return shards[job - 1 :: jobs]


def _batch(members: list[str], durations: Mapping[str, float]) -> Batch:
    """A batch of ``members``."""
    return Batch(tuple(members), sum(durations[utterance] for utterance in members))
