"""The speakers: a voice of espeak-ng each, with a baseline of their own, in three disjoint sets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ser.core.errors import UserError
from ser.corpora.mini.streams import stream

# Variants of espeak-ng that speak clearly, by gender. More speakers than voices share them, with another
# vocal tract and another pitch.
VOICES = {
    "m": ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "michel", "sandro", "victor", "Alex"),
    "f": ("f1", "f2", "f3", "f4", "f5", "Andrea", "Annie", "anika", "aunty", "belinda", "linda", "steph"),
}  # fmt: skip
SETS = ("train", "validation", "test")
MIN_SPEAKERS = 6
SHARE = {"test": 0.25, "validation": 0.15}

# Standard deviations of the speakers' baselines.
PITCH_SD = 1.0  # semitones
RANGE_SD = 0.15  # log of the factor
RATE_SD = 0.06  # log of the factor
LEVEL_SD = 1.5  # dB
TILT_SD = 0.8  # dB
FORMANT_SD = 0.025  # log of the factor


@dataclass(frozen=True)
class Speaker:
    """A speaker: voice, set, and how they speak when they feel nothing.

    Attributes:
        name: speaker id, ``spk01``.
        gender: ``m`` or ``f``.
        voice: voice of espeak-ng, ``en-us+f2``.
        set: ``train``, ``validation`` or ``test``.
        pitch: semitones above the voice's own.
        range: factor on the pitch range.
        rate: factor on the speaking rate.
        level: dB above the corpus's mean level.
        tilt: dB of high frequencies.
        formant: factor on all formants (a shorter vocal tract has higher ones).
    """

    name: str
    gender: str
    voice: str
    set: str
    pitch: float
    range: float
    rate: float
    level: float
    tilt: float
    formant: float


def draw_speakers(count: int, seed: int) -> list[Speaker]:
    """Draw ``count`` speakers, women and men in turn, so that every set has both.

    About a quarter of them, at least two, are for test, 15 %, at least two, for validation.

    Raises:
        UserError: when there are too few speakers for three sets.
    """
    if count < MIN_SPEAKERS:
        raise UserError(f"at least {MIN_SPEAKERS} speakers are needed, two a set", value=count)
    order = {gender: stream(seed, f"voices {gender}").permutation(names) for gender, names in VOICES.items()}
    test, validation = (max(2, round(share * count)) for share in SHARE.values())
    digits = max(2, len(str(count)))
    speakers = []
    for index in range(count):
        gender = "fm"[index % 2]
        names = order[gender]
        draw = stream(seed, "speaker", index).standard_normal(6)
        speakers.append(
            Speaker(
                name=f"spk{index + 1:0{digits}d}",
                gender=gender,
                voice=f"en-us+{names[index // 2 % len(names)]}",
                set="test" if index < test else "validation" if index < test + validation else "train",
                pitch=PITCH_SD * draw[0],
                range=math.exp(RANGE_SD * draw[1]),
                rate=math.exp(RATE_SD * draw[2]),
                level=LEVEL_SD * draw[3],
                tilt=TILT_SD * draw[4],
                formant=math.exp(FORMANT_SD * draw[5]),
            )
        )
    return speakers
