"""Simulated raters: each hears the planted state with an error, and votes for the nearest class.

    heard_r = state + RATER_SD e_r,   e_r ~ N(0, 1) a dimension
    vote_r  = the class whose centre is nearest to heard_r
    share_c = votes for c / raters                                  (utt2emodist)

Votes are of the state, not of what is spoken: the strength of voice and words changes none of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ser.corpora.mini.design import Utterance
from ser.corpora.mini.streams import stream

RATER_SD = 0.30  # of a rater's error, on the scale of states
STATE = ("arousal", "valence")


def shares(
    utterances: Sequence[Utterance], centres: Mapping[str, Sequence[float]], raters: int, seed: int
) -> dict[str, list[float]]:
    """What raters say of utterances.

    Another utterance, or a rater more, changes nobody else's vote.

    Args:
        utterances: with their true states.
        centres: class -> its centre, one number a dimension of ``STATE``, or the first of them.
        raters: how many, at least 1.
        seed: the corpus's seed.

    Returns:
        utterance -> share of each class, in the order of ``centres``; they sum to 1.
    """
    found = {}
    for utterance in utterances:
        rng = stream(seed, f"raters of {utterance.original}")
        votes = Counter(_vote(utterance, centres, rng.standard_normal(len(STATE))) for _ in range(raters))
        found[utterance.name] = [votes[name] / raters for name in centres]
    return found


def _vote(utterance: Utterance, centres: Mapping[str, Sequence[float]], error: Sequence[float]) -> str:
    """The class whose centre is nearest to what a rater hears."""
    dimensions = len(next(iter(centres.values())))
    heard = [
        float(utterance.truth[name]) + RATER_SD * float(each)
        for name, each in zip(STATE[:dimensions], error[:dimensions], strict=True)
    ]
    return min(centres, key=lambda name: math.dist(heard, centres[name]))
