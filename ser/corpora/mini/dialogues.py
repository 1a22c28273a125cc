"""Dialogues in which half of the labels can be known only from what the speaker said before.

In every dialogue a speaker has a vocal range drawn anew: their baseline b is low or high, whatever
their voice. A turn is calm or excited: its arousal a is low or high. One hears the effort

    effort = b + a + jitter,    b, a in {-STEP, +STEP}

on an absolute scale: level, pitch, rate, range and tilt move with it. Low (-2 STEP) is calm and high
(+2 STEP) is excited, and tell the speaker's baseline as well. In the middle, where a low speaker is
excited or a high one calm, both labels are equally likely and sound alike: such a turn is *ambiguous*,
and only the speaker's earlier turns tell it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ser.corpora.mini.design import Utterance, deliver, label
from ser.corpora.mini.sentences import sentences
from ser.corpora.mini.speakers import Speaker
from ser.corpora.mini.streams import stream

STEP = 0.45
JITTER = 0.08
# Arousal around which the turns of a class lie.
CENTRES = {"calm": (-STEP,), "excited": (STEP,)}
CLASSES = tuple(CENTRES)


def timbre_only(speaker: Speaker) -> Speaker:
    """The speaker's voice and vocal tract without the baselines, which each dialogue draws anew."""
    return replace(speaker, pitch=0.0, range=1.0, rate=1.0, level=0.0, tilt=0.0)


def plan_dialogues(
    speakers: list[Speaker], count: int, turns: int, strength: float, seed: int
) -> list[Utterance]:
    """The turns of all dialogues.

    Both speakers of a dialogue are of the same set, so that sets of dialogues share no speaker; they
    speak in turn, and each opens as many dialogues as the others, one more or less. Turns are drawn
    independently: the course of a dialogue tells nothing of the next label. The words tell nothing.

    Args:
        speakers: who speaks; at least two of each set.
        count: how many dialogues.
        turns: turns of a dialogue, of both speakers together.
        strength: how surely the voice follows the label: with probability ``(1 + strength) / 2``.
        seed: the corpus's seed.
    """
    utterances = []
    for index in range(count):
        rng = stream(seed, "dialogue", index)
        first = speakers[index % len(speakers)]
        others = [other for other in speakers if other.set == first.set and other != first]
        pair = (first, others[rng.integers(len(others))])
        baselines = STEP * rng.choice((-1, 1), size=2)
        for turn in range(turns):
            utterances.append(
                _turn(index, turn, pair[turn % 2], float(baselines[turn % 2]), strength,
                      stream(seed, f"dialogue {index} turn", turn))
            )  # fmt: skip
    return utterances


def _turn(
    dialogue: int, turn: int, speaker: Speaker, baseline: float, strength: float, rng: np.random.Generator
) -> Utterance:
    """One turn of one dialogue; both count from 0."""
    excited = int(rng.integers(2))
    follows = rng.random() < (1 + strength) / 2
    jitter, stranger = JITTER * rng.standard_normal(2)
    arousal = (-STEP, STEP)[excited] + jitter
    voiced = excited if follows else 1 - excited
    # The jitter is heard to the same extent as the label.
    heard = jitter * strength + stranger * (1 - strength**2) ** 0.5
    driver = (-STEP, STEP)[voiced] + heard
    ambiguous = voiced == (baseline < 0)
    name = f"dia{dialogue + 1:04d}"
    return Utterance(
        original=f"{name}_t{turn + 1:04d}",
        speaker=speaker,
        sentence=sentences()[rng.integers(len(sentences()))],
        emotion=CLASSES[excited],
        attributes={"arousal": label(arousal)},
        delivery=deliver(baseline + driver, 0.0, timbre_only(speaker), rng),
        truth={
            "arousal": float(arousal),
            "driver_arousal": float(driver),
            "baseline": baseline,
            "effort": float(baseline + driver),
            "ambiguous": int(ambiguous),
        },
        dialogue=name,
        turn=turn + 1,
    )
