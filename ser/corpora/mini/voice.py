"""From a sentence and its delivery to 16 kHz audio: espeak-ng, vocal tract, spectral tilt, level, noise."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

import numpy as np
import soxr
from scipy.signal import bilinear, lfilter

from ser.corpora.mini import espeak
from ser.corpora.mini.design import Delivery

RATE = 16000
# Measured on en-us+m2 and en-us+f1: what a step of SSML pitch (0..100, 50 is the voice's own) and of range
# (likewise) do to the median of F0, in semitones. Voices differ: far from their own range some are off.
SEMITONES_PER_PITCH = 0.18
SEMITONES_PER_RANGE = 0.037
TILT_CORNER = 1000.0  # Hz
NOISE_FLOOR = -68.0  # dBFS
PEAK = 0.98
PACE = 0.92  # of espeak-ng's own rate, which is brisk
PADDING = 0.06  # seconds of noise before and after the speech
SILENCE = 0.003  # of the peak: what is cut off at both ends


def render(voice: str, text: str, delivery: Delivery) -> np.ndarray:
    """Speak ``text`` with a voice of espeak-ng as ``delivery`` says.

    The level is exact (root mean square over the utterance without its padding), unless peaks would
    clip. The vocal tract is changed by resampling, pitch and rate being set so that they stay.

    Returns:
        int16 of shape ``(T,)`` at 16 kHz.

    Raises:
        UserError: as ``espeak.speak``.
    """
    samples = espeak.speak(voice, ssml(text, delivery)).astype(np.float64) / 32768
    samples = soxr.resample(samples, espeak.RATE * delivery.formant, RATE, quality="HQ")
    loud = np.flatnonzero(np.abs(samples) > SILENCE * np.abs(samples).max())
    samples = shelf(samples[loud[0] : loud[-1] + 1], delivery.tilt)
    gain = 10 ** (delivery.level / 20) / np.sqrt(np.mean(samples**2))
    samples *= min(gain, PEAK / np.abs(samples).max())
    samples = np.pad(samples, round(PADDING * RATE))
    noise = np.random.default_rng(delivery.noise_seed).standard_normal(len(samples))
    samples += 10 ** (NOISE_FLOOR / 20) * noise
    return np.round(32767 * np.clip(samples, -1, 1)).astype("<i2")


def ssml(text: str, delivery: Delivery) -> str:
    """The document that makes espeak-ng speak with this pitch, range and rate.

    Resampling by ``formant`` also raises the pitch and the rate by that factor: both are taken back.
    """
    spread = float(np.clip(50 * delivery.range, 0, 100))
    semitones = delivery.pitch - 12 * math.log2(delivery.formant) - SEMITONES_PER_RANGE * (spread - 50)
    pitch = np.clip(50 + semitones / SEMITONES_PER_PITCH, 0, 100)
    rate = 100 * PACE * delivery.rate / delivery.formant
    return (
        f'<speak><prosody pitch="{pitch:.0f}" range="{spread:.0f}" rate="{rate:.0f}%">'
        f"{escape(text)}</prosody></speak>"
    )


def shelf(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Raise what lies above about 1 kHz by ``decibels`` (first-order shelf); shape ``(T,)`` in and out."""
    corner = 2 * math.pi * TILT_CORNER
    numerator, denominator = bilinear([10 ** (decibels / 20), corner], [1, corner], fs=RATE)
    return lfilter(numerator, denominator, samples)
