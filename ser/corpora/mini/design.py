"""From planted states to what is said and how: the corpus on paper, before a sound is made.

An utterance has a true state, arousal and valence in -1..1, from which its labels come. A *driver*
moves voice and words. It follows the state as far as the strength ``s`` says:

    driver = mean + s (state - mean) + sqrt(1 - s^2) (stranger - mean)

where ``stranger`` is the state of nobody, drawn from the same distribution. At s = 1 the driver is the
state; at s = 0 audio and text vary just as much, and tell nothing of the labels.

The driver's valence is the mean of two halves: the valence of the wording, and the voice's. How far the
wording follows the driver has a strength w of its own: at w = 0 words are drawn like a stranger's, and the
voice tells the driver's valence alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ser.corpora.mini.sentences import Sentence, sentences
from ser.corpora.mini.speakers import Speaker
from ser.corpora.mini.streams import stream

# (arousal, valence) around which the states of a class lie; an utterance's class is the nearest.
CENTRES = {
    "anger": (0.65, -0.65),
    "happiness": (0.55, 0.70),
    "neutral": (-0.20, 0.15),
    "sadness": (-0.75, -0.50),
}
STATE_SD = 0.18
MEAN = tuple(np.mean(list(CENTRES.values()), axis=0))
# Labels are on the scale of MSP-Podcast, 1..7: 4 + 3 x state.
LABEL_RANGE = (1.0, 7.0)

WORDING_SD = 0.40  # how far the wording's half strays from the driver's valence
WORDING_KERNEL = 0.15  # how closely a sentence is chosen to the wording's half

LEVEL = -31.0  # dBFS of an utterance whose driver is 0, spoken by a speaker whose baseline is 0
# What one unit of arousal, one unit of the voice's valence, and the noise (a standard deviation) do.
PITCH = (4.0, 1.0, 1.0)  # semitones
RANGE = (0.35, 0.40, 0.10)  # log of the factor
RATE = (0.15, 0.05, 0.05)  # log of the factor
TILT = (5.0, -4.0, 0.8)  # dB above about 1 kHz
GAIN = (6.5, 0.0, 1.2)  # dB
FORMANT = (0.0, 0.08, 0.01)  # log of the factor: lips spread by a smile shorten the vocal tract


@dataclass(frozen=True)
class Delivery:
    """How an utterance is spoken, in absolute terms; all that the synthesiser needs beside the words.

    Attributes:
        pitch: semitones above the voice's own.
        range: factor on the voice's pitch range.
        rate: factor on the speaking rate.
        level: root mean square in dBFS.
        tilt: gain of the high frequencies in dB.
        formant: factor on the formants.
        noise_seed: seed of the recording's noise floor.
    """

    pitch: float
    range: float
    rate: float
    level: float
    tilt: float
    formant: float
    noise_seed: int


@dataclass(frozen=True)
class Utterance:
    """An utterance on paper: labels, words, delivery, and the planted truth behind them.

    Attributes:
        original: id within the corpus; the utterance id is ``<speaker>-<original>``.
        speaker: who says it.
        sentence: what is said.
        emotion: the class.
        attributes: label -> value in 1..7.
        delivery: how it is said.
        truth: everything that was drawn, by name.
        dialogue: dialogue id, or None.
        turn: turn in the dialogue, from 1.
    """

    original: str
    speaker: Speaker
    sentence: Sentence
    emotion: str
    attributes: dict[str, float]
    delivery: Delivery
    truth: dict[str, float | str]
    dialogue: str | None = None
    turn: int | None = None

    @property
    def name(self) -> str:
        """The utterance id."""
        return f"{self.speaker.name}-{self.original}"


def draw_state(rng: np.random.Generator) -> np.ndarray:
    """A state ``(arousal, valence)`` of any class, each class as likely as the others."""
    centre = list(CENTRES.values())[rng.integers(len(CENTRES))]
    return np.clip(centre + STATE_SD * rng.standard_normal(2), -1, 1)


def emotion_of(state: np.ndarray) -> str:
    """The class whose centre is nearest to ``(arousal, valence)``."""
    return min(CENTRES, key=lambda name: math.dist(state, CENTRES[name]))


def mix(state: np.ndarray, stranger: np.ndarray, mean: np.ndarray | float, strength: float) -> np.ndarray:
    """The driver: as correlated with the state as ``strength`` says, as variable at every strength."""
    return mean + strength * (state - mean) + math.sqrt(1 - strength**2) * (stranger - mean)


def label(value: float) -> float:
    """A state's component in -1..1 as a label in 1..7, with three decimals."""
    return round(4 + 3 * min(1.0, max(-1.0, float(value))), 3)


def deliver(arousal: float, valence: float, speaker: Speaker, rng: np.random.Generator) -> Delivery:
    """How a speaker says something when the driver's arousal and the voice's valence are these."""
    noise = rng.standard_normal(6)

    def moved(effect: tuple[float, float, float], draw: float) -> float:
        return effect[0] * arousal + effect[1] * valence + effect[2] * float(draw)

    return Delivery(
        pitch=speaker.pitch + moved(PITCH, noise[0]),
        range=speaker.range * math.exp(moved(RANGE, noise[1])),
        rate=speaker.rate * math.exp(moved(RATE, noise[2])),
        level=LEVEL + speaker.level + moved(GAIN, noise[3]),
        tilt=speaker.tilt + moved(TILT, noise[4]),
        formant=speaker.formant * math.exp(moved(FORMANT, noise[5])),
        noise_seed=int(rng.integers(2**31)),
    )


def choose_sentence(target: float, rng: np.random.Generator) -> Sentence:
    """A sentence whose wording has about the valence ``target``."""
    valence = np.array([sentence.valence for sentence in sentences()])
    weight = np.exp(-0.5 * ((valence - np.clip(target, -1, 1)) / WORDING_KERNEL) ** 2)
    return sentences()[rng.choice(len(valence), p=weight / weight.sum())]


def plan_utterances(
    speakers: list[Speaker],
    count: int,
    strength: float,
    seed: int,
    wording: float = 1.0,
    baselines: Mapping[str, float] | None = None,
) -> list[Utterance]:
    """The utterances outside dialogues, the speakers in turn.

    States, labels and noise depend on the seed alone: corpora of the same seed and another strength
    have the same labels.

    Args:
        speakers: who speaks.
        count: how many utterances; a speaker has ``count / len(speakers)``, one more or less.
        strength: how strongly the state drives voice and wording, 0..1.
        seed: the corpus's seed.
        wording: how strongly the driver's valence decides the words, 0..1.
        baselines: speaker -> what is added to the arousal that is heard; none by default.

    A class is of the state, whatever a speaker's family makes of its label.
    """
    mean = np.array(MEAN)
    utterances = []
    for index in range(count):
        speaker = speakers[index % len(speakers)]
        state = draw_state(stream(seed, "state", index))
        driver = mix(state, draw_state(stream(seed, "stranger", index)), mean, strength)
        wording_rng = stream(seed, "wording", index)
        worded = driver[1]
        if wording != 1:
            worded = mix(driver[1], draw_state(stream(seed, "words' stranger", index))[1], mean[1], wording)
        sentence = choose_sentence(worded + WORDING_SD * wording_rng.standard_normal(), wording_rng)
        # The voice makes up for the words as far as these tell the driver: else they would tell of the voice.
        voice_valence = 2 * driver[1] - (wording * sentence.valence + (1 - wording) * driver[1])
        heard = driver[0] + (baselines or {}).get(speaker.name, 0.0)
        delivery = deliver(heard, voice_valence, speaker, stream(seed, "delivery", index))
        truth = {
            "arousal": state[0], "valence": state[1],
            "driver_arousal": driver[0], "driver_valence": driver[1],
            "wording_valence": sentence.valence, "voice_valence": voice_valence,
        }  # fmt: skip
        utterances.append(
            Utterance(
                original=f"mini{index + 1:05d}",
                speaker=speaker,
                sentence=sentence,
                emotion=emotion_of(state),
                attributes={
                    name: label(speaker.label_offset + middle + speaker.label_scale * (value - middle))
                    for name, value, middle in zip(("arousal", "valence"), state, MEAN, strict=True)
                },
                delivery=delivery,
                truth={
                    name: value if isinstance(value, str) else float(value) for name, value in truth.items()
                },
            )
        )
    return utterances
