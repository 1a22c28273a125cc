"""Speaker-independent splits: sets of speakers, deterministic for a seed.

Speakers are put in an order by a hash of the seed and their name, so that a split depends neither
on the order of a dictionary nor on the version of a random generator.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from ser.core.errors import UserError


def held_out_speakers(utt2spk: Mapping[str, str], share: float, seed: int) -> set[str]:
    """Speakers whose utterances make up about ``share`` of all, for validation.

    Speakers are taken in the seed's order, each only if that brings the sum nearer to the share.

    Args:
        utt2spk: utterance -> speaker.
        share: the share of utterances aimed at, between 0 and 1.
        seed: another seed holds out other speakers.

    Returns:
        at least one speaker, never all.

    Raises:
        UserError: with fewer than two speakers, or a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UserError("the share of held-out utterances must be between 0 and 1", value=share)
    counts = Counter(utt2spk.values())
    if len(counts) < 2:
        raise UserError("holding out speakers needs two speakers at least", value=", ".join(counts))
    goal, chosen = share * len(utt2spk), set()
    gap = goal
    for speaker in sorted(counts, key=lambda name: draw(seed, name)):
        nearer = abs(gap - counts[speaker])
        if nearer < abs(gap) and len(chosen) < len(counts) - 1:
            chosen.add(speaker)
            gap -= counts[speaker]
    return chosen or {min(counts, key=lambda name: (counts[name], draw(seed, name)))}


def inner_folds(utt2spk: Mapping[str, str], n: int, seed: int) -> list[set[str]]:
    """``n`` disjoint sets of speakers with about the same number of utterances each.

    The longest-first rule of load balancing: speakers in falling order of their utterances, each
    into the set that has the fewest. The seed scales each speaker's number by 1/2 to 1 for the
    order alone, so that seeds differ and the sets stay balanced.

    Raises:
        UserError: when there are fewer speakers than sets, or ``n`` is below 2.
    """
    counts = Counter(utt2spk.values())
    if n < 2 or len(counts) < n:
        raise UserError(f"{len(counts)} speakers cannot be put into folds", value=n)
    order = sorted(counts, key=lambda name: (-counts[name] * (1 + draw(seed, name)), name))
    folds: list[set[str]] = [set() for _ in range(n)]
    loads = [0] * n
    for speaker in order:
        lightest = min(range(n), key=lambda fold: (loads[fold], fold))
        folds[lightest].add(speaker)
        loads[lightest] += counts[speaker]
    return folds


def assign_folds(utt2spk: Mapping[str, str], n: int | None = None, seed: int = 0) -> dict[str, str]:
    """The table utt2fold: for each utterance the fold in which it is tested.

    Args:
        utt2spk: utterance -> speaker.
        n: number of folds, named ``fold1`` and so on; None leaves one speaker out, and a fold is
            named after its speaker.
        seed: as for ``inner_folds``.

    Raises:
        UserError: as ``inner_folds``.
    """
    if n is None:
        if len(set(utt2spk.values())) < 2:
            raise UserError("leaving one speaker out needs two speakers at least")
        return dict(sorted(utt2spk.items()))
    digits = len(str(n))
    fold_of = {
        speaker: f"fold{number:0{digits}d}"
        for number, speakers in enumerate(inner_folds(utt2spk, n, seed), 1)
        for speaker in speakers
    }
    return {utterance: fold_of[utt2spk[utterance]] for utterance in sorted(utt2spk)}


def draw(seed: int, name: str) -> float:
    """A number in [0, 1), uniform over names and seeds."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
