"""What is told beside the sound, made wrong on purpose: gender of some utterances, words of transcripts.

What is wrong at a rate is wrong at every higher one too: what is drawn is a number for each utterance, or
word, that the rate is compared with. So a curve over rates is of one corpus that gets worse, not of many.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import NO_TEXT, DataDir
from ser.data.splits import draw

OTHER = {"f": "m", "m": "f"}


def flip_gender(data: DataDir, share: float, seed: int = 0) -> DataDir:
    """A share of the utterances with the other gender, in utt2gender, which counts over spk2gender.

    Args:
        data: with spk2gender or utt2gender.
        share: of the utterances whose gender is known; that many are flipped, to the nearest number.
        seed: of which.

    Raises:
        UserError: when no gender is known, or ``share`` is none.
    """
    _check_share("share of genders to flip", share)
    known = data.trait("gender")
    if not known:
        raise UserError("no gender to flip", file=data.path, hint="It wants spk2gender or utt2gender")
    order = sorted(known, key=lambda utterance: (draw(seed, f"gender {utterance}"), utterance))
    flipped = set(order[: round(share * len(order))])
    table = {u: OTHER[g] if u in flipped else g for u, g in sorted(known.items())}
    return dataclasses.replace(data, tables={**data.tables, "utt2gender": table})


def spoil_words(data: DataDir, drop: float = 0.0, replace: float = 0.0, seed: int = 0) -> DataDir:
    """Transcripts as a poor recogniser has them: some words gone, some others in their place.

    Each word is dropped with one probability, and else replaced with the other, by a different word that is
    drawn as often as the directory's transcripts have it. Where no word is left there is no text (<unk>).

    Args:
        data: with text.
        drop: probability that a word is dropped.
        replace: probability that a word that is not dropped is another one.
        seed: of which.

    Raises:
        UserError: when there is no text, the rates are none, or there is no second word to put in.
    """
    _check_share("rate of words to drop", drop)
    _check_share("rate of words to replace", replace)
    if "text" not in data.tables:
        raise UserError("no transcripts to spoil", file=data.path / "text")
    text = data.tables["text"]
    words = Counter(word for line in text.values() if line != NO_TEXT for word in line.split())
    if replace and len(words) < 2:
        raise UserError("no second word to put in another's place", file=data.path / "text")
    bag = sorted(words)
    table = {
        utterance: line
        if line == NO_TEXT
        else _spoilt(utterance, line.split(), bag, words, drop, replace, seed)
        for utterance, line in text.items()
    }
    return dataclasses.replace(data, tables={**data.tables, "text": table})


def _spoilt(
    utterance: str,
    line: list[str],
    bag: list[str],
    words: Counter[str],
    drop: float,
    replace: float,
    seed: int,
) -> str:
    """A transcript's words after drops and replacements."""
    kept = []
    for place, word in enumerate(line):
        where = f"{utterance} {place}"
        if draw(seed, f"drop {where}") < drop:
            continue
        if draw(seed, f"replace {where}") < replace:
            word = _another(word, bag, words, draw(seed, f"word {where}"))
        kept.append(word)
    return " ".join(kept) or NO_TEXT


def _another(word: str, bag: list[str], words: Counter[str], drawn: float) -> str:
    """The word at the place ``drawn`` (0 to 1) among all others, by how often each occurs."""
    counts = np.array([0 if other == word else words[other] for other in bag])
    return bag[int(np.searchsorted(counts.cumsum(), drawn * counts.sum(), side="right"))]


def _check_share(name: str, value: float) -> None:
    """Raise for what is no share."""
    if not 0 <= value <= 1:
        raise UserError(f"the {name} must be 0 to 1", value=value)
