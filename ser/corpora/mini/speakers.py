"""The speakers: a voice of espeak-ng each, with a baseline of their own, in three disjoint sets.

Speakers may come in families: one voice of espeak-ng, one vocal tract, and one way of labelling. The
further a family's sound is from the usual, the narrower is the range of its labels, though it sounds
as moved as any other: who hears the speech alone cannot know the range, and who has met the family can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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

# The same voices, the most usual first: by the distance of a voice's mean log-mel spectrum and deviation over
# time from those of all voices, each saying the same (measured; a slow test repeats it).
BY_DISTANCE = {
    "m": ("m6", "m1", "Alex", "m4", "m5", "m3", "m2", "m7", "victor", "sandro", "michel", "m8"),
    "f": ("f2", "aunty", "f3", "f1", "f4", "Annie", "belinda", "linda", "f5", "Andrea", "steph", "anika"),
}  # fmt: skip
# Families, from the usual voice (extremity 0) to the most unusual (1); of a label shift of strength 1.
FAMILY_FORMANT = 0.25  # log of the factor, shorter and longer vocal tracts in turn
FAMILY_PITCH = 4.0  # semitones, with the formants
FAMILY_SPREAD = 1.0  # log of the factor by which labels lie closer together
FAMILY_OFFSET = 0.20  # of the states' -1..1, up and down in turn
FAMILY_SHARE = {"test": 0.375, "validation": 0.125}


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
        family: number of the family, or None.
        label_scale: factor by which the speaker's labels are spread about the corpus's mean.
        label_offset: what is added to them, on the states' scale of -1..1.
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
    family: int | None = None
    label_scale: float = 1.0
    label_offset: float = 0.0


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


def draw_families(count: int, families: int, shift: float, seed: int) -> list[Speaker]:
    """Draw ``count`` speakers of ``families`` families; every set has speakers of each family.

    With a family's extremity, from 0 to 1 in equal steps, grow the distance of its voice, formants and pitch
    from the usual, and the narrowness of its labels.

    Args:
        count: a multiple of ``families``, at least four times as many.
        families: at least 2; women's and men's in turn.
        shift: strength of the label shift, 0..1; it changes labels alone, no voice.
        seed: the corpus's seed.

    Raises:
        UserError: for numbers that do not make such families.
    """
    each, rest = divmod(count, families) if families > 1 else (0, 1)
    voices = min(map(len, BY_DISTANCE.values()))
    if rest or each < 4 or families > 2 * voices:
        what = f"{count} speakers are not 2 to {2 * voices} families of at least four each"
        raise UserError(what, value=families)
    test = round(FAMILY_SHARE["test"] * each)
    validation = max(1, round(FAMILY_SHARE["validation"] * each))
    people = draw_speakers(count, seed)
    speakers = []
    for index, person in enumerate(people):
        family, member = index % families, index // families
        gender, sign = "fm"[family % 2], (-1) ** (family // 2)
        extremity = family / (families - 1)
        steps = len(range(family % 2, families, 2)) - 1  # from the gender's first family to its last
        rank = round((voices - 1) * (family // 2 / steps if steps else extremity))
        speakers.append(
            replace(
                person,
                gender=gender,
                voice=f"en-us+{BY_DISTANCE[gender][rank]}",
                set="test" if member < test else "validation" if member < test + validation else "train",
                pitch=person.pitch + sign * FAMILY_PITCH * extremity,
                formant=person.formant * math.exp(sign * FAMILY_FORMANT * extremity),
                family=family,
                label_scale=math.exp(-shift * FAMILY_SPREAD * extremity),
                label_offset=-sign * shift * FAMILY_OFFSET * extremity,
            )
        )
    return speakers
