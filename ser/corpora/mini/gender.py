"""Pitch that is ambiguous between genders: a calm man sounds as an excited woman does.

Women and men speak with the same voices, so that timbre and vocal tract do not tell who speaks. Their vocal
effort differs: a man's baseline lies S x STEP above, a woman's as far below, and pitch, its range, level,
rate and tilt follow the sum of baseline and arousal,

    effort = arousal + S STEP (+1 for a man, -1 for a woman)

which is what the dialogues do with a baseline that only memory can know. Whoever is told the gender can take
the baseline off. At S = 0 the voices are the same and gender says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ser.corpora.mini.dialogues import STEP
from ser.corpora.mini.speakers import VOICES, Speaker
from ser.corpora.mini.streams import stream

SIGN = {"m": 1, "f": -1}


def share_voices(speakers: Sequence[Speaker], seed: int) -> list[Speaker]:
    """The speakers with voices that do not depend on gender.

    A woman and the man who follows her have one voice of espeak-ng; sets of even size have both of a pair.
    """
    names = stream(seed, "voices shared").permutation([name for each in VOICES.values() for name in each])
    return [
        replace(speaker, voice=f"en-us+{names[index // 2 % len(names)]}")
        for index, speaker in enumerate(speakers)
    ]


def baseline(speaker: Speaker, ambiguity: float) -> float:
    """What is added to a speaker's arousal before it is heard, on the scale of states."""
    return ambiguity * STEP * SIGN[speaker.gender]
