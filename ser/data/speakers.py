"""Speakers that nobody knows: a corpus may tell who speaks in some of its utterances only."""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = "unknown"


def is_known(speaker: str) -> bool:
    """Whether an id stands for a person: ids that begin with ``unknown`` stand for nobody.

    >>> is_known("spk0012"), is_known("unknown-0001")
    (True, False)
    """
    return not speaker.startswith(UNKNOWN)


def known(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """utt2spk of the utterances whose speaker is known."""
    return {utterance: speaker for utterance, speaker in utt2spk.items() if is_known(speaker)}
